// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace engram::mapping {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

const char* kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";
  if (S_ISSOCK(mode)) return "a socket";
  return "something else";
}

/// Closes a descriptor at the end of its scope; the mapping outlives it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<FileMapping> FileMapping::open(const std::string& path) {
  // O_NONBLOCK: to open a pipe without a writer must not wait; for regular files it means nothing.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (fd.get() < 0) return fail("cannot open {}: {}", path, reason(errno));

  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) return fail("cannot examine {}: {}", path, reason(errno));
  if (!S_ISREG(status.st_mode)) {
    return fail("cannot map {}: it is {}, a regular file is expected", path,
                kind_of_file(status.st_mode));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) return FileMapping(path, nullptr, 0);
  if (size > std::numeric_limits<std::size_t>::max()) {
    return fail("cannot map {}: its {} bytes exceed the address space", path, size);
  }
  const auto length = static_cast<std::size_t>(size);
  void* const data = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) return fail("cannot map {} ({} bytes): {}", path, size, reason(errno));
  return FileMapping(path, static_cast<const std::byte*>(data), length);
}

FileMapping::FileMapping(FileMapping&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  path_ = std::move(other.path_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

FileMapping::~FileMapping() {
  unmap();
}

void FileMapping::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace engram::mapping
