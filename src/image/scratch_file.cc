// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/scratch_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "image/sink.h"
#include "mapping/options.h"

namespace engram::image {
namespace {

// The room on the disk is asked for after so many bytes.
constexpr std::uint64_t kBetweenChecks = 16 * kMiB;

/// A descriptor, or -1 and errno.
int open_unnamed(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  // A file system that cannot make files without a name: it has one for a moment.
  std::string name = folder + "/engram-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

/// Takes what write_sparse() makes of bytes to their place.
class Placed final : public Sink {
 public:
  Placed(const mapping::File& file, FileOffset at, std::atomic<std::uint64_t>& written)
      : file_(file), at_(at), written_(written) {}

  Result<void> write(Bytes bytes) override {
    const mapping::Transfer moved = file_.write_at(at_, bytes);
    if (!moved.complete()) {
      return tl::unexpected(mapping::to_error("write", moved.error(bytes.size())));
    }
    written_ += bytes.size();
    at_ = at_ + bytes.size();
    return {};
  }
  Result<void> zeros(std::uint64_t count) override {
    at_ = at_ + count;
    return {};
  }

 private:
  const mapping::File& file_;
  FileOffset at_;
  std::atomic<std::uint64_t>& written_;
};

}  // namespace

Result<ScratchFile> ScratchFile::create() {
  const char* const named = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe)
  std::string folder = named != nullptr && *named != '\0' ? named : "/var/tmp";
  const int fd = open_unnamed(folder);
  if (fd < 0) {
    return fail("a temporary file in {} (TMPDIR names another folder): {}", folder,
                std::generic_category().message(errno));
  }
  auto file = mapping::File::adopt(fd);
  if (!file) return tl::unexpected(mapping::to_error(folder, file.error()));
  return ScratchFile(std::move(folder), std::move(*file));
}

Result<void> ScratchFile::expect_room(std::uint64_t bytes) const {
  struct statvfs room {};
  if (::fstatvfs(file_.fd(), &room) != 0) return {};  // then writing will tell
  const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
  if (free >= kReserve && free - kReserve >= bytes) return {};
  return fail(
      "no room in {}: {} MiB are wanted, {} MiB are free, of which {} are left alone "
      "(TMPDIR names another folder)",
      folder_, bytes / kMiB + 1, free / kMiB, kReserve / kMiB);
}

Result<void> ScratchFile::write(FileOffset at, Bytes bytes) const {
  if (state_->written >= state_->checked) {
    ENGRAM_CHECK(expect_room(kBetweenChecks));
    state_->checked = state_->written + kBetweenChecks;
  }
  Placed placed(file_, at, state_->written);
  const auto done = write_sparse(bytes, at.mask(kPageMask), placed);
  if (!done) return fail("{}: {}", folder_, done.error().text);
  return {};
}

Result<mapping::Mapping<mapping::ReadOnly>> ScratchFile::map(std::uint64_t size) const {
  if (auto resized = file_.resize(size); !resized) {
    return fail("{}: a file of {} bytes: {}", folder_, size, to_string(resized.error()));
  }
  auto mapped =
      mapping::Options(size).backing(file_).share(mapping::Share::shared).map<mapping::ReadOnly>();
  if (!mapped) return fail("cannot map {} bytes: {}", size, to_string(mapped.error()));
  return std::move(*mapped);
}

}  // namespace engram::image
