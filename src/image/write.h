// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory to dump file: any guest memory in, a dump of one of several formats out.
//
// Written are the bytes that the memory has. What is absent stays absent, as far as the format can
// say it. What the memory should have but cannot read (its own file is cut, a compressed page is
// damaged) is left out, too, and counted. Pages of zeros become holes in a FileSink, or one page
// that all of them share. Memory that must be unpacked is read once more, before anything is
// written: what is damaged must be known by then. Kept meanwhile are chunks of a few MiB for each
// processor.
//
// Errors of all: no byte to write; those of the sink; options.go_on() said no; a byte that cannot
// be read although the memory said that it had it (its file was cut meanwhile): it is declared by
// then. What the sink has after an error is no dump.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest/memory.h"
#include "image/image.h"
#include "image/page_codec.h"
#include "image/sink.h"

namespace engram::image {

struct Written {
  std::uint64_t ranges = 0;
  std::uint64_t bytes = 0;       ///< of memory
  std::uint64_t unreadable = 0;  ///< bytes that were left out: the memory should have them
  std::uint64_t filled = 0;      ///< absent bytes that the format has zeros for
};

/// How far a writer is.
struct WriteState {
  enum class Step : std::uint8_t { checking, writing };
  Step step = Step::writing;
  std::uint64_t done = 0, all = 0;  ///< bytes of memory
};

struct WriteOptions {
  /// Called now and then, on the writer's thread. False ends the writing.
  std::function<bool(const WriteState&)> go_on;
};

/// Each byte at the offset of its physical address. Absent ones are holes, which read as zeros.
/// Errors: an address of 2^47 or more.
Result<Written> write_raw(const guest::Memory& memory, Sink& sink,
                          const WriteOptions& options = {});

Result<Written> write_lime(const guest::Memory& memory, Sink& sink,
                           const WriteOptions& options = {});

/// AVML version 2: LiME's ranges, in the framing format of Snappy. Errors: more than 2^47 bytes.
Result<Written> write_avml(const guest::Memory& memory, Sink& sink,
                           const WriteOptions& options = {});

/// An ELF64 core. Of the facts it has the machine, the notes, and registers and VMCOREINFO that
/// are not in the notes.
Result<Written> write_elf(const guest::Memory& memory, const Facts& facts, Sink& sink,
                          const WriteOptions& options = {});

/// A kdump (diskdump header version 6) with the same facts as an ELF core. A page of which a part
/// is absent is filled with zeros. Its pages are those of the machine, if VMCOREINFO says how large
/// these are, else of 4 KiB. Errors: a 32-bit machine; a page number of 2^34 or more; a codec that
/// this build does not have.
Result<Written> write_kdump(const guest::Memory& memory, const Facts& facts, Codec codec,
                            FileSink& sink, const WriteOptions& options = {});

/// How a crash dump says which pages it has.
enum class DmpKind : std::uint8_t {
  bitmap,  ///< type 5: any pages
  full,    ///< type 1: at most 42 runs of pages
};

/// A 64-bit crash dump of Windows. What its header says comes from facts.crash: a bug check that is
/// not known is LIVE_SYSTEM_DUMP, anything else the filler. Its pages have 4 KiB; one of which a
/// part is absent is filled with zeros. Errors: no facts.crash, or that of a 32-bit machine; a page
/// number of 2^31 or more; more runs than there is room for.
Result<Written> write_dmp(const guest::Memory& memory, const Facts& facts, DmpKind kind,
                          FileSink& sink, const WriteOptions& options = {});

/// The formats that are written, by name: "raw", "lime", "avml", "elf", "kdump", "kdump-zlib" ...
[[nodiscard]] std::span<const std::string_view> target_names();

/// Whether a file of that format has a place for Facts.
[[nodiscard]] bool keeps_notes(std::string_view target);

/// Whether a file of that format is a crash dump of Windows, for which Facts::crash is needed.
[[nodiscard]] bool is_crash_dump(std::string_view target);

/// Writes the memory and the facts in the format of that name. Errors: there is none of that name.
Result<Written> write_image(std::string_view target, const guest::Memory& memory,
                            const Facts& facts, FileSink& sink, const WriteOptions& options = {});

/// What of the image beside its bytes a file of that format cannot say, one sentence part each.
[[nodiscard]] std::vector<std::string> not_kept(std::string_view target, const Image& image);

}  // namespace engram::image
