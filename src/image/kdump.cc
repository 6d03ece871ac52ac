// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

#include "image/elf_notes.h"
#include "image/kdump_layout.h"
#include "image/kdump_pages.h"

namespace engram::image::kdump {
namespace {

using guest::Backing;

constexpr std::uint64_t kMostNoteBytes = 64 * kMiB;
constexpr std::uint64_t kMostTextBytes = 1 * kMiB;  // VMCOREINFO, erase information
// Of how many of the last pages the end of their bytes is looked up, to find out whether the file
// is cut: pages of zeros share the bytes of the first one.
constexpr std::uint64_t kLastPages = 1024;

struct Kind {
  std::uint16_t elf_machine;
  Architecture architecture;
};

Kind kind_of(const Header& header) {
  if (header.machine == "x86_64") return {EM_X86_64, Architecture::x86_64};
  if (header.machine == "aarch64") return {EM_AARCH64, Architecture::arm64};
  if (header.machine == "i686" || header.machine == "i386") {
    return {EM_386, Architecture::x86};
  }
  return {EM_NONE, Architecture::unknown};
}

/// Turns the files of one dump, sorted by their pages, into Contents.
class Reader {
 public:
  Reader(Contents contents, std::vector<FilePages> files)
      : contents_(std::move(contents)), files_(std::move(files)) {}

  Result<Contents> read() {
    auto problems = std::make_shared<PageProblems>();
    for (FilePages& file : files_) {
      add_lost(first_, file.header().first_page);
      add_pages(file);
      first_ = file.header().end_page;
    }
    add_lost(first_, files_[0].header().page_count);
    if (stored_ + elsewhere_ == 0) return fail("kdump: no page in it{}", first_notice());
    count_left_out();
    add_facts();
    say_losses();

    const auto pages = std::make_shared<const Pages>(std::move(files_), problems);
    set_source(contents_, std::make_shared<const PageMemory>(pages), std::move(problems));
    return std::move(contents_);
  }

 private:
  [[nodiscard]] const Header& header() const { return files_[0].header(); }
  [[nodiscard]] PhysAddr address(std::uint64_t page) const {
    return PhysAddr(page * header().page_size);
  }
  [[nodiscard]] std::string first_notice() const {
    return contents_.notices.empty() ? "" : "; " + contents_.notices[0].text;
  }
  void warn(std::string text) { contents_.notices.push_back({Level::warning, std::move(text)}); }

  void add_pages(FilePages& file) {
    const std::uint64_t there = file.descriptors_there();
    const auto indexed = file.index([&](std::uint64_t page, std::uint64_t count,
                                        std::uint64_t number) {
      const std::uint64_t readable = number < there ? std::min(count, there - number) : 0;
      stored_ += readable;
      lost_ += count - readable;
      add_run(page, count, readable, file.header().descriptors + number * sizeof(PageDescriptor));
    });
    check_bitmap(file, indexed.known, file.header().end_page);
    check_end(file, std::min(there, indexed.stored));
  }

  /// Whether the bitmap of stored pages could be read up to `end`.
  void check_bitmap(const FilePages& file, std::uint64_t known, std::uint64_t end) {
    if (known >= end) return;
    contents_.truncated = true;
    bitmap_is_cut_ = true;
    warn(fmt::format("kdump: the bitmap cannot be read at {:#x}: pages {:#x} to {:#x} are unknown",
                     (file.header().bitmap + known / 8).value, known, end - 1));
  }

  /// The pages of files that are not here.
  void add_lost(std::uint64_t first, std::uint64_t end) {
    if (first >= end) return;
    const std::uint64_t known = files_[0].visit_runs(header().bitmap, first, end,
                                                     [&](std::uint64_t page, std::uint64_t count) {
                                                       elsewhere_ += count;
                                                       add_run(page, count, 0, FileOffset(0));
                                                     });
    check_bitmap(files_[0], known, end);
  }

  void add_run(std::uint64_t page, std::uint64_t count, std::uint64_t readable, FileOffset at) {
    const std::uint64_t size = header().page_size;
    if (contents_.ranges.size() == kMostRanges) {
      unlisted_ += count;
      return;
    }
    contents_.ranges.push_back({address(page), count * size, at, count * size, readable * size, 0});
    if (readable > 0) {
      contents_.regions.push_back({address(page), readable * size, Backing::source, nullptr});
    }
    if (readable < count) {
      contents_.regions.push_back(
          {address(page + readable), (count - readable) * size, Backing::unreadable, nullptr});
    }
  }

