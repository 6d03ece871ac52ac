// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "image/dmp_layout.h"
#include "image/page_runs.h"
#include "image/write_ranges.h"

namespace engram::image {
namespace {

using dmp::DumpType;
using dmp::Header64;

// As the reader: a bitmap of 256 MiB.
constexpr std::uint64_t kMostPages = std::uint64_t{1} << 31;
// Readers take the bitmap by words: some of 8, some of 32 or 64 bits, and leave out what is left.
constexpr std::uint64_t kBitsAtOnce = 64;

constexpr std::uint32_t kFreeBuild = 15;  // of major_version
constexpr std::uint32_t kLiveSystemDump = 0x161;

template <std::size_t size>
void put(const std::optional<std::string>& text, std::array<char, size>& field) {
  if (!text) return;
  field.fill('\0');
  std::copy_n(text->begin(), std::min(text->size(), size - 1), field.begin());
}

// What is not known is the filler.

std::uint32_t filled(const std::optional<std::uint32_t>& value) {
  return value.value_or(dmp::kSignature);
}
std::uint64_t filled(const std::optional<std::uint64_t>& value) {
  return value.value_or(dmp::kFiller64);
}
std::uint64_t filled(const std::optional<VirtAddr>& value) {
  return value ? value->value : dmp::kFiller64;
}

void put_exception(const CrashHeader& crash, Header64& header) {
  header.exception = {};
  if (!crash.exception) return;
  const CrashException& from = *crash.exception;
  dmp::Exception64& to = header.exception;
  to.code = from.code;
  to.flags = from.flags;
  to.nested_record = from.nested_record;
  to.address = from.address;
  auto parameters = to.parameters;
  const std::size_t count = std::min(from.parameters.size(), parameters.size());
  std::copy_n(from.parameters.begin(), count, parameters.begin());
  to.parameters = parameters;
  to.parameter_count = static_cast<std::uint32_t>(count);
}

Header64 make_header(const CrashHeader& crash) {
  Header64 header;
  constexpr std::string_view kFiller = "PAGE";
  auto* const bytes = reinterpret_cast<char*>(&header);
  for (std::size_t at = 0; at < sizeof header; ++at) bytes[at] = kFiller[at % kFiller.size()];
  header.valid = dmp::kValid64;
  header.major_version = crash.major_version.value_or(kFreeBuild);
  header.minor_version = filled(crash.build);
  header.directory_table_base = filled(crash.directory_table_base);
  header.pfn_database = filled(crash.pfn_database);
  header.loaded_modules = filled(crash.loaded_modules);
  header.processes = filled(crash.processes);
  header.machine = crash.machine;
  header.processors = filled(crash.processors);
  header.bugcheck_code = crash.bugcheck_code.value_or(kLiveSystemDump);
  auto parameters = header.bugcheck_parameters;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i] = crash.bugcheck_code ? filled(crash.bugcheck_parameters[i]) : 0;
  }
  header.bugcheck_parameters = parameters;
  put(crash.version_user, header.version_user);
  header.debugger_data = filled(crash.debugger_data);
  const Bytes context = Bytes(crash.context)
                            .first(std::min(crash.context.size(), offsetof(Header64, exception) -
                                                                      offsetof(Header64, context)));
  std::copy(context.begin(), context.end(),
            reinterpret_cast<std::byte*>(bytes) + offsetof(Header64, context));
  put_exception(crash, header);
  header.system_time = filled(crash.system_time);
  put(crash.comment, header.comment);
  header.up_time = filled(crash.up_time);
  header.mini_dump_fields = filled(crash.mini_dump_fields);
  header.product_type = filled(crash.product_type);
  header.suite_mask = filled(crash.suite_mask);
  header.writer_status = filled(crash.writer_status);
  header.attributes = filled(crash.attributes);
  header.boot_id = filled(crash.boot_id);
  return header;
}

/// The header, what says which pages there are, the pages.
class DmpWriter {
 public:
  DmpWriter(Survey& survey, const CrashHeader& crash, DmpKind kind, FileSink& sink,
            const WriteOptions& options)
      : survey_(survey),
        is_full_(kind == DmpKind::full),
        sink_(sink),
        options_(options),
        header_(make_header(crash)) {}

