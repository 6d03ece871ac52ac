// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A QEMU migration stream from its first to its last byte: what it says of the machine, where its
// RAM's pages lie, and where the states of its devices.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/file_view.h"
#include "image/migration_pages.h"

namespace engram::image::migration {

/// Memory that the machine has as one piece: RAM, a ROM, a graphics card's.
struct Block {
  std::string name;
  std::uint64_t size = 0;                  ///< bytes
  std::optional<std::uint64_t> ram_begin;  ///< of its first byte: place in RAM, if it is any
};

/// The state of a device, which only that device knows how to read.
struct Device {
  std::string name;
  std::uint32_t instance = 0;
  std::uint32_t version = 0;
  FileOffset at;
  std::uint64_t size = 0;  ///< bytes
};

struct Stream {
  std::string machine;                    ///< "pc-i440fx-7.2"; empty in streams of QEMU before 2.4
  std::vector<std::string> capabilities;  ///< those that change the format
  std::vector<Block> blocks;
  std::uint64_t ram_size = 0;  ///< bytes of those blocks that are RAM
  std::string ram_assumption;  ///< why a block is taken for RAM whose name does not say so
  PageIndex pages;
  std::vector<Device> devices;
  bool has_mapped_pages = false;
  std::uint64_t records = 0;  ///< of pages; one page may have several
  /// What ended the reading before the end of the stream; empty if nothing did.
  std::string problem;
  bool cut = false;  ///< that was the end of the file
};

[[nodiscard]] bool is_stream(Bytes head);

/// Reads the stream that begins at `at`. What comes before a problem is kept. Errors: another
/// version; a page size that no x86 or arm64 machine of QEMU has.
[[nodiscard]] Result<Stream> read_stream(const FileView& file, FileOffset at);

}  // namespace engram::image::migration
