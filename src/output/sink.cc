// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/sink.h"

#include <cerrno>
#include <system_error>

namespace engram::output {

Result<void> FileSink::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) return failure();
  return {};
}

Result<void> FileSink::flush() {
  if (std::fflush(file_) != 0) return failure();
  return {};
}

tl::unexpected<Error> FileSink::failure() {
  const int reason = errno;
  broken_pipe_ = reason == EPIPE;
  return fail("{}: {}", name_, std::generic_category().message(reason));
}

}  // namespace engram::output
