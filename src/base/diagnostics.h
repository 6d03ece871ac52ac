// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the program noticed on its way: what was tried, what was found, what is damaged.
// The diagnostics table shows these rows; nothing is printed by the layers themselves.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

/// The numbers are those of the `level` column (and of mquire's).
enum class Level : std::uint8_t { error = 1, warning = 2, info = 3, debug = 4 };

struct Diagnostic {
  std::chrono::system_clock::time_point time;
  Level level = Level::info;
  std::string component;                 ///< layer or subject: "lime", "kallsyms", "tasks"
  std::string message;                   ///< what, where, what was expected
  std::optional<std::uint64_t> address;  ///< of the object that it is about, if there is one
  std::string_view asked_by;             ///< the name of an AskedBy; empty if there was none
};

/// While one lives, what its thread adds to any log is marked with the name of who asked: a table.
/// What is read once and kept is marked with who asked first.
class AskedBy {
 public:
  /// `name` must be there as long as the log.
  explicit AskedBy(std::string_view name) : before_(std::exchange(current(), name)) {}
  ~AskedBy() { current() = before_; }
  AskedBy(const AskedBy&) = delete;
  AskedBy& operator=(const AskedBy&) = delete;

 private:
  friend class Diagnostics;

  static std::string_view& current() {
    thread_local std::string_view of_thread;
    return of_thread;
  }

  std::string_view before_;
};

/// A bounded, ordered log that several threads may append to.
/// When `capacity` is reached later rows are not kept, and counted if they are errors or warnings:
/// the first ones explain the rest.
class Diagnostics {
 public:
  explicit Diagnostics(std::size_t capacity = 10'000) : capacity_(capacity) {}

  void add(Level level, std::string component, std::string message,
           std::optional<std::uint64_t> address = std::nullopt);

  /// From now on; rows that are there already stay.
  void set_capacity(std::size_t capacity);

  [[nodiscard]] std::vector<Diagnostic> rows() const;
  /// Errors and warnings not kept because the log was full.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  mutable std::mutex mutex_;
  std::size_t capacity_;
  std::vector<Diagnostic> rows_;
  std::uint64_t dropped_ = 0;
};

}  // namespace engram
