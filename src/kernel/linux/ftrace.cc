// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/ftrace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>
#include <unordered_set>

#include "kernel/linux/hash_chains.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::string_view kFlagPrefix = "FTRACE_OPS_FL_";
constexpr std::uint64_t kHashBitsLimit = 24;  // FTRACE_HASH_MAX_BITS is 12

/// The enumerators of the one enumeration, which has no name, that begin with `prefix`.
std::vector<types::Enumerator> find_enumerators(const types::TypeDb& types,
                                                std::string_view prefix) {
  for (types::TypeId id = 1; id < types.type_count(); ++id) {
    if (types.kind(id) != types::Kind::enumeration || !types.name(id).empty()) continue;
    auto found = types.enumerators(id);
    if (!found.empty() && found.front().name.substr(0, prefix.size()) == prefix) return found;
  }
  return {};
}

}  // namespace

Ftrace::Ftrace(LinuxKernel& kernel)
    : kernel_(kernel),
      reader_(kernel.reader()),
      head_(kernel.symbols().address_of("ftrace_ops_list")),
      end_(kernel.symbols().address_of("ftrace_list_end")) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout operations(types, diagnostics, "ftrace_ops");
  function_ = operations.field<VirtAddr>("func");
  next_ = operations.field<VirtAddr>("next");
  flags_ = operations.field<std::uint64_t>("flags");
  // CONFIG_DYNAMIC_FTRACE
  trampoline_ = operations.optional_field<VirtAddr>("trampoline");
  trampoline_size_ = operations.optional_field<std::uint64_t>("trampoline_size");
  direct_call_ = operations.optional_field<VirtAddr>("direct_call");  // not in 6.1, in 6.12
  hash_ = operations.optional_field<VirtAddr>("func_hash");
  if (hash_) {
    const Layout hashes(types, diagnostics, "ftrace_ops_hash");
    filter_ = hashes.field<VirtAddr>("filter_hash");
    exclusion_ = hashes.field<VirtAddr>("notrace_hash");
    const Layout hash(types, diagnostics, "ftrace_hash");
    hash_bits_ = hash.field<std::uint64_t>("size_bits");
    buckets_ = hash.field<VirtAddr>("buckets");
    hash_count_ = hash.field<std::uint64_t>("count");
    entry_place_ = Layout(types, diagnostics, "ftrace_func_entry").field<VirtAddr>("ip");
  }
  // The meaning of bits has changed (of bit 4 in 5.11), so the kernel's own names are taken.
  for (const auto& one : find_enumerators(types, kFlagPrefix)) {
    auto name = std::string(one.name.substr(std::min(kFlagPrefix.size(), one.name.size())));
    for (auto& letter : name) {
      letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    flag_names_.push_back({static_cast<std::uint64_t>(one.value), std::move(name)});
  }
}

/// Whole if no link that was followed has changed since. The list has an end of its own: a link
/// that is NULL is damage.
Try<VirtAddr> Ftrace::attempt(VirtAddr first, std::optional<VirtAddr> end) const {
  Try<VirtAddr> now;
  std::unordered_set<std::uint64_t> seen;
  std::vector<std::optional<VirtAddr>> links;
  for (auto at = std::optional(first); at && at != end_ && at != end; at = links.back()) {
    if (!*at) {
      reader_.report(next_.name, now.found.empty() ? first : now.found.back(),
                     fmt::format("the list ends in NULL after {} operations", now.found.size()));
      break;
    }
    if (now.found.size() == kLimit || !seen.insert(at->value).second) {
      reader_.report(next_.name, *at,
                     fmt::format("the list does not end after {} operations", now.found.size()));
      return now;
    }
    links.push_back(reader_.get(*at, next_));
    if (!links.back()) return now;  // what cannot be read is no operation
    now.found.push_back(*at);
  }
  for (std::size_t i = 0; reader_.is_live() && i < now.found.size(); ++i) {
    now.is_whole = now.is_whole && reader_.get(now.found[i], next_) == links[i];
  }
  return now;
}

// The list ends at ftrace_list_end, kernel/trace/ftrace.c.
Result<std::vector<VirtAddr>> Ftrace::list() const {
  if (!head_) return fail("the kernel has no symbol ftrace_ops_list: it does not trace functions");
  if (!end_) return fail("the kernel has no symbol ftrace_list_end, at which its list ends");
  const auto one_try = [&] {
    const auto first = reader_.require_at(*head_, "ftrace_ops_list");
    return first ? attempt(*first, std::nullopt) : Try<VirtAddr>();
  };
  return reader_.is_live() ? until_whole<VirtAddr>(one_try).found : one_try().found;
}

