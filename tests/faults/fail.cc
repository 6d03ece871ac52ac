// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Preloaded into the program: system calls that fail as they do on a disk that is full or broken.
//
//   FAIL_WRITE=N    after N calls of pwrite(), write() and writev() to files there is an error
//   FAIL_READ=N     after N calls of pread() and read() of files there is an error
//   FAIL_SYNC=1     what was written does not reach the disk
//   FAIL_MAPPED=N   of each mapped file of a megabyte and more, one tenth from N percent on cannot
//                   be read: who touches it gets SIGBUS, as when a disk has an error there
//   FAIL_ERROR=N    which error it is, a value of errno; else a full disk, or one that is broken
//   SHORT=1         pwrite(), pread() and read() do half of what they are asked to
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

constexpr size_t kSmall = 1 << 20;

/// The function that this one is in the place of.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool is_file(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/// Whether the call is one that fails, as `variable` says; then errno is set.
bool fails(const char* variable, std::atomic<long>& calls, int error) {
  const char* limit = std::getenv(variable);
  if (limit == nullptr || calls++ < std::atol(limit)) return false;
  const char* other = std::getenv("FAIL_ERROR");
  errno = other != nullptr ? std::atoi(other) : error;
  return true;
}

bool write_fails(int fd) {
  static std::atomic<long> calls = 0;
  return is_file(fd) && fails("FAIL_WRITE", calls, ENOSPC);
}

bool read_fails(int fd) {
  static std::atomic<long> calls = 0;
  return is_file(fd) && fails("FAIL_READ", calls, EIO);
}

size_t cut(size_t size) {
  return std::getenv("SHORT") != nullptr && size > 1 ? size / 2 : size;
}

/// Pages behind the end of a file of no bytes are in the place of those of the disk's bad part.
void break_part(void* mapped, size_t size, size_t percent) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const int nothing = ::memfd_create("nothing", MFD_CLOEXEC);
  char* const from = static_cast<char*>(mapped) + size / 100 * percent / page * page;
  real<void*(void*, size_t, int, int, int, off_t)>("mmap")(from, size / 10 / page * page, PROT_READ,
                                                           MAP_SHARED | MAP_FIXED, nothing, 0);
  ::close(nothing);
}

}  // namespace

extern "C" ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  if (write_fails(fd)) return -1;
  return real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(fd, bytes, cut(size), at);
}

extern "C" ssize_t write(int fd, const void* bytes, size_t size) {
  if (write_fails(fd)) return -1;
  return real<ssize_t(int, const void*, size_t)>("write")(fd, bytes, size);
}

extern "C" ssize_t writev(int fd, const iovec* pieces, int count) {
  if (write_fails(fd)) return -1;
  return real<ssize_t(int, const iovec*, int)>("writev")(fd, pieces, count);
}

extern "C" ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  if (read_fails(fd)) return -1;
  return real<ssize_t(int, void*, size_t, off_t)>("pread")(fd, bytes,
                                                           is_file(fd) ? cut(size) : size, at);
}

extern "C" ssize_t read(int fd, void* bytes, size_t size) {
  if (read_fails(fd)) return -1;
  return real<ssize_t(int, void*, size_t)>("read")(fd, bytes, is_file(fd) ? cut(size) : size);
}

extern "C" void* mmap(void* wanted, size_t size, int protection, int flags, int fd, off_t at) {
  void* const mapped = real<void*(void*, size_t, int, int, int, off_t)>("mmap")(
      wanted, size, protection, flags, fd, at);
  const char* percent = std::getenv("FAIL_MAPPED");
  const bool is_image = fd >= 0 && size >= kSmall && (protection & PROT_EXEC) == 0 && is_file(fd);
  if (percent != nullptr && mapped != MAP_FAILED && is_image) {
    break_part(mapped, size, static_cast<size_t>(std::atol(percent)));
  }
  return mapped;
}

extern "C" int fsync(int fd) {
  if (std::getenv("FAIL_SYNC") == nullptr) return real<int(int)>("fsync")(fd);
  errno = EIO;
  return -1;
}
