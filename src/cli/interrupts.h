// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Ctrl-C: while an Interrupts lives, SIGINT stops the statement that runs and not the program.

#include <csignal>
#include <vector>

#include "sql/database.h"

namespace engram::cli {

/// At most one at a time: signals belong to the process.
class Interrupts {
 public:
  enum class Mode : std::uint8_t {
    first,  ///< the second Ctrl-C ends the program: the first one may be stuck in a long step
    all,
    only_ctrl_c,  ///< all of them; SIGTERM and SIGHUP end the program as they always do
  };
  /// SIGTERM and SIGHUP are taken like SIGINT, so that what is half done is put away.
  explicit Interrupts(Mode mode);
  /// Ends the program by SIGTERM or SIGHUP, if one came.
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Which database is interrupted; null: none.
  void watch(sql::Database* database);

  /// Whether a signal came since the last call.
  bool take();

  /// Readable while take() would return true. For poll(); -1 if there is none.
  [[nodiscard]] int descriptor() const;

 private:
  struct Taken {
    int signal = 0;
    struct sigaction before {};
  };
  void take_signal(int signal, Mode mode);

  std::vector<Taken> taken_;
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