  /// Whether the file has what the last of its descriptors promise.
  void check_end(const FilePages& file, std::uint64_t there) {
    std::uint64_t end = 0;
    for (std::uint64_t i = there - std::min(there, kLastPages); i < there; ++i) {
      const auto descriptor = file.descriptor(i);
      if (!descriptor || descriptor->size > header().page_size) continue;
      end = std::max(end, FileOffset(descriptor->offset)
                              .checked_add(descriptor->size)
                              .value_or(FileOffset(0))
                              .value);
    }
    if (end <= file.file().size()) return;
    contents_.truncated = true;
    warn(
        fmt::format("kdump: the file ends at {:#x}, its pages at {:#x}: the last ones are not "
                    "readable",
                    file.file().size(), end));
  }
  void add_facts() {
    const Kind kind = kind_of(header());
    Facts& facts = contents_.facts;
    facts.architecture = kind.architecture;
    facts.byte_order = header().order.is_big() ? std::endian::big : std::endian::little;
    elf::NoteReader notes(kind.elf_machine, header().order);
    const auto& part = header().notes;
    const auto bytes = files_[0].file().copy(part.at, std::min(part.size, kMostNoteBytes));
    if (!notes.add(bytes) || bytes.size() < part.size) {
      warn(fmt::format(
          "kdump: the notes at {:#x} are cut or damaged; what comes before that is used",
          part.at.value));
    }
    std::move(notes).finish(facts);
    if (auto text = part_text(header().vmcoreinfo)) facts.vmcoreinfo = std::move(text);
    add_header_facts();
  }

  /// Nothing if there is none.
  [[nodiscard]] std::optional<std::string> part_text(const Header::Part& part) const {
    if (part.size == 0 || part.size > kMostTextBytes) return std::nullopt;
    const auto bytes = files_[0].file().copy(part.at, part.size);
    if (bytes.empty()) return std::nullopt;
    return std::string(text_until_nul(bytes));
  }

  void add_header_facts() {
    auto& facts = contents_.facts.header;
    const auto add = [&facts](const char* name, std::string value) {
      if (!value.empty()) facts.emplace_back(name, std::move(value));
    };
    const Header& h = header();
    add("signature", h.signature);
    add("header_version", fmt::format("{}", h.version));
    add("node", h.node);
    add("release", h.release);
    add("version", h.kernel_version);
    add("machine", h.machine);
    if (h.time != 0 && h.time < 1ULL << 40U) {
      add("time",
          fmt::format("{:%Y-%m-%d %H:%M:%S}Z", fmt::gmtime(static_cast<std::time_t>(h.time))));
    }
    add("status", status_text(h.status));
    add("page_size", fmt::format("{}", h.page_size));
    add("pages", fmt::format("{}", h.page_count));
    add("stored_pages", fmt::format("{}", stored_));
    if (left_out_ > 0) add("left_out_pages", fmt::format("{}", left_out_));
    add("dump_level", level_text(h.dump_level));
    if (files_[0].file().flattened()) add("flattened", "yes");
    for (const FilePages& file : files_) {
      if (!file.header().split) continue;
      add("split", fmt::format("pages {:#x} to {:#x}", file.header().first_page,
                               file.header().end_page - 1));
    }
    add("erase_info", part_text(h.erase_info).value_or(""));
  }

  static std::string status_text(std::uint32_t status) {
    std::string text;
    const auto add = [&](std::uint32_t flag, const char* name) {
      if ((status & flag) == 0) return;
      if (!text.empty()) text += ", ";
      text += name;
    };
    add(kFlagZlib, "zlib");
    add(kFlagLzo, "lzo");
    add(kFlagSnappy, "snappy");
    add(kFlagZstd, "zstd");
    if (text.empty()) text = "not compressed";
    add(kFlagIncomplete, "incomplete");
    add(kFlagWithoutVmemmap, "without the array of page structures");
    return text;
  }

  /// Source: makedumpfile(8), option -d.
  static std::string level_text(std::uint32_t level) {
    static constexpr std::array<const char*, 5> kKinds = {
        "pages of zeros", "page cache", "private page cache", "pages of processes", "free pages"};
    std::string text = fmt::format("{}", level);
    const char* separator = ": ";
    for (std::size_t bit = 0; bit < kKinds.size(); ++bit) {
      if (((level >> bit) & 1U) == 0) continue;
      text += separator;
      text += kKinds[bit];
      separator = ", ";
    }
    return text;
  }

