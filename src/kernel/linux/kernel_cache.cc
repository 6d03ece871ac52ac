// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/linux/kernel_cache_layout.h"
#include "mapping/file.h"
#include "types/kallsyms_names.h"
#include "types/name_hash.h"

namespace engram::kernel {
namespace {

using cache::Header;
using mapping::File;

constexpr std::string_view kSuffix = ".kernel";
constexpr std::string_view kUnfinished = ".new-";
/// A file that is being written is not as old as that.
constexpr std::time_t kLongestWrite = 3600;
/// How exact the time of the last use is: most uses need not write it.
constexpr std::time_t kUseStep = 24 * 3600;
constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

std::string name_of(const KernelCache::Key& key) {
  return fmt::format("{:016x}{:016x}{}", key.high, key.low, kSuffix);
}

tl::unexpected<Error> system_error(std::string_view what) {
  return fail("{}: {}", what, std::strerror(errno));
}

bool is_mine(const struct stat& status) {
  return status.st_uid == ::geteuid() && (status.st_mode & kOthersMayWrite) == 0;
}

Result<File> adopt(int fd, std::string_view what) {
  if (fd < 0) return system_error(what);
  auto file = File::adopt(fd);
  if (!file) return system_error(what);
  return std::move(*file);
}

/// Errors: there is none; it is somebody else's, or others may write it.
Result<File> open_folder(const std::string& path) {
  ENGRAM_TRY(File folder, adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), path));
  struct stat status {};
  if (::fstat(folder.fd(), &status) != 0) return system_error(path);
  if (!is_mine(status)) return fail("{}: expected a folder that only this user can write", path);
  return folder;
}

/// Makes the folder and the one that it is in. Not in somebody else's home, as sudo may leave it
/// in the environment.
Result<File> make_folder(const std::string& path) {
  if (auto folder = open_folder(path)) return folder;
  const std::string parent = std::filesystem::path(path).parent_path().string();
  ::mkdir(parent.c_str(), S_IRWXU);
  struct stat status {};
  if (::stat(parent.c_str(), &status) != 0) return system_error(parent);
  if (status.st_uid != ::geteuid()) return fail("{}: belongs to another user", parent);
  ::mkdir(path.c_str(), S_IRWXU);
  return open_folder(path);
}

Digest digest_of(const Header& header) {
  return digest(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header)),
                header.kallsyms.seed);
}

Header header_of(const KernelCache::Key& key, const types::KallsymsRecord& record,
                 const types::TypeDb::Record& types) {
  Header header{};
  header.magic = cache::kMagic;
  header.version = cache::kVersion;
  header.size = sizeof(Header);
  std::string_view(ENGRAM_VERSION).copy(header.program.data(), header.program.size());
  header.key = key;
  header.kallsyms = record.fixed;
  header.types = types;
  header.numbers = digest(std::as_bytes(std::span(record.numbers)), record.fixed.seed);
  header.header = digest_of(header);
  return header;
}

struct Records {
  types::KallsymsRecord kallsyms;
  types::TypeDb::Record types;
};

/// Errors: it is not a file of this program about `key`; it was damaged.
Result<Records> read_records(const File& file, const KernelCache::Key& key) {
  Header header{};
  const auto head = std::as_writable_bytes(std::span(&header, 1));
  if (file.read_at(FileOffset(0), head).count != head.size()) return fail("no header");
  types::KallsymsRecord record;
  record.fixed = header.kallsyms;
  Header expected = header_of(key, record, header.types);
  expected.numbers = header.numbers;
  expected.header = digest_of(expected);
  if (std::memcmp(&expected, &header, sizeof header) != 0)
    return fail("a damaged header, or that of another version");
  if (header.kallsyms.count > types::kMostSymbols) return fail("too many symbols");
  record.numbers.resize(header.kallsyms.count);
  const auto numbers = std::as_writable_bytes(std::span(record.numbers));
  const auto size = file.size();
  if (!size || *size != sizeof header + numbers.size()) return fail("not of its size");
  if (file.read_at(FileOffset(sizeof header), numbers).count != numbers.size())
    return fail("not readable");
  if (digest(numbers, header.kallsyms.seed) != header.numbers) return fail("damaged");
  return Records{std::move(record), header.types};
}