  /// Errors: pages that the format has no place for; those of the sink and the memory.
  Result<void> write() {
    ENGRAM_CHECK(count_pages());
    put_runs();
    header_.dump_type =
        static_cast<std::uint32_t>(is_full_ ? DumpType::full : DumpType::bitmap_full);
    const std::uint64_t first_page = is_full_ ? sizeof(Header64) : bitmap_end();
    header_.required_space = first_page + stored_pages_ * kPageSize;
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(&header_, 1))));
    if (!is_full_) ENGRAM_CHECK(write_bitmap(first_page));
    return write_pages();
  }

 private:
  [[nodiscard]] PageRuns runs() const {
    return {survey_.memory, kPageSize, PresentRanges::Which::readable};
  }
  [[nodiscard]] std::uint64_t bitmap_blocks() const {
    return (bits_ / 8 + kPageSize - 1) / kPageSize;
  }
  /// The pages behind it begin with a page of the file, so that a reader may map them.
  [[nodiscard]] std::uint64_t bitmap_end() const {
    return sizeof(Header64) + kPageSize + bitmap_blocks() * kPageSize;
  }

  Result<void> count_pages() {
    auto pages = runs();
    std::uint64_t end = 0;
    while (const auto run = pages.next()) {
      stored_pages_ += run->count;
      if (run_count_ == 0 || run->first != end) ++run_count_;
      end = run->first + run->count;
    }
    if (is_full_ && run_count_ > header_.memory.runs.size()) {
      return fail("dmp-full: {} runs of pages, at most {} fit in the header: dmp can have them",
                  run_count_, header_.memory.runs.size());
    }
    if (end > kMostPages) {
      return fail("dmp: page {:#x} at {:#x}: pages below {:#x} are expected", end - 1,
                  (end - 1) * kPageSize, kMostPages);
    }
    bits_ = align_up(end, kBitsAtOnce);
    return {};
  }

  /// In a dump with a bitmap they are there, too, if they fit: as Windows has them.
  void put_runs() {
    if (run_count_ > header_.memory.runs.size()) return;
    dmp::Block64 block = {};
    block.run_count = run_count_;
    block.page_count = stored_pages_;
    auto pages = runs();
    std::size_t at = 0;
    while (const auto run = pages.next()) {
      if (at > 0 && block.runs[at - 1].base_page + block.runs[at - 1].page_count == run->first) {
        block.runs[at - 1].page_count += run->count;
      } else {
        block.runs[at++] = {run->first, run->count};
      }
    }
    header_.memory = block;
  }

  Result<void> write_bitmap(std::uint64_t first_page) {
    dmp::BitmapHeader head = {};
    head.signature = dmp::kFullSignature;
    head.valid = dmp::kValid32;
    head.first_page = first_page;
    head.present_pages = stored_pages_;
    head.page_count = bits_;
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(&head, 1))));
    BitmapWriter bitmap(sink_, kPageSize);
    auto pages = runs();
    while (const auto run = pages.next()) ENGRAM_CHECK(bitmap.set(*run));
    ENGRAM_CHECK(bitmap.finish(bitmap_blocks()));
    return sink_.zeros(first_page - sink_.position().value);
  }

  /// Each page of which a byte is there; what of it is not there is zeros.
  Result<void> write_pages() {
    PresentRanges ranges(survey_.memory);
    RangeCopier copier(survey_, sink_, options_);
    PhysAddr at;  // where the last range ended
    while (const auto range = ranges.next()) {
      const PhysAddr page(align_down(range->start.value, kPageSize));
      const std::uint64_t rest = -at.value & kPageMask;
      ENGRAM_CHECK(page >= at ? fill(rest + (range->start - page)) : fill(range->start - at));
      ENGRAM_CHECK(copier.copy(*range));
      at = range->start + range->size;
    }
    return fill(-at.value & kPageMask);
  }

  Result<void> fill(std::uint64_t count) {
    survey_.all.filled += count;
    return sink_.zeros(count);
  }

  Survey& survey_;
  const bool is_full_;
  FileSink& sink_;
  const WriteOptions& options_;
  Header64 header_;
  std::uint64_t stored_pages_ = 0;
  std::uint32_t run_count_ = 0;
  std::uint64_t bits_ = 0;
};

}  // namespace

Result<Written> write_dmp(const guest::Memory& memory, const Facts& facts, DmpKind kind,
                          FileSink& sink, const WriteOptions& options) {
  if (!facts.crash) {
    return fail("dmp: a crash dump is of Windows, and what its header says is not known");
  }
  if (!facts.crash->is_64_bit) {
    return fail("dmp: a 32-bit machine: only dumps of 64-bit ones are written");
  }
  ENGRAM_TRY(Survey found, survey(memory, options));
  ENGRAM_CHECK(DmpWriter(found, *facts.crash, kind, sink, options).write());
  return found.all;
}

}  // namespace engram::image
