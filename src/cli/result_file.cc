// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/result_file.h"

#include "base/units.h"

namespace engram::cli {
namespace {

constexpr std::size_t kHeld = 64 * kKiB;

}  // namespace

Result<std::unique_ptr<ResultFile>> ResultFile::create(const std::string& path) {
  ENGRAM_TRY(auto file, image::FileSink::create(path));
  return std::unique_ptr<ResultFile>(new ResultFile(std::move(file)));
}

Result<void> ResultFile::write(std::string_view text) {
  held_ += text;
  return held_.size() < kHeld ? Result<void>() : flush();
}

Result<void> ResultFile::flush() {
  if (failure_) return tl::unexpected(*failure_);
  auto written = file_.write(std::as_bytes(std::span(held_)));
  held_.clear();
  if (!written) failure_ = written.error();
  return written;
}

Result<void> ResultFile::finish() {
  ENGRAM_CHECK(flush());
  return file_.finish();
}

}  // namespace engram::cli
