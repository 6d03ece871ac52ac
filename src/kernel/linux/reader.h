// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads members of kernel objects; what cannot be read becomes nothing and one diagnostics row.
// Each read throws Interrupted if who waits for it has given up (base/interruption.h).

#include <optional>
#include <string>
#include <type_traits>

#include "base/diagnostics.h"
#include "kernel/linux/fields.h"
#include "paging/address_space.h"

namespace engram::kernel {

class Reader {
 public:
  /// Borrows both. `is_live`: the memory may change between two reads.
  Reader(const paging::AddressSpace& space, Diagnostics& diagnostics, bool is_live = false)
      : space_(space),
        diagnostics_(diagnostics),
        pointer_size_(paging::pointer_size(space.mode().architecture)),
        is_live_(is_live) {}

  /// The same without reports: for tries that are repeated if they fail.
  [[nodiscard]] Reader quiet() const {
    Reader reader = *this;
    reader.is_quiet_ = true;
    return reader;
  }
  /// The same with pointers of 4 bytes: of a 32-bit program on a machine of another width.
  [[nodiscard]] Reader narrow() const {
    Reader reader = *this;
    reader.pointer_size_ = sizeof(std::uint32_t);
    return reader;
  }
  [[nodiscard]] bool is_live() const { return is_live_; }
  /// Bytes of a pointer at a bare address; those of the machine. Fields have a size of their own.
  [[nodiscard]] std::uint64_t pointer_size() const { return pointer_size_; }

  [[nodiscard]] const paging::AddressSpace& space() const { return space_; }
  [[nodiscard]] Diagnostics& diagnostics() const { return diagnostics_; }

  /// The value of a member. Nothing if this kernel has no such member (reported when it was
  /// resolved), if the object is NULL, or if it cannot be read (reported here).
  template <class T>
  [[nodiscard]] std::optional<T> get(VirtAddr object, const Field<T>& field) const {
    if (!object || !field) return std::nullopt;
    const auto raw = scalar(object, *field.offset, field.size, std::is_signed_v<T>, field.name);
    if (!raw) return std::nullopt;
    return T(*raw);
  }

  /// A member that is a NULL-able pointer: nothing for NULL as well.
  [[nodiscard]] std::optional<VirtAddr> follow(VirtAddr object,
                                               const Field<VirtAddr>& field) const {
    const auto pointer = get(object, field);
    if (!pointer || !*pointer) return std::nullopt;
    return pointer;
  }

  /// A member that in every kernel leads to an object: NULL is one diagnostics row, too (a page
  /// that was dumped as zeros looks like that), lest what is behind it be missing without a word.
  [[nodiscard]] std::optional<VirtAddr> require(VirtAddr object,
                                                const Field<VirtAddr>& field) const;

  /// A char array up to its NUL. Nothing as for get().
  [[nodiscard]] std::optional<std::string> text(VirtAddr object, const TextField& field) const;
  /// The NUL-terminated string behind a pointer, at most `limit` bytes; nothing for NULL.
  [[nodiscard]] std::optional<std::string> text_at(VirtAddr address, std::size_t limit,
                                                   std::string_view what) const;

  /// A pointer at a bare address, such as a list head in a symbol. Nothing if it cannot be read,
  /// which is reported.
  [[nodiscard]] std::optional<VirtAddr> pointer_at(VirtAddr address, std::string_view what) const;

  /// The same of one that is never NULL, as require().
  [[nodiscard]] std::optional<VirtAddr> require_at(VirtAddr address, std::string_view what) const;

  /// One diagnostics row: `what` of the object at `object` could not be used, and why.
  void report(std::string_view what, VirtAddr object, std::string_view reason) const;

 private:
  [[nodiscard]] std::optional<std::uint64_t> scalar(VirtAddr object, std::uint64_t offset,
                                                    std::uint64_t size, bool is_signed,
                                                    std::string_view name) const;

  const paging::AddressSpace& space_;
  Diagnostics& diagnostics_;
  std::uint64_t pointer_size_;
  bool is_live_;
  bool is_quiet_ = false;
};

}  // namespace engram::kernel
