// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Dump formats: the bytes of an image file in, guest memory and the facts that the file carries
// out.
//
// In:     a path.
// Out:    Image: physical memory, ranges as the file declares them, CPU registers, VMCOREINFO.
// Owner:  Image owns the mapping of the file; the Memory in it keeps that alive, too.
// Errors: Error from open() and open_live(): the file cannot be read, is of no known format, or is
// damaged beyond use.
//         What can be used with a loss is used, and the loss is said in notices().
//
// Formats are recognised by content, in the order of formats.def, never by the file's name.

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/diagnostics.h"
#include "base/result.h"
#include "base/units.h"
#include "guest/memory.h"
#include "image/crash_header.h"
#include "image/page_problems.h"
#include "image/ranges.h"
#include "image/triage.h"
#include "image/windows_context.h"

namespace engram::image {

/// Registers of one CPU of the dead machine, as far as the file knows them. On arm64 rip, rsp and
/// rflags are PC, SP and PSTATE.
struct CpuRegisters {
  std::uint32_t cpu = 0;
  std::uint64_t rip = 0, rsp = 0, rflags = 0;
  /// A PRSTATUS note has the user's value of the interrupted task here, not the kernel's.
  std::uint64_t gs_base = 0;
  /// Only monitors of virtual machines write these, and Windows crash dumps CR3 alone (others: 0).
  struct Control {
    std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
    /// What SWAPGS would load: the kernel's base if the CPU was in user mode. 0 in old notes.
    std::uint64_t kernel_gs_base = 0;
  };
  std::optional<Control> control;
  /// All registers as Windows would have them; only QEMU's notes have so many.
  std::optional<ContextAmd64> context = std::nullopt;
  /// Who wrote them: "QEMU", "VirtualBox", "VMware", "PRSTATUS" (that note), "DMP" (its header).
  std::string source;
};

/// What a file carries besides memory.
struct Facts {
  Architecture architecture = Architecture::unknown;  ///< from the header, if it says
  std::endian byte_order = std::endian::little;       ///< of the values in memory
  std::vector<CpuRegisters> cpus;
  std::optional<std::string> vmcoreinfo;  ///< text of the VMCOREINFO note: KEY=VALUE lines
  std::uint16_t machine = 0;              ///< e_machine of an ELF header; EM_NONE: there is none
  /// The ELF notes as they are in the file, one after the other: what copies a dump can keep more
  /// of them than is understood here. Whole notes only, padded to four bytes.
  std::vector<std::byte> notes = {};
  /// What else the headers say, in words, in their order: "dump level", "31: ...".
  std::vector<std::pair<std::string, std::string>> header = {};
  std::optional<CrashHeader> crash = std::nullopt;  ///< of a Windows crash dump
  std::optional<TriageDump> triage = std::nullopt;  ///< of a small one: it has no physical memory
};

/// Something about the file that a user should know: a truncation, an overlap, an unknown note.
struct Notice {
  Level level = Level::warning;
  std::string text;
};

/// The parts that a format's reader fills in.
struct Contents {
  std::string format;  ///< "raw", "lime", "avml", "elf", "kdump", "dmp", "migration", ... "live"
  RangeList ranges;
  guest::Regions regions;  ///< may overlap: the first in the list wins
  Facts facts;
  std::vector<Notice> notices;
  bool truncated = false;  ///< the file ends inside its headers; a range that is cut says so itself
  bool incomplete_split = false;      ///< other files, which were not given, have the rest
  std::shared_ptr<const void> owner;  ///< of what regions with Backing::source read from
  std::shared_ptr<const PageProblems> problems;  ///< filled by them; null if there can be none
};

/// How far the unpacking of a file that is packed as a whole is.
struct UnpackState {
  std::uint64_t done = 0, all = 0;  ///< bytes of the packed file
};

/// What a user knows about a file that its content does not say, and how it is opened.
struct OpenOptions {
  std::vector<std::string> parts;  ///< other files of a split dump; the state of VMware's memory
  /// Which physical addresses a file without headers has: see raw_ranges.h. Empty: from 0 on.
  std::vector<guest::Range> ranges;
  /// Called now and then while a file is unpacked as a whole. False ends it.
  std::function<bool(const UnpackState&)> go_on = {};
};

class Image {
 public:
  /// A file that is packed as a whole (packed_file.h) is opened as what it was made of. Errors:
  /// those of map_whole_file(); a known format that is not read; text; a file too small to be a raw
  /// image; a file of a known format without any usable range; options for a file of another
  /// format; no room to unpack it, or options.go_on() said no.
  static Result<Image> open(const std::string& path, const OpenOptions& options = {});

  /// The RAM of a guest that QEMU runs, or has paused, from the shared file behind it: its first
  /// `below_4g` bytes lie at physical address 0, the rest at 4 GiB. Without `below_4g` they lie as
  /// the first of live_layouts() says (live.h). Errors: those of map_whole_file();
  /// below_4g is 0, more than 4 GiB, or no whole number of pages.
  static Result<Image> open_live(const std::string& path,
                                 std::optional<std::uint64_t> below_4g = std::nullopt);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& format() const { return contents_.format; }
  [[nodiscard]] std::uint64_t file_size() const { return file_size_; }
  [[nodiscard]] const guest::Memory& memory() const { return memory_; }
  [[nodiscard]] const RangeList& ranges() const { return contents_.ranges; }
  [[nodiscard]] const Facts& facts() const { return contents_.facts; }
  [[nodiscard]] const std::vector<Notice>& notices() const { return contents_.notices; }
  /// Pages that were asked for and could not be made of what the file has, so far.
  [[nodiscard]] std::vector<PageProblem> page_problems() const;
  /// What it cost that a file had to be unpacked as a whole: a sentence, for people.
  [[nodiscard]] const std::optional<std::string>& unpacking_cost() const { return cost_; }
  /// The file ends before the data that its headers declare.
  [[nodiscard]] bool truncated() const { return truncated_; }
  /// Its bytes may change at any time: a machine is running on them.
  [[nodiscard]] bool is_live() const { return is_live_; }

 private:
  Image() = default;
  static Result<Image> make(const std::string& path, std::uint64_t file_size, Contents contents,
                            std::shared_ptr<const void> owner);

  std::string path_;
  std::uint64_t file_size_ = 0;
  bool truncated_ = false;
  bool is_live_ = false;
  Contents contents_;
  guest::Memory memory_;
  std::optional<std::string> cost_;
  std::vector<std::shared_ptr<const PageProblems>> packed_problems_;  ///< of the files
};

}  // namespace engram::image