Result<std::vector<VirtAddr>> Ftrace::list_from(VirtAddr first, std::optional<VirtAddr> end) const {
  if (!end_) return fail("the kernel has no symbol ftrace_list_end, at which its lists end");
  const auto one_try = [&] { return attempt(first, end); };
  return reader_.is_live() ? until_whole<VirtAddr>(one_try).found : one_try().found;
}

std::optional<VirtAddr> Ftrace::function(VirtAddr operations) const {
  return reader_.follow(operations, function_);
}
std::optional<std::uint64_t> Ftrace::flags(VirtAddr operations) const {
  return reader_.get(operations, flags_);
}

std::optional<std::string> Ftrace::flag_names(VirtAddr operations) const {
  auto rest = flags(operations);
  if (!rest || flag_names_.empty()) return std::nullopt;
  std::string text;
  const auto add = [&](std::string_view name) {
    text += (text.empty() ? "" : " ") + std::string(name);
  };
  for (const auto& flag : flag_names_) {
    if ((*rest & flag.bits) == 0) continue;
    add(flag.name);
    *rest &= ~flag.bits;
  }
  if (*rest != 0) add(fmt::format("0x{:x}", *rest));
  return text;
}

std::optional<VirtAddr> Ftrace::trampoline(VirtAddr operations) const {
  return reader_.follow(operations, trampoline_);
}
std::optional<std::uint64_t> Ftrace::trampoline_size(VirtAddr operations) const {
  return trampoline(operations) ? reader_.get(operations, trampoline_size_) : std::nullopt;
}
// The lowest bit says that it is jumped to, not called (25e4e3565d45, FTRACE_OPS_FL_JMP).
std::optional<VirtAddr> Ftrace::direct_call(VirtAddr operations) const {
  const auto target = reader_.follow(operations, direct_call_);
  return target ? std::optional(*target & ~std::uint64_t{1}) : std::nullopt;
}

std::optional<std::uint64_t> Ftrace::count(VirtAddr operations,
                                           const Field<VirtAddr>& which) const {
  const auto hashes = reader_.follow(operations, hash_);
  const auto hash = hashes ? reader_.follow(*hashes, which) : std::nullopt;
  return hash ? reader_.get(*hash, hash_count_) : std::nullopt;
}
std::optional<std::uint64_t> Ftrace::filter_count(VirtAddr operations) const {
  return count(operations, filter_);
}
std::optional<std::uint64_t> Ftrace::exclusion_count(VirtAddr operations) const {
  return count(operations, exclusion_);
}

std::optional<std::string> Ftrace::filter_names(VirtAddr operations) const {
  const auto hashes = reader_.follow(operations, hash_);
  const auto hash = hashes ? reader_.follow(*hashes, filter_) : std::nullopt;
  const auto count = hash ? reader_.get(*hash, hash_count_) : std::nullopt;
  if (!count) return std::nullopt;
  if (*count == 0) return "";  // ftrace_hash_empty()
  if (*count > kNameLimit) {
    reader_.report(
        hash_count_.name, *hash,
        fmt::format("{} functions, more than {}: their names are not shown", *count, kNameLimit));
    return std::nullopt;
  }
  const auto bits = reader_.get(*hash, hash_bits_);
  const auto buckets = reader_.follow(*hash, buckets_);
  if (!bits || !buckets) return std::nullopt;
  if (*bits > kHashBitsLimit) {
    reader_.report(hash_bits_.name, *hash,
                   fmt::format("{} bits, at most {} expected", *bits, kHashBitsLimit));
    return std::nullopt;
  }
  std::vector<VirtAddr> places;
  HashChains chains(reader_, "ftrace_hash.buckets");
  chains.table(*buckets, std::uint64_t{1} << *bits, sizeof(std::uint64_t), [&](VirtAddr entry) {
    const auto place = reader_.get(entry, entry_place_);
    if (place && places.size() <= kNameLimit) places.push_back(*place);
  });
  if (places.size() > kNameLimit) {
    reader_.report(
        hash_count_.name, *hash,
        fmt::format("more than {} functions where the count says {}", kNameLimit, *count));
    return std::nullopt;
  }
  std::sort(places.begin(), places.end());
  std::string names;
  for (const auto place : places) {
    // The place is that of the call: behind an endbr64, the function's second instruction.
    auto name = kernel_.symbolize(place).value_or(fmt::format("0x{:x}", place.value));
    if (const auto offset = name.find("+0x"); offset != std::string::npos) {
      name.erase(offset, name.find(' ', offset) - offset);
    }
    names += (names.empty() ? "" : ",") + name;
  }
  return names;
}

}  // namespace engram::kernel
