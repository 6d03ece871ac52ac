// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/dump_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cli/command.h"
#include "cli/dot_command.h"
#include "cli/memory_limit.h"
#include "cli/progress.h"
#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/page_cache.h"
#include "output/file_tree.h"
#include "output/sha256.h"
#include "output/writer.h"

namespace engram::cli {
namespace {

using kernel::CachedFile;
using kernel::FileRangeState;
using tables::cell;
using tables::Type;

constexpr std::size_t kBlock = 1 * kMiB;        // read and written at once
constexpr std::uint64_t kMostHoles = 1 * kGiB;  // that are hashed: files may have any number

const std::array<sql::ResultColumn, 10> kManifest{{{"file", Type::text},
                                                   {"path", Type::text},
                                                   {"inode_address", Type::pointer},
                                                   {"inode", Type::integer},
                                                   {"size", Type::integer},
                                                   {"bytes_cached", Type::integer},
                                                   {"complete", Type::integer},
                                                   {"sha256", Type::text},
                                                   {"missing", Type::text},
                                                   {"error", Type::text}}};

/// The struct inodes of the files that are wanted.
Result<std::vector<VirtAddr>, RunFailure> choose(sql::Database& database, std::string_view where,
                                                 const Console& console, Interrupts& interrupts) {
  const Watch watch(interrupts, database);
  const Progress progress(console, "looking for files");
  std::string sql = "SELECT DISTINCT virtual_address FROM cached_files";
  if (!where.empty()) sql += fmt::format(" WHERE ({}\n)", where);  // it may end in a comment
  const auto failure = [&](const sql::QueryError& error) {
    if (interrupts.take()) return tl::unexpected(interrupted());
    return tl::unexpected(
        RunFailure{kNotAnswered, error.out_of_memory ? kMemoryIsOver : error.text, false});
  };
  std::size_t at = 0;
  auto query = database.prepare_next(sql, at);
  if (!query) return failure(query.error());
  std::vector<VirtAddr> inodes;
  auto more = (*query)->step();
  for (; more && *more; more = (*query)->step()) {
    const auto value = (*query)->value(0);
    const auto* address = std::get_if<std::int64_t>(&value);
    if (address != nullptr) inodes.emplace_back(static_cast<std::uint64_t>(*address));
  }
  if (!more) return failure(more.error());
  if (!trimmed(std::string_view(sql).substr(at)).empty()) {
    return tl::unexpected(
        RunFailure{kNotAnswered, "dump: one expression expected behind WHERE", false});
  }
  return inodes;
}

/// The ranges that are not known: "4096-8192 absent, 12288-16384 swapped".
tables::Value missing(const CachedFile& file) {
  std::string text;
  for (const auto& range : file.ranges) {
    if (range.is_known()) continue;
    text += fmt::format("{}{}-{} {}", text.empty() ? "" : ", ", range.start, range.end,
                        to_string(range.state));
  }
  return text.empty() ? tables::Value(tables::Null{}) : cell(text);
}

class Dump {
 public:
  Dump(kernel::LinuxKernel& kernel, output::FileTree& tree, output::Writer& manifest,
       Interrupts& interrupts)
      : kernel_(kernel), tree_(tree), manifest_(manifest), interrupts_(interrupts) {}

  /// Errors: nothing can be written any more; interrupted (was_interrupted()).
  Result<void> add(VirtAddr inode) {
    if ((was_interrupted_ = interrupts_.take())) return fail("interrupted");
    const auto path = kernel_.inodes().path(inode);
    const auto file = kernel_.page_cache().file(inode);
    if (!file) return {};  // the diagnostics say why; what the guest has deleted meanwhile
    const auto unique = fmt::format("inode-{:x}", inode.value);
    ENGRAM_TRY(const auto target, tree_.new_file(path.value_or(""), unique));
    const bool is_whole = file->is_whole();
    output::Sha256 hash;
    const std::uint64_t holes = file->bytes_in(FileRangeState::hole);
    const bool hashed = is_whole && holes <= hole_bytes_left_;
    if (hashed) hole_bytes_left_ -= holes;
    std::string problem;
    if (auto written = write(*file, target, hashed ? &hash : nullptr, problem); !written) {
      target.remove();
      return written;
    }
    if (problem.empty() && kernel_.reader().is_live() && kernel_.page_cache().file(inode) != file) {
      problem = "the file changed while it was read";
    }
    const bool is_good = is_whole && problem.empty();
    ++done_.files;
    done_.complete += is_good ? 1 : 0;
    const std::array<tables::Value, kManifest.size()> row{
        cell(target.name), cell(path),
        cell(inode),       cell(kernel_.inodes().number(inode)),
        cell(file->size),  cell(file->bytes_in(FileRangeState::cached)),
        cell(is_good),     is_good && hashed ? cell(hash.finish()) : tables::Value(tables::Null{}),
        missing(*file),    problem.empty() ? tables::Value(tables::Null{}) : cell(problem)};
    return manifest_.row(row);
  }

