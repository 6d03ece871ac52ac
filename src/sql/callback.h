// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// C++ called by SQLite: an exception must not pass through its C frames.

#include <exception>
#include <new>
#include <string>

namespace engram::sql {

/// SQLite's own word for it (sqlite3ErrStr() of SQLITE_NOMEM).
inline constexpr const char* kOutOfMemory = "out of memory";

/// Runs `body`. If it throws, tells `report` why and returns what that returns.
template <class Body, class Report>
auto without_exceptions(Body body, Report report) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return report(kOutOfMemory);
  } catch (const std::exception& exception) {
    return report(exception.what());
  }
}

}  // namespace engram::sql
