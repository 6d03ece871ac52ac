// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one result type of the program: a value, or the reason why there is none.
//
// Use:
//   Result<Image> open(const std::string& path);      // fails with Error
//   Result<Translation, Fault> translate(VirtAddr);   // fails with a layer's own small type
//
//   ENGRAM_TRY(auto image, open(path));               // declare, or return the error to the caller
//   ENGRAM_CHECK(write_all(bytes));                   // the same for Result<void>
//
// An Error's text names what, where and what was expected:
//   lime: range 3 at 0x1f40: last byte 0x0 lies before the first byte 0x1000

#include <fmt/core.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace engram {

struct Error {
  std::string text;
};

template <class T, class E = Error>
using Result = tl::expected<T, E>;

/// Makes the failing side of a Result from a format string.
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace engram

#define ENGRAM_CONCAT_(a, b) a##b
#define ENGRAM_CONCAT(a, b) ENGRAM_CONCAT_(a, b)
#define ENGRAM_TRY_(result, target, expression)                    \
  auto result = (expression);                                      \
  if (!result) return ::tl::unexpected(std::move(result).error()); \
  target = std::move(*result)

/// ENGRAM_TRY(auto x, f()): x is f()'s value, or the enclosing function returns f()'s error.
#define ENGRAM_TRY(target, expression) \
  ENGRAM_TRY_(ENGRAM_CONCAT(engram_try_, __LINE__), target, expression)

/// ENGRAM_CHECK(f()): the enclosing function returns f()'s error, if there is one.
#define ENGRAM_CHECK(expression)                                 \
  do {                                                           \
    if (auto engram_check_ = (expression); !engram_check_)       \
      return ::tl::unexpected(std::move(engram_check_).error()); \
  } while (false)
