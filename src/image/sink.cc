// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

namespace engram::image {
namespace {

constexpr std::uint64_t kLongestFile = std::numeric_limits<off_t>::max();

tl::unexpected<Error> system_failure(const std::string& path, int code) {
  return fail("{}: {}", path, std::generic_category().message(code));
}

/// Gives a file its last name, which nothing may have got meanwhile.
Result<void> take_name(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  // On a file system that cannot rename without replacing (NFS, FUSE) an empty file takes the name.
  if (errno != EINVAL && errno != ENOSYS) return system_failure(to, errno);
  constexpr mode_t kReadableByOwner = 0600;
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kReadableByOwner);
  if (fd < 0) return system_failure(to, errno);
  ::close(fd);
  if (::rename(from.c_str(), to.c_str()) != 0) return system_failure(to, errno);
  return {};
}

}  // namespace

bool is_zero(Bytes bytes) {
  return bytes.empty() || (bytes[0] == std::byte{} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<void> write_sparse(Bytes bytes, std::uint64_t in_page, Sink& sink) {
  while (!bytes.empty()) {
    const auto page_at = [&](std::size_t at) {
      const std::uint64_t left = kPageSize - (in_page + at) % kPageSize;
      return bytes.subspan(
          at, static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size() - at, left)));
    };
    const bool zero = is_zero(page_at(0));
    std::size_t run = 0;
    while (run < bytes.size() && is_zero(page_at(run)) == zero) run += page_at(run).size();
    if (zero) {
      ENGRAM_CHECK(sink.zeros(run));
    } else {
      ENGRAM_CHECK(sink.write(bytes.first(run)));
    }
    bytes = bytes.subspan(run);
    in_page += run;
  }
  return {};
}

/// The file under the name that it has until it is finished; else it is removed.
struct FileSink::Unfinished {
  explicit Unfinished(std::string name) : path(std::move(name)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    if (!path.empty()) ::unlink(path.c_str());
  }
  std::string path;
};

FileSink::FileSink(std::string path, std::string unfinished, mapping::File file)
    : file_(std::move(file)),
      unfinished_(std::make_unique<Unfinished>(std::move(unfinished))),
      path_(std::move(path)) {}

FileSink::FileSink(FileSink&& other) noexcept = default;
FileSink::~FileSink() = default;

Result<FileSink> FileSink::create(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) == 0) return system_failure(path, EEXIST);
  std::string name = path + ".XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);  // readable by its owner: it has secrets
  if (fd < 0) return system_failure(path, errno);
  auto file = mapping::File::adopt(fd);
  if (!file) {
    ::unlink(name.c_str());
    return tl::unexpected(mapping::to_error(path, file.error()));
  }
  return FileSink(path, std::move(name), std::move(*file));
}

Result<void> FileSink::write(Bytes bytes) {
  const auto end = at_.checked_add(bytes.size());
  if (!end || end->value > kLongestFile) return fail("{}: too long for a file", path_);
  ENGRAM_CHECK(write_at(at_, bytes));
  at_ = *end;
  return {};
}

Result<void> FileSink::write_over(FileOffset at, Bytes bytes) {
  const auto end = at.checked_add(bytes.size());
  if (!end || *end > at_) {
    return fail("{}: {} bytes at {:#x} do not lie in the {:#x} that are written", path_,
                bytes.size(), at.value, at_.value);
  }
  return write_at(at, bytes);
}

Result<void> FileSink::write_at(FileOffset at, Bytes bytes) {
  const mapping::Transfer written = file_.write_at(at, bytes);
  if (written.complete()) return {};
  return tl::unexpected(mapping::to_error(path_, written.error(bytes.size())));
}

Result<void> FileSink::zeros(std::uint64_t count) {
  const auto end = at_.checked_add(count);
  if (!end || end->value > kLongestFile) {
    return fail("{}: {:#x} zeros at {:#x} are too many for a file", path_, count, at_.value);
  }
  at_ = *end;
  return {};
}

Result<void> FileSink::finish() {
  if (auto resized = file_.resize(at_.value); !resized) {
    return tl::unexpected(mapping::to_error(path_, resized.error()));
  }
  if (auto synced = file_.sync(); !synced) {
    return tl::unexpected(mapping::to_error(path_, synced.error()));
  }
  ENGRAM_CHECK(take_name(unfinished_->path, path_));
  unfinished_->path.clear();
  return {};
}

}  // namespace engram::image
