// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
//
// judge_kdump FILE: every page up to the end of a kdump as libkdumpfile has it, against engram's.
// Prints one line of JSON.

#include <fcntl.h>
#include <fmt/core.h>
#include <libkdumpfile/kdumpfile.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "image/image.h"

int main(int count, char** arguments) {
  using namespace engram;
  if (count != 2) return 2;
  const auto image = image::Image::open(arguments[1]);
  if (!image) {
    fmt::print(stderr, "{}\n", image.error().text);
    return 1;
  }
  kdump_ctx_t* const context = kdump_new();
  const int file = ::open(arguments[1], O_RDONLY | O_CLOEXEC);
  if (kdump_set_number_attr(context, KDUMP_ATTR_FILE_FD, static_cast<kdump_num_t>(file)) !=
      KDUMP_OK) {
    fmt::print(stderr, "{}: libkdumpfile: {}\n", arguments[1], kdump_get_err(context));
    return 1;
  }
  std::uint64_t same = 0, different = 0, ours = 0, theirs = 0, both_absent = 0;
  const std::uint64_t end = image->memory().end().value;
  for (std::uint64_t address = 0; address < end; address += kPageSize) {
    std::array<std::byte, kPageSize> one, other;
    std::size_t length = other.size();
    const bool in_ours = image->memory().read(PhysAddr(address), one).complete();
    const bool in_theirs =
        kdump_read(context, KDUMP_MACHPHYSADDR, address, other.data(), &length) == KDUMP_OK;
    if (in_ours && in_theirs) ++(one == other ? same : different);
    if (in_ours != in_theirs) ++(in_ours ? ours : theirs);
    if (!in_ours && !in_theirs) ++both_absent;
  }
  kdump_free(context);
  ::close(file);
  fmt::print(
      "{{\"same\": {}, \"different\": {}, \"engram_only\": {}, \"libkdumpfile_only\": {}, "
      "\"absent\": {}}}\n",
      same, different, ours, theirs, both_absent);
  return 0;
}