  [[nodiscard]] bool was_interrupted() const { return was_interrupted_; }
  [[nodiscard]] const Dumped& done() const { return done_; }

 private:
  /// What is not cached stays a hole. `problem`: what could not be read.
  Result<void> write(const CachedFile& file, const output::FileTree::NewFile& target,
                     output::Sha256* hash, std::string& problem) {
    if (const auto sized = target.file.resize(file.size); !sized) {
      // Of damaged inodes: no file can be so large.
      problem = fmt::format("{}: {} bytes: {}", target.name, file.size,
                            std::strerror(sized.error().os_errno));
      return {};
    }
    for (const auto& range : file.ranges) {
      if (!range.is_known() || (range.state == FileRangeState::hole && hash == nullptr)) continue;
      for (std::uint64_t at = range.start; at < range.end; at += block_.size()) {
        if ((was_interrupted_ = interrupts_.take())) return fail("interrupted");
        block_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, range.end - at)));
        if (const auto read = kernel_.page_cache().read(range, at, block_); !read) {
          problem = read.error().text;
          break;
        }
        if (hash != nullptr) hash->add(block_);
        if (range.state == FileRangeState::cached) ENGRAM_CHECK(put(target, at));
      }
    }
    return {};
  }

  Result<void> put(const output::FileTree::NewFile& target, std::uint64_t at) {
    const auto written = target.file.write_at(FileOffset(at), block_);
    if (!written.complete()) {
      return fail("{}: {}", target.name,
                  written.os_errno != 0 ? std::strerror(written.os_errno) : "nothing was written");
    }
    done_.bytes += block_.size();
    return {};
  }

  kernel::LinuxKernel& kernel_;
  output::FileTree& tree_;
  output::Writer& manifest_;
  Interrupts& interrupts_;
  std::vector<std::byte> block_;
  std::uint64_t hole_bytes_left_ = kMostHoles;
  Dumped done_;
  bool was_interrupted_ = false;
};

RunFailure not_written(const Error& error) {
  return {kNotAnswered, error.text, true};
}

}  // namespace

Result<Dumped, RunFailure> dump_files(sql::Database& database, const DumpRequest& request,
                                      const Console& console, Interrupts& interrupts) {
  auto inodes = choose(database, request.where, console, interrupts);
  if (!inodes) return tl::unexpected(std::move(inodes).error());
  const auto kernel = database.session()->linux_kernel();
  if (!kernel) return tl::unexpected(RunFailure{kNotAnswered, kernel.error().text, false});
  auto tree = output::FileTree::create(request.directory);
  if (!tree) return tl::unexpected(not_written(tree.error()));
  output::FileSink sink(tree->manifest(), request.directory + "/manifest.jsonl");
  const auto manifest = output::make_writer("jsonl", sink);
  if (!manifest) return tl::unexpected(not_written(manifest.error()));
  if (const auto begun = (*manifest)->begin(kManifest); !begun) {
    return tl::unexpected(not_written(begun.error()));
  }
  Dump dump(**kernel, *tree, **manifest, interrupts);
  const Progress progress(console, "writing files");
  for (const auto inode : *inodes) {
    const auto added = dump.add(inode);
    if (added) continue;
    RunFailure failure = dump.was_interrupted() ? interrupted() : not_written(added.error());
    failure.text += fmt::format("; {} has {} of {} files, those of its manifest", request.directory,
                                dump.done().files, inodes->size());
    return tl::unexpected(std::move(failure));
  }
  if (const auto ended = (*manifest)->end(); !ended) {
    return tl::unexpected(not_written(ended.error()));
  }
  return dump.done();
}

std::string to_string(const Dumped& dumped) {
  return fmt::format("{} file{}, {} of them complete, {} bytes", dumped.files,
                     dumped.files == 1 ? "" : "s", dumped.complete, dumped.bytes);
}

}  // namespace engram::cli
