// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/migration_stream.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <map>
#include <utility>

#include "base/magic.h"
#include "image/bit_runs.h"
#include "image/contents.h"
#include "image/elf_layout.h"
#include "image/migration_blocks.h"
#include "image/migration_layout.h"

namespace engram::image::migration {
namespace {

constexpr elf::ByteOrder kBigEndian(true);

constexpr std::size_t kMostNames = 65'536;  // of sections, of blocks, of capabilities
constexpr std::uint64_t kLongestMachine = 1024;
constexpr std::uint64_t kSearchChunk = 256 * kKiB;

/// Takes numbers and names from a file, one after the other.
class Cursor {
 public:
  Cursor(const FileView& file, FileOffset at) : file_(file), at_(at) {}

  [[nodiscard]] FileOffset at() const { return at_; }
  [[nodiscard]] bool at_end() const { return at_.value >= file_.size(); }
  void go_to(FileOffset at) { at_ = at; }
  void skip(std::uint64_t bytes) {
    at_ = at_.checked_add(bytes).value_or(FileOffset(file_.size()));
  }

  template <std::unsigned_integral T>
  bool take(T& value) {
    const auto found = file_.load<T>(at_);
    if (!found) return false;
    value = kBigEndian(*found);
    at_ = at_ + sizeof value;
    return true;
  }
  bool take_text(std::uint64_t length, std::string& text) {
    const auto bytes = file_.copy(at_, length);
    if (bytes.size() < length) return false;
    text = printable(bytes);
    at_ = at_ + length;
    return true;
  }
  /// A name behind a byte with its length.
  bool take_name(std::string& name) {
    std::uint8_t length = 0;
    return take(length) && take_text(length, name);
  }
  [[nodiscard]] std::optional<Part> peek() const {
    const auto found = file_.load<std::uint8_t>(at_);
    return found ? std::optional(static_cast<Part>(*found)) : std::nullopt;
  }

 private:
  const FileView& file_;
  FileOffset at_;
};

/// Each function that returns bool says whether to go on; if not, the stream says why.
class Walker {
 public:
  Walker(const FileView& file, FileOffset at) : file_(file), cursor_(file, at) {
    stream_.pages = PageIndex(FileOffset(file.size()));
  }

  Result<Stream> read() {
    std::uint32_t magic = 0;
    std::uint32_t version = 0;
    if (!cursor_.take(magic) || !cursor_.take(version)) {
      return fail("migration: the file ends inside the header");
    }
    if (version != kVersion) {
      return fail("migration: version {}, {} is expected", version, kVersion);
    }
    ENGRAM_TRY(bool go_on, read_configuration());
    while (go_on) go_on = read_part();
    stream_.pages.finish();
    return std::move(stream_);
  }

 private:
  struct Section {
    std::string name;
    std::uint32_t instance = 0;
    std::uint32_t version = 0;
  };

  template <class... Args>
  bool stop(fmt::format_string<Args...> format, Args&&... args) {
    stream_.problem = fmt::format(format, std::forward<Args>(args)...);
    return false;
  }
  bool stop_at_end() {
    stream_.cut = true;
    const bool is_there = cursor_.at_end() || cursor_.peek();
    return is_there ? stop("the file ends at {:#x}", file_.size())
                    : stop("{}", file_.lack(cursor_.at(), 1));
  }

  /// Errors: a page size that is not read.
  Result<bool> read_configuration() {
    if (cursor_.peek() != Part::configuration) return true;
    cursor_.skip(1);
    std::uint32_t length = 0;
    if (!cursor_.take(length) || length > kLongestMachine ||
        !cursor_.take_text(length, stream_.machine)) {
      return fail("migration: the name of the machine is cut or damaged");
    }
    while (cursor_.peek() == Part::subsection) {
      cursor_.skip(1);
      std::string name;
      std::uint32_t version = 0;
      if (!cursor_.take_name(name) || !cursor_.take(version)) return stop_at_end();
      if (name == "configuration/target-page-bits") {
        std::uint32_t bits = 0;
        if (!cursor_.take(bits)) return stop_at_end();
        if (bits != kPageBits) {
          return fail("migration: pages of 2^{} bytes, 2^{} are expected", bits, kPageBits);
        }
      } else if (name == "configuration/capabilities") {
        if (!read_capabilities()) return false;
      } else if (name == "configuration/uuid") {
        cursor_.skip(16);
      } else {
        return fail("migration: unknown part \"{}\" of the configuration at {:#x}",
                    name.substr(0, 60), cursor_.at().value);
      }
    }
    return true;
  }

