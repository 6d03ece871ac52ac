// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/input.h"

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include "base/units.h"

namespace engram::cli {
namespace {

constexpr std::size_t kLimit = 64 * kMiB;

std::string reason() {
  return std::generic_category().message(errno);
}

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Result<std::string> read_all(std::FILE* file, const std::string& name) {
  std::string text;
  std::array<char, 64 * kKiB> chunk;
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file)) {
    text.append(chunk.data(), count);
    if (text.size() > kLimit) return fail("{}: longer than {} bytes", name, kLimit);
  }
  if (std::ferror(file) != 0) return fail("{}: {}", name, reason());
  return text;
}

Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path.c_str(), "re"));
  if (!file) return fail("{}: {}", path, reason());
  return read_all(file.get(), path);
}

}  // namespace engram::cli
