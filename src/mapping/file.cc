// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace engram::mapping {
namespace {

/// The largest length and end of a file that system calls can name.
constexpr auto kMaxFileSize = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());

/// Repeats a system call that signals interrupt.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

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

MemoryResult<void> checked(int result) {
  if (result != 0) return fail_os(errno);
  return {};
}

bool beyond_any_file(FileExtent extent) {
  return extent.start.value > kMaxFileSize || extent.size > kMaxFileSize - extent.start.value;
}

/// fallocate(2) with `mode`.
MemoryResult<void> change_blocks(int fd, int mode, FileExtent extent) {
  if (extent.size == 0) return {};
  if (beyond_any_file(extent)) return fail_os(EFBIG, extent.start.value);
  return checked(uninterrupted([&] {
    return ::fallocate(fd, mode, static_cast<off_t>(extent.start.value),
                       static_cast<off_t>(extent.size));
  }));
}

}  // namespace

struct File::Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd); }
  const int fd;
};

File::File(std::shared_ptr<const Descriptor> descriptor) : descriptor_(std::move(descriptor)) {}

Result<File> File::open(const std::string& path, Access access) {
  // O_NONBLOCK: to open a pipe without a writer must not wait; for regular files it means nothing.
  const int mode = access == Access::read_write ? O_RDWR : O_RDONLY;
  const int fd =
      uninterrupted([&] { return ::open(path.c_str(), mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); });
  if (fd < 0) return fail("cannot open {}: {}", path, reason(errno));
  File file(std::make_shared<const Descriptor>(fd));

  struct stat status = {};
  if (::fstat(fd, &status) != 0) return fail("cannot examine {}: {}", path, reason(errno));
  if (!S_ISREG(status.st_mode)) {
    return fail("cannot open {}: it is {}, a regular file is expected", path,
                kind_of_file(status.st_mode));
  }
  return file;
}

MemoryResult<File> File::adopt(int fd) {
  if (::fcntl(fd, F_GETFD) < 0) return fail_os(errno);
  return File(std::make_shared<const Descriptor>(fd));
}

MemoryResult<File> File::duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_os(errno);
  return File(std::make_shared<const Descriptor>(copy));
}

int File::fd() const {
  return descriptor_ ? descriptor_->fd : -1;
}

MemoryResult<std::uint64_t> File::size() const {
  struct stat status = {};
  if (::fstat(fd(), &status) != 0) return fail_os(errno);
  return static_cast<std::uint64_t>(status.st_size);
}

MemoryResult<File::Identity> File::identity() const {
  struct stat status = {};
  if (::fstat(fd(), &status) != 0) return fail_os(errno);
  return Identity{status.st_dev, status.st_ino};
}

Transfer File::read_at(FileOffset from, MutableBytes to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const auto at = from.checked_add(done);
    if (!at || at->value >= kMaxFileSize) {
      return {done, MemoryErrc::source_truncated, 0, (from + done).value};
    }
    const std::size_t wanted = std::min<std::uint64_t>(to.size() - done, kMaxFileSize - at->value);
    const ssize_t got = uninterrupted(
        [&] { return ::pread(fd(), to.data() + done, wanted, static_cast<off_t>(at->value)); });
    if (got < 0) return {done, MemoryErrc::os, errno, at->value};
    if (got == 0) return {done, MemoryErrc::source_truncated, 0, at->value};
    done += static_cast<std::size_t>(got);
  }
  return {done, MemoryErrc::none, 0, (from + done).value};
}

Transfer File::write_at(FileOffset to, Bytes from) const {
  std::size_t done = 0;
  while (done < from.size()) {
    const auto at = to.checked_add(done);
    if (!at || at->value >= kMaxFileSize) return {done, MemoryErrc::os, EFBIG, (to + done).value};
    const std::size_t wanted =
        std::min<std::uint64_t>(from.size() - done, kMaxFileSize - at->value);
    const ssize_t put = uninterrupted(
        [&] { return ::pwrite(fd(), from.data() + done, wanted, static_cast<off_t>(at->value)); });
    if (put < 0) return {done, MemoryErrc::os, errno, at->value};
    if (put == 0) return {done, MemoryErrc::write_zero, 0, at->value};
    done += static_cast<std::size_t>(put);
  }
  return {done, MemoryErrc::none, 0, (to + done).value};
}

MemoryResult<void> File::resize(std::uint64_t size) const {
  if (size > kMaxFileSize) return fail_os(EFBIG);
  return checked(uninterrupted([&] { return ::ftruncate(fd(), static_cast<off_t>(size)); }));
}

MemoryResult<void> File::sync() const {
  return checked(uninterrupted([&] { return ::fsync(fd()); }));
}

MemoryResult<void> File::allocate(FileExtent extent) const {
  return change_blocks(fd(), 0, extent);
}

MemoryResult<void> File::punch_hole(FileExtent extent) const {
  return change_blocks(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, extent);
}

MemoryResult<void> File::write_zeroes(FileExtent extent) const {
  const auto zeroed = change_blocks(fd(), FALLOC_FL_ZERO_RANGE, extent);
  if (zeroed || zeroed.error().os_errno != EOPNOTSUPP) return zeroed;
  // tmpfs, for one, has no FALLOC_FL_ZERO_RANGE (Linux mm/shmem.c, shmem_fallocate).
  static constexpr std::array<std::byte, 64 * kKiB> kZeros{};
  for (std::uint64_t done = 0; done < extent.size;) {
    const std::size_t chunk = std::min<std::uint64_t>(kZeros.size(), extent.size - done);
    const Transfer written = write_at(extent.start + done, Bytes(kZeros).first(chunk));
    if (!written.complete()) {
      return tl::unexpected(Transfer{static_cast<std::size_t>(done) + written.count, written.stop,
                                     written.os_errno, written.address}
                                .error(static_cast<std::size_t>(extent.size)));
    }
    done += chunk;
  }
  return {};
}

MemoryResult<std::optional<FileOffset>> File::next_data(FileOffset from) const {
  const off_t data = ::lseek(fd(), static_cast<off_t>(from.value), SEEK_DATA);
  if (data >= 0) return FileOffset(static_cast<std::uint64_t>(data));
  if (errno == ENXIO) return std::nullopt;
  if (errno == EINVAL) return from;  // no SEEK_DATA here
  return fail_os(errno, from.value);
}

MemoryResult<std::vector<FileExtent>> File::data_extents(FileExtent within) const {
  ENGRAM_TRY(const std::uint64_t length, size());
  const std::uint64_t start = within.start.value;
  if (start >= length) return std::vector<FileExtent>();
  const std::uint64_t end = start + std::min(within.size, length - start);
  std::vector<FileExtent> extents;
  for (std::uint64_t at = start; at < end;) {
    ENGRAM_TRY(const auto data, next_data(FileOffset(at)));
    if (!data || data->value >= end) break;
    const std::uint64_t first = data->value;
    const off_t hole = ::lseek(fd(), static_cast<off_t>(first), SEEK_HOLE);
    if (hole < 0 && errno == EINVAL) {
      extents.push_back({FileOffset(first), end - first});
      break;
    }
    if (hole < 0 && errno == ENXIO) break;  // cut off meanwhile
    if (hole < 0) return fail_os(errno, first);
    const std::uint64_t last = std::min(static_cast<std::uint64_t>(hole), end);
    if (last > first) extents.push_back({FileOffset(first), last - first});
    at = std::max(last, first + 1);  // on, even if a hole was punched between the two calls
  }
  return extents;
}

}  // namespace engram::mapping