  bool read_capabilities() {
    std::uint32_t count = 0;
    if (!cursor_.take(count)) return stop_at_end();
    if (count > kMostNames) return stop("{} capabilities at {:#x}", count, cursor_.at().value);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string name;
      if (!cursor_.take_name(name)) return stop_at_end();
      stream_.capabilities.push_back(std::move(name));
    }
    return true;
  }
  [[nodiscard]] bool has_capability(std::string_view name) const {
    const auto& all = stream_.capabilities;
    return std::find(all.begin(), all.end(), name) != all.end();
  }

  bool read_part() {
    const FileOffset at = cursor_.at();
    std::uint8_t type = 0;
    if (!cursor_.take(type)) return stop_at_end();
    switch (static_cast<Part>(type)) {
      case Part::end:
        return read_description();
      case Part::section_start:
      case Part::section_full:
        return begin_section();
      case Part::section_part:
      case Part::section_end:
        return go_on_with_section(static_cast<Part>(type));
      case Part::command: {
        std::uint16_t command = 0;
        std::uint16_t length = 0;
        if (!cursor_.take(command) || !cursor_.take(length)) return stop_at_end();
        cursor_.skip(length);
        return true;
      }
      default:
        return stop("byte {:#x} at {:#x} begins no part of a stream", type, at.value);
    }
  }

  /// What the devices' states mean, as JSON: behind the end, and the last thing in a file.
  bool read_description() {
    if (cursor_.peek() != Part::description) return false;
    cursor_.skip(1);
    std::uint32_t length = 0;
    if (!cursor_.take(length)) return stop_at_end();
    cursor_.skip(length);
    return cursor_.at().value > file_.size() && stop_at_end();
  }

  bool begin_section() {
    std::uint32_t id = 0;
    Section section;
    if (!cursor_.take(id) || !cursor_.take_name(section.name) || !cursor_.take(section.instance) ||
        !cursor_.take(section.version)) {
      return stop_at_end();
    }
    if (sections_.size() == kMostNames) return stop("more than {} sections", kMostNames);
    sections_[id] = section;
    if (section.name != "ram") return skip_device(id, section);
    if (section.version != kRamVersion) {
      return stop("section \"ram\" has version {}, {} is expected", section.version, kRamVersion);
    }
    return read_ram() && read_footer(id);
  }

  bool go_on_with_section(Part type) {
    std::uint32_t id = 0;
    if (!cursor_.take(id)) return stop_at_end();
    const auto found = sections_.find(id);
    if (found == sections_.end()) {
      return stop("section {:#x} at {:#x} goes on without having begun", id, cursor_.at().value);
    }
    if (found->second.name != "ram") return skip_device(id, found->second);
    if (!read_ram()) return false;
    if (type == Part::section_end) has_all_ram_ = true;
    return read_footer(id);
  }

  /// Streams of QEMU before 2.4 have none.
  bool read_footer(std::uint32_t id) {
    if (cursor_.peek() != Part::footer) return true;
    has_footers_ = true;
    cursor_.skip(1);
    std::uint32_t found = 0;
    if (!cursor_.take(found)) return stop_at_end();
    if (found == id) return true;
    return stop("the footer at {:#x} is of section {:#x}, {:#x} is expected",
                cursor_.at().value - 5, found, id);
  }

  /// Only a device knows how long its state is: the footer behind it is looked for.
  bool skip_device(std::uint32_t id, const Section& section) {
    const FileOffset begin = cursor_.at();
    const auto end = find_footer(id, begin);
    if (!end) {
      if (!has_footers_ && has_all_ram_) return false;  // nothing else is needed
      stream_.cut = has_footers_;
      return stop("the end of section \"{}\" at {:#x} was not found", section.name, begin.value);
    }
    if (stream_.devices.size() < kMostNames) {
      stream_.devices.push_back(
          {section.name, section.instance, section.version, begin, *end - begin});
    }
    cursor_.go_to(*end + 5);
    return true;
  }

