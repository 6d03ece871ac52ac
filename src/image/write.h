// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory to dump file: any guest memory in, LiME or an ELF core out.
//
// Written are the bytes that the memory has. What is absent stays absent: it is in no range of the
// file. What the memory should have but cannot read (its own file is cut) is left out, too, and
// counted, because neither format can say it. Pages of zeros become holes in a FileSink. The memory
// is read once, in order, in chunks; nothing else is kept.
//
// Errors of both: no byte to write; those of the sink; a byte that cannot be read although the
// memory said that it had it (its file was cut meanwhile): its range is declared by then.
// What the sink has after an error is no dump.

#include <cstdint>

#include "guest/memory.h"
#include "image/image.h"
#include "image/sink.h"

namespace engram::image {

struct Written {
  std::uint64_t ranges = 0;
  std::uint64_t bytes = 0;       ///< of memory
  std::uint64_t unreadable = 0;  ///< bytes that were left out: the memory should have them
};

Result<Written> write_lime(const guest::Memory& memory, Sink& sink);

/// An ELF64 core. Of the facts it has the architecture (unknown: EM_NONE) and VMCOREINFO.
Result<Written> write_elf(const guest::Memory& memory, const Facts& facts, Sink& sink);

}  // namespace engram::image
