// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A value that is made when it is first asked for, and then kept.

#include <memory>
#include <mutex>
#include <utility>

namespace engram {

/// Any number of threads may ask at once: one of them makes it. T may be incomplete where the Lazy
/// is declared, as with std::unique_ptr.
template <class T>
class Lazy {
 public:
  /// The value; made of these arguments if this is the first time.
  template <class... Args>
  T& get(Args&&... args) {
    std::call_once(once_, [&] { value_ = std::make_unique<T>(std::forward<Args>(args)...); });
    return *value_;
  }

 private:
  std::once_flag once_;
  std::unique_ptr<T> value_;
};

}  // namespace engram