  /// Where the next footer of section `id` lies that another part follows.
  [[nodiscard]] std::optional<FileOffset> find_footer(std::uint32_t id, FileOffset from) const {
    std::array<std::byte, 5> footer = {static_cast<std::byte>(Part::footer)};
    const std::uint32_t big = kBigEndian(id);
    std::memcpy(footer.data() + 1, &big, sizeof big);
    for (FileOffset at = from; at.value < file_.size(); at = at + kSearchChunk) {
      const auto bytes = file_.copy(at, kSearchChunk + footer.size());
      for (auto place = bytes.begin();; ++place) {
        place = std::search(place, bytes.end(), footer.begin(), footer.end());
        if (place == bytes.end()) break;
        const FileOffset found = at + static_cast<std::uint64_t>(place - bytes.begin());
        const auto next = file_.load<std::uint8_t>(found + footer.size());
        if (!next || *next <= 0x04 || *next == static_cast<std::uint8_t>(Part::command)) {
          return found;
        }
      }
      if (bytes.size() < kSearchChunk) break;
    }
    return std::nullopt;
  }

  bool read_ram() {
    for (;;) {
      const FileOffset at = cursor_.at();
      std::uint64_t record = 0;
      if (!cursor_.take(record)) return stop_at_end();
      const std::uint64_t address = record & ~kPageMask;
      const std::uint64_t flags = record & kPageMask;
      if (flags == kFlagEnd) return true;
      if (flags == kFlagFlush) continue;
      const bool go_on =
          flags == kFlagMemorySize ? read_blocks(address) : read_page(at, address, flags);
      if (!go_on) return false;
    }
  }

  bool read_blocks(std::uint64_t total) {
    if (!stream_.blocks.empty())
      return stop("a second list of blocks at {:#x}", cursor_.at().value);
    std::vector<Mapping> mapped;
    for (std::uint64_t sum = 0; sum < total;) {
      const FileOffset at = cursor_.at();
      Block block;
      if (!cursor_.take_name(block.name) || !cursor_.take(block.size)) return stop_at_end();
      if (block.size > total - sum || block.size % kPageSize != 0 ||
          stream_.blocks.size() == kMostNames) {
        return stop(
            "block \"{}\" at {:#x} has {:#x} bytes; whole pages, and at most {:#x} are expected",
            block.name.substr(0, 60), at.value, block.size, total - sum);
      }
      sum += block.size;
      if (has_capability("x-ignore-shared")) cursor_.skip(8);  // where it is mapped
      if (!read_mapping(stream_.blocks.size(), block, mapped)) return false;
      block_names_.emplace(block.name, stream_.blocks.size());
      stream_.blocks.push_back(std::move(block));
    }
    choose_ram(stream_);
    if (stream_.ram_size / kPageSize >= Run::kEndOfPages) {
      return stop("{:#x} bytes of RAM", stream_.ram_size);
    }
    return add_mapped(mapped);
  }

  struct Mapping {
    std::size_t block = 0;
    MappedBlock header = {};
  };

  /// The place of a block's pages in the file, if they have one. A name, which would come instead,
  /// has at least one character.
  bool read_mapping(std::size_t index, const Block& block, std::vector<Mapping>& mapped) {
    const auto header = file_.load<MappedBlock>(cursor_.at());
    if (!header || kBigEndian(header->version) != kMappedVersion ||
        kBigEndian(header->page_size) != kPageSize) {
      return true;
    }
    stream_.has_mapped_pages = true;
    const FileOffset pages(kBigEndian(header->pages));
    cursor_.skip(sizeof *header);
    if (pages.value == 0) return true;  // shared memory, which is not in the file
    const auto end = pages.checked_add(block.size);
    if (!end || *end >= Run::kEndOfFile || pages < cursor_.at()) {
      return stop("block \"{}\": its pages lie at {:#x}, behind {:#x} is expected",
                  block.name.substr(0, 60), pages.value, cursor_.at().value);
    }
    mapped.push_back({index, *header});
    cursor_.go_to(*end);
    return true;
  }

