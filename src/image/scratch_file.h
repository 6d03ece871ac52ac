// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A temporary file without a name: whatever ends the program, nothing of it is left behind.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "mapping/mapping.h"

namespace engram::image {

/// Pages of zeros are holes. Readable by nobody else: a dump has everybody's secrets.
class ScratchFile {
 public:
  /// So much of the file system is left to others.
  static constexpr std::uint64_t kReserve = 64 * kMiB;

  /// In the folder that the environment's TMPDIR names, or /var/tmp, which unlike /tmp is never
  /// kept in memory. Errors: no such folder, no permission.
  static Result<ScratchFile> create();

  /// Errors: there is no room for so many bytes, none of them zero.
  [[nodiscard]] Result<void> expect_room(std::uint64_t bytes) const;
  /// Writes bytes where none were written before. From any thread. Errors: no room.
  [[nodiscard]] Result<void> write(FileOffset at, Bytes bytes) const;
  /// Bytes that were written, without the zeros.
  [[nodiscard]] std::uint64_t written() const { return state_->written.load(); }
  /// The first `size` bytes, which show what is written later. Errors: the file system has no such
  /// files; out of address space.
  [[nodiscard]] Result<mapping::Mapping<mapping::ReadOnly>> map(std::uint64_t size) const;

 private:
  struct State {
    std::atomic<std::uint64_t> written = 0;
    std::atomic<std::uint64_t> checked = 0;  // at how many written bytes there was room
  };
  ScratchFile(std::string folder, mapping::File file)
      : folder_(std::move(folder)), file_(std::move(file)), state_(std::make_unique<State>()) {}

  std::string folder_;
  mapping::File file_;
  std::unique_ptr<State> state_;
};

}  // namespace engram::image
