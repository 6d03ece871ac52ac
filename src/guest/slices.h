// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The pieces of a range of guest memory, and views of them as an input range.

#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "guest/region.h"

namespace engram::guest {

/// A part of a region.
template <class R>
struct Piece {
  const R* region = nullptr;
  RegionOffset offset = {};
  std::uint64_t size = 0;  ///< bytes
};

/// What pieces() gives; see access.h.
template <class C, class R>
concept PieceCursor = requires(C& cursor, const C& constant) {
  { cursor.next() } -> std::same_as<Piece<R>>;
  { constant.error() } -> std::convertible_to<const MemoryError&>;
};

/// The first `size` bytes of a piece, which begins at guest address `address`, as a view.
template <class Slice, class R>
[[nodiscard]] MemoryResult<Slice> view_of_piece(const Piece<R>& piece, std::uint64_t size,
                                                PhysAddr address) {
  MemoryResult<Slice> view = [&] {
    if constexpr (std::is_same_v<Slice, ConstVolatileSlice>) {
      return piece.region->view(piece.offset, size);
    } else {
      return piece.region->mutable_view(piece.offset, size);
    }
  }();
  if (!view) {
    view.error().address += address - PhysAddr(piece.offset.value);
  } else if (view->size() != size) {  // a region's word is not enough to touch memory
    return fail_memory(MemoryErrc::invalid_backend_address, address.value, size);
  }
  return view;
}

/// Views of the pieces of a range, made one by one. An error is the last element. For one pass.
template <class Slice, class R, PieceCursor<R> Cursor>
class Slices {
 public:
  Slices(Cursor cursor, PhysAddr address) : cursor_(std::move(cursor)), address_(address) {}

  class Iterator {
   public:
    using value_type = MemoryResult<Slice>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(Slices& slices) : slices_(&slices) {}
    const value_type& operator*() const { return *slices_->item_; }
    const value_type* operator->() const { return &*slices_->item_; }
    Iterator& operator++() {
      slices_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t /*end*/) const { return !slices_->item_; }

   private:
    Slices* slices_ = nullptr;
  };

  Iterator begin() {
    if (!started_) advance();
    return Iterator(*this);
  }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  /// The views up to the first error, as plain views. See until_error().
  class UntilError {
   public:
    class Iterator {
     public:
      using value_type = Slice;
      using difference_type = std::ptrdiff_t;
      using iterator_concept = std::input_iterator_tag;

      Iterator() = default;
      explicit Iterator(Slices& slices) : slices_(&slices) {}
      const Slice& operator*() const { return **slices_->item_; }
      const Slice* operator->() const { return &**slices_->item_; }
      Iterator& operator++() {
        slices_->advance();
        return *this;
      }
      void operator++(int) { ++*this; }
      bool operator==(std::default_sentinel_t /*end*/) const {
        return !slices_->item_ || !*slices_->item_;
      }

     private:
      Slices* slices_ = nullptr;
    };

    explicit UntilError(Slices slices) : slices_(std::move(slices)) {}
    Iterator begin() { return Iterator(slices_); }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

   private:
    Slices slices_;
  };

  /// For those who take what there is: fails only if not one byte is there, and ends where the
  /// first missing byte is otherwise.
  [[nodiscard]] MemoryResult<UntilError> until_error() && {
    begin();
    if (item_ && !*item_) return tl::unexpected<MemoryError>(item_->error());
    return UntilError(std::move(*this));
  }

 private:
  void advance() {
    started_ = true;
    item_.reset();
    if (ended_) return;
    const Piece<R> piece = error_behind_ ? Piece<R>() : cursor_.next();
    if (piece.region == nullptr) {
      ended_ = true;
      const MemoryError& error = error_behind_ ? *error_behind_ : cursor_.error();
      if (error.code != MemoryErrc::none) item_ = tl::unexpected<MemoryError>(error);
      return;
    }
    item_ = view_of_piece<Slice>(piece, piece.size, address_);
    if (!*item_ && item_->error().code == MemoryErrc::source_truncated) {
      // What there is of the region comes before the error.
      const std::uint64_t there = item_->error().address - address_.value;
      if (there != 0 && there < piece.size) {
        error_behind_ = item_->error();
        item_ = view_of_piece<Slice>(piece, there, address_);
      }
    }
    ended_ = !*item_;
    address_ = address_ + piece.size;
  }

  Cursor cursor_;
  PhysAddr address_;  // of the next piece
  std::optional<MemoryResult<Slice>> item_;
  std::optional<MemoryError> error_behind_;  // of a region that is shown in part
  bool started_ = false, ended_ = false;
};

}  // namespace engram::guest
