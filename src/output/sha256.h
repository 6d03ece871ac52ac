// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// SHA-256 of bytes that come in parts.

#include <memory>
#include <string>

#include "base/bytes.h"

struct evp_md_ctx_st;

namespace engram::output {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(Bytes bytes);
  /// 64 hexadecimal digits; empty if the library refused. Nothing can be added any more.
  [[nodiscard]] std::string finish();

 private:
  struct Deleter {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Deleter> context_;
  bool is_good_;
};

}  // namespace engram::output
