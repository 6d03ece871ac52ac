// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an answer may lack, said behind it.

#include <cstddef>
#include <cstdint>
#include <string>

#include "cli/console.h"
#include "kernel/session.h"

namespace engram::cli {

/// Says each thing once, however many answers there are.
class DamageReport {
 public:
  /// Warns of what was noticed since the last time: that there is no kernel, that it has more
  /// memory than the image, how many objects could not be read, and for which tables. What open()
  /// noticed was said by then.
  void say(kernel::Session& session, const std::string& path, const Console& console);

  /// Whether nothing was noticed up to the last time, by open() neither.
  [[nodiscard]] bool is_whole() const { return is_whole_; }

 private:
  std::size_t rows_ = 0;       ///< of the diagnostics, that were looked at
  std::uint64_t dropped_ = 0;  ///< of them, later ones
  std::size_t pages_ = 0;      ///< that could not be unpacked
  bool is_whole_ = true;
};

/// Warns of parts of the image that could not be unpacked, without the first `known` ones; how many
/// there are in all.
std::size_t report_page_problems(const image::Image& image, const std::string& path,
                                 const Console& console, std::size_t known = 0);

}  // namespace engram::cli
