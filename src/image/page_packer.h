// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compressions of pages in dump files, forwards: pages in, packed bytes out.

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "image/page_codec.h"

namespace engram::image {

/// Has the working memory of one codec, which is made once for many pages. For one thread.
class PagePacker {
 public:
  virtual ~PagePacker() = default;
  /// Errors: this build does not have the codec; no memory.
  static Result<std::unique_ptr<PagePacker>> create(Codec codec);

  /// The packed bytes, up to the next call; nothing if they are not fewer than the page has.
  [[nodiscard]] virtual Bytes pack(Bytes page) = 0;
};

}  // namespace engram::image