  bool add_mapped(const std::vector<Mapping>& mapped) {
    bool is_plausible = true;
    for (const Mapping& mapping : mapped) {
      const Block& block = stream_.blocks[mapping.block];
      if (!block.ram_begin) continue;
      const FileOffset bitmap(kBigEndian(mapping.header.bitmap));
      const FileOffset pages(kBigEndian(mapping.header.pages));
      const std::uint64_t first = *block.ram_begin / kPageSize;
      const std::uint64_t count = block.size / kPageSize;
      std::uint64_t next = 0;
      const auto add = [&](std::uint64_t page, std::uint64_t end, Stored stored) {
        if (page == end) return;
        is_plausible = is_plausible && stream_.pages.add(first + page, end - page,
                                                         pages + page * kPageSize, stored);
      };
      const std::uint64_t known = find_runs(
          [&](std::uint64_t at, std::uint64_t size) { return file_.copy(bitmap + at, size); }, 0,
          count,
          [&](std::uint64_t page, std::uint64_t run) {
            add(next, page, Stored::zeros);
            add(page, page + run, Stored::mapped);
            stream_.records += run;
            next = page + run;
          });
      // Of a bitmap that cannot be read nothing can be said about the pages behind its end.
      add(next, known, Stored::zeros);
    }
    return is_plausible ||
           stop("more runs of pages than a file of {:#x} bytes can have", file_.size());
  }

  bool read_page(FileOffset at, std::uint64_t address, std::uint64_t flags) {
    if ((flags & kFlagContinue) == 0) {
      std::string name;
      if (!cursor_.take_name(name)) return stop_at_end();
      const auto found = block_names_.find(name);
      if (found == block_names_.end()) {
        return stop("the record at {:#x} is of block \"{}\", which is not in the list", at.value,
                    name.substr(0, 60));
      }
      block_ = found->second;
    }
    if (!block_ || address >= stream_.blocks[*block_].size) {
      return stop("the record at {:#x} is of address {:#x}, which its block does not have",
                  at.value, address);
    }
    return add_page(at, stream_.blocks[*block_], address, flags & ~kFlagContinue);
  }

  bool add_page(FileOffset at, const Block& block, std::uint64_t address, std::uint64_t kind) {
    const FileOffset data = cursor_.at();
    Stored stored = Stored::plain;
    if (kind == kFlagZero) {
      stored = Stored::fill;
      cursor_.skip(1);
    } else if (kind == kFlagPage) {
      cursor_.skip(kPageSize);
    } else if (kind == kFlagPacked) {
      stored = Stored::zlib;
      std::uint32_t size = 0;
      if (!cursor_.take(size)) return stop_at_end();
      cursor_.skip(size);
    } else if (kind == kFlagDelta) {
      cursor_.skip(1);
      std::uint16_t size = 0;
      if (!cursor_.take(size)) return stop_at_end();
      cursor_.skip(size);
    } else {
      return stop("the record at {:#x} has flags {:#x}{}", at.value, kind,
                  kind == kFlagHook ? ": its pages went another way (RDMA)" : "");
    }
    if (cursor_.at().value > file_.size()) return stop_at_end();
    ++stream_.records;
    if (!block.ram_begin) return true;
    const std::uint64_t page = (*block.ram_begin + address) / kPageSize;
    if (kind == kFlagDelta ? stream_.pages.add_delta(page, data)
                           : stream_.pages.add(page, 1, data, stored)) {
      return true;
    }
    return stop("more records before {:#x} than a file of pages can have", at.value);
  }

  const FileView& file_;
  Cursor cursor_;
  Stream stream_;
  std::map<std::uint32_t, Section> sections_;
  std::map<std::string, std::size_t> block_names_;
  std::optional<std::size_t> block_;  // of the last record
  bool has_footers_ = false;
  bool has_all_ram_ = false;
};

}  // namespace

bool is_stream(Bytes head) {
  return begins_with(head, kMagic);
}

Result<Stream> read_stream(const FileView& file, FileOffset at) {
  return Walker(file, at).read();
}

}  // namespace engram::image::migration
