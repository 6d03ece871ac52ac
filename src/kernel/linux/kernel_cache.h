// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a search for a kernel has found out, in files, so that the next process need not search.
//
// A file has nothing that an answer is made of: where kallsyms lies, a number a name by which
// names are found, and the digest of BTF that has passed every check. Names, addresses and types
// are decoded from the image all the same. Each half is used only if the names, or the BTF, in the
// image are bit for bit those that it was made from, so that what was changed is searched, or
// checked, anew (but not for a second kallsyms that a search would come to before the first). Files
// that anybody else could have written are not read. Whoever can write as this user could make a
// file with which symbols are not found, or damaged BTF is not refused; no file makes up a symbol
// or an address, and whatever it says, nothing is read out of bounds.

#include <optional>
#include <string>

#include "base/diagnostics.h"
#include "base/digest.h"
#include "kernel/linux/kernel_map.h"
#include "paging/address_space.h"
#include "types/kallsyms.h"
#include "types/type_db.h"

namespace engram::kernel {

/// Safe to use by any number of threads and processes at once: files are replaced whole.
class KernelCache {
 public:
  /// What a kernel is recognised by before anything of it is known.
  using Key = Digest;

  /// `folder` is made when there is something to be kept. Empty: there is no cache.
  explicit KernelCache(std::string folder) : folder_(std::move(folder)) {}

  /// Of the mappings of the kernel image and its first page.
  [[nodiscard]] Key key_of(const paging::AddressSpace& space, const KernelMap& map) const;

  /// What a file gives.
  struct Found {
    types::Kallsyms kallsyms;
    types::TypeDb::Record types;
  };
  /// The symbols, if there is a file about them and the image is what it says; the diagnostics have
  /// why not.
  /// Errors: not so.
  [[nodiscard]] Result<Found> reopen(const Key& key, const paging::AddressSpace& space,
                                     const KernelMap& map, Diagnostics& diagnostics) const;

  /// Makes the file, and removes those that were not used for longest if there are too many. If
  /// that is not possible the diagnostics have why.
  void keep(const Key& key, const types::Kallsyms& kallsyms, const types::TypeDb& types,
            Diagnostics& diagnostics) const;

  /// So many files are kept at most, of so many bytes in all.
  static constexpr std::size_t kMostFiles = 64;
  static constexpr std::uint64_t kMostBytes = 64 * kMiB;

 private:
  std::string folder_;
};

}  // namespace engram::kernel
