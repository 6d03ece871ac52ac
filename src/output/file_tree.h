// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A directory that the files of an image are written into, under names that come from hostile
// memory.
//
// DIRECTORY/files has the files as a tree, DIRECTORY/manifest.jsonl says what they are. Nothing is
// written anywhere else, no symbolic link is followed below DIRECTORY, and nothing that is there is
// overwritten.

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mapping/file.h"

namespace engram::output {

/// The name for a component of a path: control characters, `%` and names with a meaning (`.`, `..`,
/// none) are written as %XX; what is longer than 200 bytes is cut.
[[nodiscard]] std::string safe_name(std::string_view component);

class FileTree {
 public:
  struct NewFile {
    mapping::File file;
    std::string name;         ///< from DIRECTORY on
    mapping::File directory;  ///< that it lies in

    /// Of one that could not be finished.
    void remove() const;
  };

  /// Makes DIRECTORY, unless there is one, and an empty `files` and a `manifest.jsonl` in it.
  /// Errors: one of these is there already, or cannot be made.
  static Result<FileTree> create(const std::string& directory);

  /// A new file below `files` for a path of the image. If its place is taken, `unique` is put
  /// behind its name; where no place is left in the tree its name is `unique` alone.
  /// Errors: it cannot be made.
  Result<NewFile> new_file(std::string_view path, std::string_view unique);

  /// For the text of manifest.jsonl.
  [[nodiscard]] std::FILE* manifest() const { return manifest_.get(); }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using Stream = std::unique_ptr<std::FILE, Closer>;
  FileTree(std::string directory, mapping::File files, Stream manifest)
      : directory_(std::move(directory)),
        files_(std::move(files)),
        manifest_(std::move(manifest)) {}

  std::string directory_;
  mapping::File files_;
  Stream manifest_;
};

}  // namespace engram::output
