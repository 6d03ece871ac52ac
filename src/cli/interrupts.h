// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Ctrl-C: while an Interrupts lives, SIGINT stops the statement that runs and not the program.

#include <csignal>

#include "sql/database.h"

namespace engram::cli {

/// At most one at a time: signals belong to the process.
class Interrupts {
 public:
  enum class Mode : std::uint8_t {
    first,  ///< the second Ctrl-C ends the program: the first one may be stuck in a long step
    all,
  };
  explicit Interrupts(Mode mode);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Which database is interrupted; null: none.
  void watch(sql::Database* database);

  /// Whether SIGINT came since the last call.
  bool take();

  /// Readable while take() would return true. For poll(); -1 if there is none.
  [[nodiscard]] int descriptor() const;

 private:
  struct sigaction before_ {};
};

/// While one lives, interrupts reach a database.
class Watch {
 public:
  Watch(Interrupts& interrupts, sql::Database& database) : interrupts_(interrupts) {
    interrupts_.watch(&database);
  }
  ~Watch() { interrupts_.watch(nullptr); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Interrupts& interrupts_;
};

}  // namespace engram::cli