  /// Pages that are memory by the first bitmap and not in the dump by the second.
  void count_left_out() {
    if (header().ram_bitmap == header().bitmap || bitmap_is_cut_) return;
    std::uint64_t memory = 0;
    const std::uint64_t known =
        files_[0].visit_runs(header().ram_bitmap, 0, header().page_count,
                             [&memory](std::uint64_t, std::uint64_t count) { memory += count; });
    if (known < header().page_count) {
      contents_.truncated = true;
      warn(
          fmt::format("kdump: the bitmap of what is memory cannot be read at {:#x}: how many of "
                      "its pages were left out of the dump is unknown",
                      (header().ram_bitmap + known / 8).value));
      return;
    }
    const std::uint64_t dumped = stored_ + lost_ + elsewhere_;
    left_out_ = memory > dumped ? memory - dumped : 0;
  }

  void say_losses() {
    if (lost_ > 0) {
      warn(fmt::format("kdump: the descriptors of {} of {} pages lie behind the end of the file",
                       lost_, stored_ + lost_));
    }
    if ((header().status & kFlagIncomplete) != 0) {
      warn(
          "kdump: the header says that the dump is incomplete: it ended before all pages were "
          "written");
    }
    if (elsewhere_ > 0) {
      contents_.incomplete_split = true;
      warn(
          fmt::format("kdump: one dump was split over several files: {} of its {} pages are in "
                      "files that were not given",
                      elsewhere_, stored_ + lost_ + elsewhere_));
    }
    if (unlisted_ > 0) {
      warn(fmt::format("kdump: more than {} runs of pages: the {} pages behind them are not used",
                       kMostRanges, unlisted_));
    }
    if (left_out_ > 0) {
      contents_.notices.push_back(
          {Level::info, fmt::format("kdump: {} pages of memory were left out of the dump (level "
                                    "{}): they are absent",
                                    left_out_, level_text(header().dump_level))});
    }
  }

  Contents contents_;
  std::vector<FilePages> files_;
  std::uint64_t first_ = 0;      // behind the pages of the files so far
  std::uint64_t stored_ = 0;     // pages that have a descriptor
  std::uint64_t lost_ = 0;       // pages whose descriptor lies behind the end of the file
  std::uint64_t elsewhere_ = 0;  // pages in files that are not here
  std::uint64_t left_out_ = 0;   // pages that are in none
  std::uint64_t unlisted_ = 0;   // of those in the dump: behind the most runs that are listed
  bool bitmap_is_cut_ = false;   // there may be more of all these
};

Result<void> check_together(const std::vector<FilePages>& files) {
  for (std::size_t i = 0; i + 1 < files.size(); ++i) {
    const Header& one = files[i].header();
    const Header& next = files[i + 1].header();
    if (!one.split || !next.split)
      return fail("kdump: several files, but one of them is not split");
    if (one.page_size != next.page_size || one.page_count != next.page_count ||
        one.time != next.time || one.order.is_big() != next.order.is_big()) {
      return fail(
          "kdump: the files are of different dumps: {:#x} and {:#x} pages, made at {} and {}",
          one.page_count, next.page_count, one.time, next.time);
    }
    if (next.first_page < one.end_page) {
      return fail("kdump: two files have the pages from {:#x} on", next.first_page);
    }
  }
  return {};
}

}  // namespace

bool sniff(Bytes head) {
  const auto is = [head](std::string_view magic) {
    return head.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), head.begin(),
                      [](char c, std::byte b) { return static_cast<std::byte>(c) == b; });
  };
  return is(kSignature) || is(kDiskdumpSignature) || is_flattened(head);
}

Result<Contents> open_files(std::span<const FileView> files) {
  Contents contents;
  contents.format = "kdump";
  std::vector<FilePages> pages;
  for (const FileView& file : files) {
    ENGRAM_TRY(auto plain, PlainFile::open(file, contents));
    ENGRAM_TRY(auto header, read_header(plain, contents));
    pages.emplace_back(std::move(plain), std::move(header));
  }
  std::sort(pages.begin(), pages.end(), [](const FilePages& a, const FilePages& b) {
    return a.header().first_page < b.header().first_page;
  });
  ENGRAM_CHECK(check_together(pages));
  return Reader(std::move(contents), std::move(pages)).read();
}

Result<Contents> open(FileView file) {
  return open_files(std::span(&file, 1));
}

}  // namespace engram::image::kdump
