// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <vector>

#include "image/elf_layout.h"
#include "image/write_notes.h"
#include "image/write_ranges.h"

namespace engram::image {
namespace {

template <class T>
Result<void> write_struct(const T& value, Sink& sink) {
  return sink.write(std::as_bytes(std::span(&value, 1)));
}

/// What there is to write, and where. The headers come first, then the note, then memory: each
/// range begins in its page of the file where it begins in its page of memory, so that a reader may
/// map it.
class ElfWriter {
 public:
  ElfWriter(const Survey& survey, const Facts& facts, Sink& sink, const WriteOptions& options)
      : survey_(survey),
        all_(survey.all),
        sink_(sink),
        options_(options),
        machine_(machine_of(facts)),
        notes_(make_notes(facts).bytes),
        order_(byte_order_of(facts)) {}

  /// Errors: more ranges or bytes than an ELF file can declare; those of the sink and the memory.
  Result<void> write() {
    if (segments() > std::numeric_limits<std::uint32_t>::max()) {
      return fail("write: {} ranges are too many for an ELF file", all_.ranges);
    }
    // Each range may need less than a page of padding.
    const auto padding = checked_multiply(all_.ranges + 1, kPageSize);
    const auto headers = checked_add(note_at() + notes_.size(), padding.value_or(~0ULL));
    if (!headers || !checked_add(*headers, all_.bytes)) {
      return fail("write: {:#x} bytes are too many for an ELF file", all_.bytes);
    }
    ENGRAM_CHECK(write_headers());
    ENGRAM_CHECK(write_segments());
    ENGRAM_CHECK(sink_.write(notes_));
    std::uint64_t at = note_at() + notes_.size();
    PresentRanges ranges(survey_.memory);
    RangeCopier copier(survey_, sink_, options_);
    while (const auto range = ranges.next()) {
      const std::uint64_t offset = place(*range, at);
      ENGRAM_CHECK(sink_.zeros(offset - at));
      ENGRAM_CHECK(copier.copy(*range));
      at = offset + range->size;
    }
    return {};
  }

 private:
  [[nodiscard]] bool has_note() const { return !notes_.empty(); }
  [[nodiscard]] std::uint64_t segments() const { return all_.ranges + (has_note() ? 1 : 0); }
  /// e_phnum has no room for the number: it is in section 0 then.
  [[nodiscard]] bool counts_in_section() const { return segments() >= PN_XNUM; }
  [[nodiscard]] std::uint64_t table_at() const {
    return sizeof(Elf64_Ehdr) + (counts_in_section() ? sizeof(Elf64_Shdr) : 0);
  }
  [[nodiscard]] std::uint64_t note_at() const {
    return table_at() + segments() * sizeof(Elf64_Phdr);
  }
  static std::uint64_t place(const PresentRange& range, std::uint64_t at) {
    return at + ((range.start.value - at) & kPageMask);
  }

  Result<void> write_headers() {
    Elf64_Ehdr header = {};
    std::copy_n(ELFMAG, SELFMAG, header.e_ident);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = order_.is_big() ? ELFDATA2MSB : ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = order_(Elf64_Half{ET_CORE});
    header.e_machine = order_(machine_);
    header.e_version = order_(Elf64_Word{EV_CURRENT});
    header.e_phoff = order_(table_at());
    header.e_ehsize = order_(Elf64_Half{sizeof header});
    header.e_phentsize = order_(Elf64_Half{sizeof(Elf64_Phdr)});
    header.e_phnum = order_(static_cast<Elf64_Half>(std::min<std::uint64_t>(segments(), PN_XNUM)));
    if (!counts_in_section()) return write_struct(header, sink_);
    header.e_shoff = order_(Elf64_Off{sizeof header});
    header.e_shentsize = order_(Elf64_Half{sizeof(Elf64_Shdr)});
    header.e_shnum = order_(Elf64_Half{1});
    Elf64_Shdr section = {};
    section.sh_info = order_(static_cast<Elf64_Word>(segments()));
    ENGRAM_CHECK(write_struct(header, sink_));
    return write_struct(section, sink_);
  }

  Result<void> write_segments() {
    if (has_note()) {
      Elf64_Phdr note = {};
      note.p_type = order_(Elf64_Word{PT_NOTE});
      note.p_offset = order_(note_at());
      note.p_filesz = note.p_memsz = order_(std::uint64_t{notes_.size()});
      ENGRAM_CHECK(write_struct(note, sink_));
    }
    constexpr std::size_t kAtOnce = 1024;
    std::vector<Elf64_Phdr> table;
    std::uint64_t at = note_at() + notes_.size();
    PresentRanges ranges(survey_.memory);
    while (const auto range = ranges.next()) {
      Elf64_Phdr segment = {};
      segment.p_type = order_(Elf64_Word{PT_LOAD});
      const std::uint64_t offset = place(*range, at);
      segment.p_offset = order_(offset);
      segment.p_paddr = order_(range->start.value);
      segment.p_filesz = segment.p_memsz = order_(range->size);
      table.push_back(segment);
      at = offset + range->size;
      if (table.size() < kAtOnce) continue;
      ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(table))));
      table.clear();
    }
    return sink_.write(std::as_bytes(std::span(table)));
  }

  const Survey& survey_;
  const Written& all_;
  Sink& sink_;
  const WriteOptions& options_;
  const std::uint16_t machine_;
  const std::vector<std::byte> notes_;
  const elf::ByteOrder order_;
};

}  // namespace

Result<Written> write_elf(const guest::Memory& memory, const Facts& facts, Sink& sink,
                          const WriteOptions& options) {
  ENGRAM_TRY(const Survey found, survey(memory, options));
  ENGRAM_CHECK(ElfWriter(found, facts, sink, options).write());
  return found.all;
}

}  // namespace engram::image
