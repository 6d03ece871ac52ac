// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Preloaded into the program: system calls that fail as they do on a disk that is full or broken.
//
//   FAIL_WRITE=N   after N calls of pwrite() the disk is full
//   FAIL_SYNC=1    what was written does not reach the disk
//   SHORT=1        pwrite() does half of what it is asked to
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace {

/// The function that this one is in the place of.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  static long calls = 0;
  const char* limit = std::getenv("FAIL_WRITE");
  if (limit != nullptr && calls++ >= std::atol(limit)) {
    errno = ENOSPC;
    return -1;
  }
  if (std::getenv("SHORT") != nullptr && size > 1) size /= 2;
  return real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(fd, bytes, size, at);
}

extern "C" int fsync(int fd) {
  if (std::getenv("FAIL_SYNC") == nullptr) return real<int(int)>("fsync")(fd);
  errno = EIO;
  return -1;
}
