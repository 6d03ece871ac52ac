// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/whole_file.h"

#include <utility>

namespace engram::mapping {

Result<Mapping<ReadOnly>> map_whole_file(const std::string& path, Share share) {
  ENGRAM_TRY(const File file, File::open(path));
  const auto size = file.size();
  if (!size) return tl::unexpected(to_error("cannot examine " + path, size.error()));
  if (*size == 0) return fail("{}: the file is empty", path);
  auto mapped = Options(*size).backing(file).share(share).map<ReadOnly>();
  if (!mapped) {
    return fail("cannot map {} ({} bytes): {}", path, *size, to_string(mapped.error()));
  }
  return std::move(*mapped);
}

}  // namespace engram::mapping
