// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "image/kdump_layout.h"
#include "image/kdump_packing.h"
#include "image/write_notes.h"
#include "image/write_ranges.h"

namespace engram::image {
namespace {

constexpr std::uint32_t kVersion = 6;
constexpr std::uint64_t kMostPages = std::uint64_t{1} << 34;  // as the reader

/// Pages that are packed by one task: making its working memory must not count.
constexpr std::size_t kPagesInTask = 1024;

/// The value behind KEY= at the beginning of a line of VMCOREINFO.
std::optional<std::string_view> vmcoreinfo_value(const Facts& facts, std::string_view key) {
  if (!facts.vmcoreinfo) return std::nullopt;
  std::string_view rest = *facts.vmcoreinfo;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=') {
      return line.substr(key.size() + 1);
    }
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return std::nullopt;
}

std::int64_t vmcoreinfo_number(const Facts& facts, std::string_view key) {
  const auto text = vmcoreinfo_value(facts, key).value_or("");
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::uint64_t page_size_of(const Facts& facts) {
  const auto size = static_cast<std::uint64_t>(vmcoreinfo_number(facts, "PAGESIZE"));
  return std::has_single_bit(size) && size >= kPageSize && size <= 64 * kKiB ? size : kPageSize;
}

std::uint32_t flag_of(Codec codec) {
  switch (codec) {
    case Codec::none:
      break;
    case Codec::zlib:
      return kdump::kFlagZlib;
    case Codec::lzo:
      return kdump::kFlagLzo;
    case Codec::snappy:
      return kdump::kFlagSnappy;
    case Codec::zstd:
      return kdump::kFlagZstd;
  }
  return 0;
}

/// What uname says there. Errors: a machine whose headers are others.
Result<std::string_view> machine_name(const Facts& facts) {
  const std::uint16_t machine = machine_of(facts);
  switch (machine) {
    case EM_X86_64:
      return "x86_64";
    case EM_AARCH64:
      return "aarch64";
    case EM_PPC64:
      return facts.byte_order == std::endian::big ? "ppc64" : "ppc64le";
    case EM_S390:
      return "s390x";
    case EM_RISCV:
      return "riscv64";
    case EM_386:
    case EM_ARM:
    case EM_PPC:
      return fail("kdump: a 32-bit machine (ELF machine {}): only dumps of 64-bit ones are written",
                  machine);
    default:
      return "";
  }
}

void put(std::string_view text, kdump::Name& name) {
  std::copy_n(text.begin(), std::min(text.size(), name.size() - 1), name.begin());
}

/// The file from its beginning: header, second header with the notes, the bitmaps, a descriptor for
/// each page, the pages. Descriptors are written when their pages have been packed.
class KdumpWriter {
 public:
  KdumpWriter(Survey& survey, const Facts& facts, Codec codec, FileSink& sink,
              const WriteOptions& options)
      : survey_(survey),
        facts_(facts),
        packing_{survey.memory, codec, page_size_of(facts)},
        sink_(sink),
        meter_(options, WriteState::Step::writing, survey.all.bytes),
        order_(byte_order_of(facts)),
        notes_(make_notes(facts)) {}

  /// Errors: more pages than a file may have; those of the sink and the memory.
  Result<void> write() {
    ENGRAM_TRY(const auto machine, machine_name(facts_));
    ENGRAM_CHECK(PagePacker::create(packing_.codec));
    ENGRAM_CHECK(count_pages());
    ENGRAM_CHECK(write_headers(machine));
    ENGRAM_CHECK(write_bitmap(PresentRanges::Which::all));
    ENGRAM_CHECK(write_bitmap(PresentRanges::Which::readable));
    next_descriptor_ = sink_.position();
    ENGRAM_CHECK(sink_.zeros(stored_pages_ * sizeof(kdump::PageDescriptor)));
    return write_pages();
  }

 private:
  [[nodiscard]] PageRuns runs(PresentRanges::Which which) const {
    return {survey_.memory, packing_.page_size, which};
  }
  [[nodiscard]] std::uint64_t blocks(std::uint64_t bytes) const {
    return (bytes + packing_.page_size - 1) / packing_.page_size;
  }
  [[nodiscard]] std::uint64_t bitmap_blocks() const { return blocks((page_count_ + 7) / 8); }

  Result<void> count_pages() {
    auto all = runs(PresentRanges::Which::all);
    while (const auto run = all.next()) page_count_ = run->first + run->count;
    if (page_count_ > kMostPages) {
      return fail("kdump: page {:#x} at {:#x}: pages below {:#x} are expected", page_count_ - 1,
                  (page_count_ - 1) * packing_.page_size, kMostPages);
    }
    auto readable = runs(PresentRanges::Which::readable);
    while (const auto run = readable.next()) stored_pages_ += run->count;
    return {};
  }

  Result<void> write_headers(std::string_view machine) {
    const std::uint64_t sub_blocks = blocks(sizeof(kdump::SubHeader64) + notes_.bytes.size());
    kdump::Header64 header = {};
    std::copy(kdump::kSignature.begin(), kdump::kSignature.end(), header.signature.begin());
    header.version = order_(kVersion);
    if (facts_.vmcoreinfo) put("Linux", header.system);
    put(vmcoreinfo_value(facts_, "OSRELEASE").value_or(""), header.release);
    put(machine, header.machine);
    header.status = order_(flag_of(packing_.codec));
    header.block_size = order_(static_cast<std::uint32_t>(packing_.page_size));
    header.sub_header_blocks = order_(static_cast<std::uint32_t>(sub_blocks));
    header.bitmap_blocks = order_(static_cast<std::uint32_t>(2 * bitmap_blocks()));
    header.page_count = order_(static_cast<std::uint32_t>(
        std::min<std::uint64_t>(page_count_, std::numeric_limits<std::uint32_t>::max())));
    // A machine has one, whatever the image knows of it; crash(8) warns of none.
    header.cpu_count =
        order_(static_cast<std::uint32_t>(std::max<std::size_t>(facts_.cpus.size(), 1)));
    ENGRAM_CHECK(write_block(header));

    const std::uint64_t notes_at = packing_.page_size + sizeof(kdump::SubHeader64);
    kdump::SubHeader64 sub = {};
    sub.phys_base =
        order_(static_cast<std::uint64_t>(vmcoreinfo_number(facts_, "NUMBER(phys_base)")));
    sub.page_count_64 = order_(page_count_);
    if (notes_.vmcoreinfo_size > 0) {
      sub.vmcoreinfo_at = order_(notes_at + notes_.vmcoreinfo_at);
      sub.vmcoreinfo_size = order_(notes_.vmcoreinfo_size);
    }
    if (!notes_.bytes.empty()) {
      sub.notes_at = order_(notes_at);
      sub.notes_size = order_(std::uint64_t{notes_.bytes.size()});
    }
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(&sub, 1))));
    ENGRAM_CHECK(sink_.write(notes_.bytes));
    return sink_.zeros((1 + sub_blocks) * packing_.page_size - sink_.position().value);
  }

  template <class T>
  Result<void> write_block(const T& value) {
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(&value, 1))));
    return sink_.zeros(packing_.page_size - sizeof value);
  }

  Result<void> write_bitmap(PresentRanges::Which which) {
    BitmapWriter bitmap(sink_, packing_.page_size);
    auto pages = runs(which);
    while (const auto run = pages.next()) ENGRAM_CHECK(bitmap.set(*run));
    return bitmap.finish(bitmap_blocks());
  }

  Result<void> write_pages() {
    Tasks tasks;
    std::vector<std::uint64_t> numbers;
    auto pages = runs(PresentRanges::Which::readable);
    while (const auto run = pages.next()) {
      for (std::uint64_t i = 0; i < run->count; ++i) {
        numbers.push_back(run->first + i);
        if (numbers.size() < kPagesInTask) continue;
        ENGRAM_CHECK(add(std::move(numbers), tasks));
        numbers.clear();
      }
    }
    ENGRAM_CHECK(add(std::move(numbers), tasks));
    while (!tasks.empty()) ENGRAM_CHECK(take(tasks));
    return {};
  }

  using Tasks = InOrder<PackedPages>;

  Result<void> add(std::vector<std::uint64_t> numbers, Tasks& tasks) {
    if (tasks.full()) ENGRAM_CHECK(take(tasks));
    tasks.add([this, numbers = std::move(numbers)] { return pack_pages(packing_, numbers); });
    return {};
  }

  Result<void> take(Tasks& tasks) {
    ENGRAM_TRY(const PackedPages packed, tasks.take());
    std::vector<kdump::PageDescriptor> descriptors;
    descriptors.reserve(packed.pages.size());
    bool has_zero = false;
    for (const auto& page : packed.pages) has_zero = has_zero || page.size == 0;
    if (has_zero && !zero_page_) ENGRAM_CHECK(write_zero_page());
    std::uint64_t at = sink_.position().value;
    for (const auto& page : packed.pages) {
      descriptors.push_back(page.size == 0 ? *zero_page_ : describe(at, page));
      at += page.size;
    }
    ENGRAM_CHECK(sink_.write(packed.bytes));
    ENGRAM_CHECK(sink_.write_over(next_descriptor_, std::as_bytes(std::span(descriptors))));
    next_descriptor_ = next_descriptor_ + descriptors.size() * sizeof descriptors[0];
    survey_.all.filled += packed.filled;
    return meter_.add(packed.pages.size() * packing_.page_size - packed.filled);
  }

  /// The one that all pages of zeros share.
  Result<void> write_zero_page() {
    ENGRAM_TRY(const auto packer, PagePacker::create(packing_.codec));
    const std::vector<std::byte> page(static_cast<std::size_t>(packing_.page_size));
    const Bytes gain = packer->pack(page);
    const Bytes bytes = gain.empty() ? Bytes(page) : gain;
    zero_page_ =
        describe(sink_.position().value, {static_cast<std::uint32_t>(bytes.size()), !gain.empty()});
    return sink_.write(bytes);
  }

  [[nodiscard]] kdump::PageDescriptor describe(std::uint64_t at, PackedPages::Page page) const {
    return {order_(at), order_(page.size), order_(page.is_packed ? flag_of(packing_.codec) : 0U),
            0};
  }

  Survey& survey_;
  const Facts& facts_;
  const Packing packing_;
  FileSink& sink_;
  Meter meter_;
  const elf::ByteOrder order_;
  const Notes notes_;
  std::uint64_t page_count_ = 0;    // one more than the highest number
  std::uint64_t stored_pages_ = 0;  // each has a descriptor
  FileOffset next_descriptor_;
  std::optional<kdump::PageDescriptor> zero_page_;
};

}  // namespace

Result<Written> write_kdump(const guest::Memory& memory, const Facts& facts, Codec codec,
                            FileSink& sink, const WriteOptions& options) {
  ENGRAM_TRY(Survey found, survey(memory, options));
  ENGRAM_CHECK(KdumpWriter(found, facts, codec, sink, options).write());
  return found.all;
}

}  // namespace engram::image