/// Errors: as read_records(); no such file; a file that others may write.
Result<Records> load(const std::string& folder, const KernelCache::Key& key) {
  ENGRAM_TRY(const File directory, open_folder(folder));
  const std::string name = name_of(key);
  ENGRAM_TRY(const File file, adopt(::openat(directory.fd(), name.c_str(),
                                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
                                    name));
  struct stat status {};
  if (::fstat(file.fd(), &status) != 0) return system_error(name);
  if (!S_ISREG(status.st_mode) || !is_mine(status))
    return fail("{}: expected a file that only this user can write", name);
  auto records = read_records(file, key);
  if (!records) return fail("{}: {}", name, records.error().text);
  // The time of the last use decides which files stay.
  if (std::time(nullptr) - status.st_mtime > kUseStep) ::futimens(file.fd(), nullptr);
  return records;
}

/// Removes what was not used for longest, and what was never finished.
void trim(const File& folder) {
  struct Kept {
    std::string name;
    std::time_t used;
    std::uint64_t bytes;
  };
  std::vector<Kept> files;
  const int fd = ::openat(folder.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(fd), ::closedir);
  if (!entries) {
    ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    const bool unfinished = name.rfind(kUnfinished, 0) == 0;
    const bool kept = name.size() > kSuffix.size() &&
                      name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
    struct stat status {};
    if (!unfinished && !kept) continue;
    if (::fstatat(folder.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (kept) {
      files.push_back({name, status.st_mtime, static_cast<std::uint64_t>(status.st_size)});
    } else if (std::time(nullptr) - status.st_mtime > kLongestWrite) {
      ::unlinkat(folder.fd(), name.c_str(), 0);
    }
  }
  std::sort(files.begin(), files.end(),
            [](const Kept& a, const Kept& b) { return a.used > b.used; });
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    bytes += files[i].bytes;
    if (i >= KernelCache::kMostFiles || bytes > KernelCache::kMostBytes)
      ::unlinkat(folder.fd(), files[i].name.c_str(), 0);
  }
}

/// A file beyond the limit of the process would not be an error but the end of it (SIGXFSZ).
bool may_write(std::uint64_t bytes) {
  struct rlimit limit {};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes <= limit.rlim_cur;
}

/// Under another name first: whoever reads finds a file whole, or none.
Result<void> write(const File& folder, const std::string& name, const Header& header,
                   std::span<const std::uint32_t> numbers) {
  const auto head = std::as_bytes(std::span(&header, 1));
  const auto body = std::as_bytes(numbers);
  if (!may_write(head.size() + body.size())) return fail("{}: larger than files may be", name);
  const std::string unfinished =
      fmt::format("{}{:x}-{:016x}", kUnfinished, ::getpid(), types::random_seed());
  ENGRAM_TRY(const File file, adopt(::openat(folder.fd(), unfinished.c_str(),
                                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                             S_IRUSR | S_IWUSR),
                                    unfinished));
  const bool written = file.write_at(FileOffset(0), head).count == head.size() &&
                       file.write_at(FileOffset(head.size()), body).count == body.size();
  if (written && ::renameat(folder.fd(), unfinished.c_str(), folder.fd(), name.c_str()) == 0)
    return {};
  const auto error = system_error(name);
  ::unlinkat(folder.fd(), unfinished.c_str(), 0);
  return error;
}

}  // namespace

KernelCache::Key KernelCache::key_of(const paging::AddressSpace& space,
                                     const KernelMap& map) const {
  if (folder_.empty() || map.image.empty()) return {};
  std::vector<std::uint64_t> words{map.mode.levels};
  for (const auto& mapping : map.image) {
    words.insert(words.end(), {mapping.start.value, mapping.size,
                               (mapping.access.writable ? 1ULL : 0ULL) |
                                   (mapping.access.executable ? 2ULL : 0ULL)});
  }
  std::array<std::byte, kPageSize> page{};
  const auto read = space.read(map.image.front().start, page);
  words.push_back(read.count);
  words.push_back(digest(page, 0).low);
  return digest(std::as_bytes(std::span(words)), 0);
}

Result<KernelCache::Found> KernelCache::reopen(const Key& key, const paging::AddressSpace& space,
                                               const KernelMap& map,
                                               Diagnostics& diagnostics) const {
  if (folder_.empty()) return fail("no cache");
  auto records = load(folder_, key);
  if (!records) {
    diagnostics.add(Level::debug, "cache", records.error().text);
    return tl::unexpected(std::move(records).error());
  }
  auto kallsyms =
      types::reopen_kallsyms(space, map.image, std::move(records->kallsyms), diagnostics);
  if (!kallsyms) {
    diagnostics.add(
        Level::info, "cache",
        fmt::format("{}: the image is another: {}", name_of(key), kallsyms.error().text));
    return tl::unexpected(std::move(kallsyms).error());
  }
  diagnostics.add(Level::info, "cache",
                  fmt::format("{}/{}: places of the symbols, checked against the image", folder_,
                              name_of(key)));
  return Found{std::move(*kallsyms), records->types};
}

void KernelCache::keep(const Key& key, const types::Kallsyms& kallsyms, const types::TypeDb& types,
                       Diagnostics& diagnostics) const {
  if (folder_.empty()) return;
  const auto kept = [&]() -> Result<void> {
    ENGRAM_TRY(const File folder, make_folder(folder_));
    const types::KallsymsRecord record = types::record_of(kallsyms);
    const Header header = header_of(key, record, types.record());
    ENGRAM_CHECK(write(folder, name_of(key), header, record.numbers));
    trim(folder);
    return {};
  }();
  diagnostics.add(Level::debug, "cache",
                  kept ? fmt::format("{}/{}: written", folder_, name_of(key))
                       : "not written: " + kept.error().text);
}

}  // namespace engram::kernel
