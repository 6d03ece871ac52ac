// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/hash_chains.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace engram::kernel {
namespace {

constexpr std::uint64_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kPointersPerPage = kPageSize / kWord;
constexpr std::uint64_t kBlock = 64 * kKiB;
constexpr unsigned kTableLimit = 8;  // the old table and the new ones of a resize: two in practice

}  // namespace

void HashChains::table(VirtAddr first_head, std::uint64_t count, std::uint64_t stride,
                       const Visit& visit) {
  if (count > std::min(kHeadLimit, kAllHeadsLimit - heads_) || stride < kWord ||
      stride > kPageSize) {
    reader_.report(what_, first_head,
                   fmt::format("a table of {} heads {} bytes apart after {} heads, at most {} in "
                               "one table and {} in all expected",
                               count, stride, heads_, kHeadLimit, kAllHeadsLimit));
    return;
  }
  heads_ += count;
  const std::uint64_t per_block = kBlock / stride;
  std::vector<std::byte> block(static_cast<std::size_t>(per_block * stride));
  for (std::uint64_t head = 0; head < count && !is_stopped_;) {
    const std::uint64_t heads = std::min(per_block, count - head);
    const VirtAddr start = first_head + head * stride;
    const auto bytes =
        MutableBytes(block).first(static_cast<std::size_t>((heads - 1) * stride + kWord));
    const auto read = reader_.space().read(start, bytes);
    for (std::uint64_t i = 0; i < heads; ++i) {
      const auto word = load<std::uint64_t>(Bytes(bytes).first(read.count), i * stride);
      if (!word) break;
      chain(VirtAddr(*word), visit);
    }
    if (read.complete()) {
      head += heads;
      continue;
    }
    // The rest of the page that is not there is lost; the pages behind it need not be.
    reader_.report(what_, start, paging::to_string(*read.fault));
    const std::uint64_t next_page = align_down((start + read.count).value, kPageSize) + kPageSize;
    head += (next_page - start.value + stride - 1) / stride;
  }
}

void HashChains::chain(VirtAddr node, const Visit& visit) {
  while (node && (node.value & 1U) == 0 && !is_stopped_) {
    if (seen_.size() == kNodeLimit) {
      reader_.report(what_, node, fmt::format("more than {} nodes in one table", kNodeLimit));
      return;
    }
    if (!seen_.insert(node.value).second) {
      if (!std::exchange(reported_, true)) {
        reader_.report(what_, node, "the chains of the table reach this node twice");
      }
      return;
    }
    const auto next = reader_.pointer_at(node, what_);
    if (!next) return;  // what cannot be read is no object
    visit(node);
    node = *next;
  }
}

RhashtableWalker::RhashtableWalker(const types::TypeDb& types, Reader reader) : reader_(reader) {
  const Layout table(types, reader_.diagnostics(), "rhashtable");
  table_ = table.field<VirtAddr>("tbl");
  const Layout buckets(types, reader_.diagnostics(), "bucket_table");
  size_ = buckets.field<std::uint32_t>("size");
  nest_ = buckets.field<std::uint32_t>("nest");
  future_table_ = buckets.field<VirtAddr>("future_tbl");
  buckets_ = buckets.offset_of("buckets");
}

void RhashtableWalker::walk(VirtAddr rhashtable, std::string_view what,
                            const HashChains::Visit& visit) const {
  HashChains chains(reader_, what);
  // The lowest bit of a bucket is its lock (since 5.2): it is no part of the pointer.
  auto table = reader_.require(rhashtable, table_);
  for (unsigned tables = 0; table && tables < kTableLimit; ++tables) {
    const auto size = reader_.get(*table, size_);
    const auto nest = reader_.get(*table, nest_);
    if (!size || !nest || !buckets_) return;
    if (*nest > 9 || *size > HashChains::kHeadLimit) {
      reader_.report(what, *table,
                     fmt::format("a table of {} buckets, nested by {} bits", *size, *nest));
      return;
    }
    const VirtAddr first = *table + *buckets_;
    if (*nest == 0) {
      nested(chains, first, *size, 0, visit);
    } else if (const auto top = reader_.pointer_at(first, what); top && *top) {
      nested(chains, *top, std::uint64_t{1} << *nest, *size >> *nest, visit);
    }
    table = reader_.follow(*table, future_table_);
  }
}

// A table that grew when memory was short is a tree of pages (lib/rhashtable.c,
// rht_bucket_nested()). `buckets`: behind each of the entries of this level; 0: they are buckets.
void RhashtableWalker::nested(HashChains& chains, VirtAddr level, std::uint64_t entries,
                              std::uint64_t buckets, const HashChains::Visit& visit) const {
  std::uint64_t words[kPointersPerPage] = {};
  for (std::uint64_t at = 0; at < entries; at += kPointersPerPage) {
    const auto count = static_cast<std::size_t>(std::min(kPointersPerPage, entries - at));
    const auto bytes = std::as_writable_bytes(std::span(words).first(count));
    const VirtAddr from = level + at * kWord;
    if (const auto read = reader_.space().read_exact(from, bytes); !read) {
      reader_.report("bucket_table.buckets", from, paging::to_string(read.error()));
      continue;
    }
    for (const auto word : std::span(words).first(count)) {
      if (buckets == 0) {
        chains.chain(VirtAddr(word & ~std::uint64_t{1}), visit);
      } else if (word != 0 && buckets > kPointersPerPage) {
        nested(chains, VirtAddr(word), kPointersPerPage, buckets / kPointersPerPage, visit);
      } else if (word != 0) {
        nested(chains, VirtAddr(word), buckets, 0, visit);
      }
    }
  }
}

}  // namespace engram::kernel
