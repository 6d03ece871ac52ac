// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/file_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "output/text.h"

namespace engram::output {
namespace {

using mapping::File;

constexpr const char* kFiles = "files";
constexpr const char* kManifest = "manifest.jsonl";
constexpr std::size_t kNameLimit = 200;   // NAME_MAX is 255, and something may be put behind it
constexpr std::size_t kDepthLimit = 128;  // directories
// What memory held is for who extracts it alone.
constexpr mode_t kDirectoryMode = 0700, kFileMode = 0600;

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> found;
  while (!path.empty()) {
    const auto component = path.substr(0, path.find('/'));
    if (!component.empty()) found.push_back(safe_name(component));
    path.remove_prefix(std::min(component.size() + 1, path.size()));
  }
  return found;
}

/// Whether the error says that the place in the tree is taken, or that there cannot be one.
bool is_about_the_name(int error) {
  return error == EEXIST || error == ENOTDIR || error == EISDIR || error == ELOOP ||
         error == ENAMETOOLONG;
}

Result<File> owned(int fd, const std::string& what) {
  if (fd < 0) return fail("{}: {}", what, std::strerror(errno));
  auto file = File::adopt(fd);
  if (!file) return fail("{}: cannot be used", what);
  return std::move(*file);
}

/// A directory in another one, made if there is none; -1 and errno if that cannot be.
int open_directory(int in, const std::string& name) {
  if (::mkdirat(in, name.c_str(), kDirectoryMode) != 0 && errno != EEXIST) return -1;
  return ::openat(in, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int create_file(int in, const std::string& name) {
  return ::openat(in, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  kFileMode);
}

}  // namespace

std::string safe_name(std::string_view component) {
  if (component.empty() || component == "." || component == "..") {
    std::string dots = "%";
    for (std::size_t i = 0; i < component.size(); ++i) dots += i == 0 ? "2E" : "%2E";
    return dots;
  }
  std::string name;
  while (!component.empty() && name.size() < kNameLimit) {
    const Character character = first_character(component);
    const auto byte = static_cast<unsigned char>(component[0]);
    // Bytes that are no UTF-8 could not be said in the manifest.
    if (!character.valid || byte < 0x20 || byte == 0x7f || byte == '%' || byte == '/') {
      name += fmt::format("%{:02X}", byte);
    } else {
      name += component.substr(0, character.length);
    }
    component.remove_prefix(character.length);
  }
  return name;
}

Result<FileTree> FileTree::create(const std::string& directory) {
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return fail("{}: {}", directory, std::strerror(errno));
  }
  ENGRAM_TRY(const auto top,
             owned(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), directory));
  const std::string manifest_name = directory + '/' + kManifest;
  ENGRAM_TRY(const auto manifest, owned(create_file(top.fd(), kManifest), manifest_name));
  const std::string files_name = directory + '/' + kFiles;
  if (::mkdirat(top.fd(), kFiles, kDirectoryMode) != 0) {
    const int error = errno;
    ::unlinkat(top.fd(), kManifest, 0);
    return fail("{}: {}", files_name, std::strerror(error));
  }
  ENGRAM_TRY(auto files, owned(open_directory(top.fd(), kFiles), files_name));
  Stream stream(::fdopen(::fcntl(manifest.fd(), F_DUPFD_CLOEXEC, 0), "w"));
  if (!stream) return fail("{}: {}", manifest_name, std::strerror(errno));
  return FileTree(directory, std::move(files), std::move(stream));
}

Result<FileTree::NewFile> FileTree::new_file(std::string_view path, std::string_view unique) {
  const auto names = components(path);
  std::string walked = kFiles;
  std::optional<File> directory = files_;
  bool fits = !names.empty() && names.size() <= kDepthLimit;
  for (std::size_t i = 0; fits && i + 1 < names.size(); ++i) {
    const int fd = open_directory(directory->fd(), names[i]);
    if (fd < 0 && is_about_the_name(errno)) {
      fits = false;
      break;
    }
    walked += '/' + names[i];
    ENGRAM_TRY(directory, owned(fd, directory_ + '/' + walked));
  }
  if (fits) {
    for (const auto& name : {names.back(), names.back() + '~' + std::string(unique)}) {
      const int fd = create_file(directory->fd(), name);
      if (fd < 0 && is_about_the_name(errno)) continue;
      ENGRAM_TRY(auto file, owned(fd, directory_ + '/' + walked + '/' + name));
      return NewFile{std::move(file), walked + '/' + name, std::move(*directory)};
    }
  }
  const std::string name = safe_name(unique);
  const std::string shown = std::string(kFiles) + '/' + name;
  ENGRAM_TRY(auto file, owned(create_file(files_.fd(), name), directory_ + '/' + shown));
  return NewFile{std::move(file), shown, files_};
}

void FileTree::NewFile::remove() const {
  ::unlinkat(directory.fd(), name.substr(name.rfind('/') + 1).c_str(), 0);
}

}  // namespace engram::output
