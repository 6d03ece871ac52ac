// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything that holds bytes at addresses, made from the same content, so that one test runs over
// all of it. A container has
//
//   explicit X(const Buffer& content)    its bytes, from address X::kBase on
//   const auto& memory() const           the operations of guest::MemoryAccess
//   bool dirty_at(PhysAddr) const        if it can be written: whether the page is marked
//   static constexpr bool kHostMemory    whether slices, load and store work
//   static constexpr MemoryErrc kBeyond  how it says that an address is not there
//
// To add one, write it here and put it in the list at the end.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/test_file.h"
#include "base/units.h"
#include "guest/concepts.h"
#include "guest/iommu.h"
#include "guest/ram.h"
#include "mapping/stream_adaptors.h"

namespace engram::test {

using guest::BitmapSlice;
using guest::MemoryErrc;
using guest::MemoryError;
using guest::MemoryResult;
using guest::Range;
using guest::Transfer;
using Buffer = std::vector<std::byte>;

inline guest::Range range_of(std::uint64_t first, std::uint64_t size) {
  return Range::make(PhysAddr(first), size).value();
}
inline Buffer buffer_of(std::initializer_list<int> values) {
  Buffer bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}
/// Bytes that differ from their neighbours and from page to page.
inline Buffer pattern_bytes(std::size_t size) {
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

/// A file with this content, open for both, without a name.
inline mapping::File file_of(const Buffer& content) {
  const TempFile file(content);
  return mapping::File::open(file.path(), mapping::File::Access::read_write).value();
}

/// One view, with the operations of a memory.
class RawSlice {
 public:
  static constexpr PhysAddr kBase{0};
  static constexpr bool kHostMemory = true;
  static constexpr MemoryErrc kBeyond = MemoryErrc::out_of_bounds;

  explicit RawSlice(const Buffer& content)
      : size_(content.size()), bytes_(std::max<std::size_t>(size_, 1)), marks_(size_) {
    std::copy(content.begin(), content.end(), bytes_.begin());
  }
  RawSlice(const RawSlice&) = delete;
  RawSlice& operator=(const RawSlice&) = delete;

  [[nodiscard]] const RawSlice& memory() const { return *this; }
  [[nodiscard]] bool dirty_at(PhysAddr at) const { return marks_.dirty_at(at.value); }

  [[nodiscard]] Transfer read(PhysAddr from, MutableBytes to) const {
    return view().read(from.value, to);
  }
  [[nodiscard]] MemoryResult<void> read_exact(PhysAddr from, MutableBytes to) const {
    return view().read_exact(from.value, to);
  }
  template <class T>
  [[nodiscard]] MemoryResult<T> read_object(PhysAddr from) const {
    return view().read_object<T>(from.value);
  }
  Transfer write(PhysAddr to, Bytes from) const { return view().write(to.value, from); }
  [[nodiscard]] MemoryResult<void> write_exact(PhysAddr to, Bytes from) const {
    return view().write_exact(to.value, from);
  }
  template <class T>
  [[nodiscard]] MemoryResult<void> write_object(PhysAddr to, const T& value) const {
    return view().write_object(to.value, value);
  }
  template <class T>
  [[nodiscard]] MemoryResult<T> load(PhysAddr from) const {
    return view().load<T>(from.value);
  }
  template <class T>
  [[nodiscard]] MemoryResult<void> store(PhysAddr to, T value) const {
    return view().store(to.value, value);
  }
  [[nodiscard]] MemoryResult<guest::ConstVolatileSlice> slice(PhysAddr at,
                                                              std::uint64_t size) const {
    return view().subslice(at.value, size);
  }
  [[nodiscard]] std::vector<MemoryResult<guest::ConstVolatileSlice>> slices(
      PhysAddr at, std::uint64_t size) const {
    if (size == 0) return {};
    return {slice(at, size)};
  }
  template <class Stream>
  Transfer read_from(PhysAddr to, Stream& stream, std::uint64_t size) const {
    const auto part = view().subslice(to.value, size);
    if (!part) return {0, part.error().code, 0, part.error().address};
    return mapping::read_some(stream, *part);
  }
  template <class Stream>
  [[nodiscard]] MemoryResult<void> read_exact_from(PhysAddr to, Stream& stream,
                                                   std::uint64_t size) const {
    ENGRAM_TRY(const auto part, view().subslice(to.value, size));
    return mapping::read_exact(stream, part).exact(part.size());
  }
  template <class Stream>
  Transfer write_to(PhysAddr from, Stream& stream, std::uint64_t size) const {
    const auto part = view().subslice(from.value, size);
    if (!part) return {0, part.error().code, 0, part.error().address};
    return mapping::write_all(stream, *part);
  }
  template <class Stream>
  [[nodiscard]] MemoryResult<void> write_all_to(PhysAddr from, Stream& stream,
                                                std::uint64_t size) const {
    return write_to(from, stream, size).exact(static_cast<std::size_t>(size));
  }

 private:
  [[nodiscard]] guest::VolatileSlice<BitmapSlice> view() const {
    return {bytes_.data(), size_, marks_.slice_at(0)};
  }

  std::size_t size_;
  mutable Buffer bytes_;
  mutable guest::AtomicBitmap marks_;
};

/// A collection of regions as a container.
template <class R, bool host_memory>
class CollectionContainer {
 public:
  static constexpr PhysAddr kBase{0x10'0000};
  static constexpr bool kHostMemory = host_memory;
  static constexpr MemoryErrc kBeyond = MemoryErrc::invalid_guest_address;

  [[nodiscard]] const guest::RegionCollection<R>& memory() const { return memory_; }
  [[nodiscard]] bool dirty_at(PhysAddr at) const {
    const R* const region = memory_.find(at);
    return region != nullptr && region->dirty().dirty_at(at - region->range().first());
  }

 protected:
  explicit CollectionContainer(std::vector<R> regions) {
    if (!regions.empty()) memory_ = guest::RegionCollection<R>::from(std::move(regions)).value();
  }

 private:
  guest::RegionCollection<R> memory_;
};

using Mapped = guest::MappedRegion<BitmapSlice>;

/// Anonymous memory from an address on, with this content and no page dirty.
inline std::vector<Mapped> anonymous_region(PhysAddr at, Bytes content) {
  if (content.empty()) return {};
  const auto region = Mapped::anonymous(range_of(at.value, content.size())).value();
  EXPECT_TRUE(region.write(RegionOffset(), content).complete());
  region.dirty().bitmap()->reset();
  return {region};
}

struct AnonymousContainer : CollectionContainer<Mapped, true> {
  explicit AnonymousContainer(const Buffer& content)
      : CollectionContainer(anonymous_region(kBase, content)) {}
};

struct FileContainer : CollectionContainer<Mapped, true> {
  explicit FileContainer(const Buffer& content) : CollectionContainer(regions(content)) {}
  static std::vector<Mapped> regions(const Buffer& content) {
    if (content.empty()) return {};
    return {
        Mapped::from_file(range_of(kBase.value, content.size()), {file_of(content), FileOffset()})
            .value()};
  }
};

struct StreamContainer : CollectionContainer<guest::StreamRegion<BitmapSlice>, false> {
  using R = guest::StreamRegion<BitmapSlice>;
  explicit StreamContainer(const Buffer& content) : CollectionContainer(regions(content)) {}
  static std::vector<R> regions(const Buffer& content) {
    if (content.empty()) return {};
    return {
        R::make(range_of(kBase.value, content.size()), {file_of(content), FileOffset()}).value()};
  }
};

/// Two regions that touch, the first of one page or of half of the bytes.
struct SplitContainer : CollectionContainer<Mapped, true> {
  explicit SplitContainer(const Buffer& content) : CollectionContainer(regions(content)) {}
  static std::vector<Mapped> regions(const Buffer& content) {
    const std::size_t middle = content.size() > 2 * kPageSize ? kPageSize : content.size() / 2;
    const Bytes all(content);
    std::vector<Mapped> two = anonymous_region(kBase, all.first(middle));
    for (const Mapped& region : anonymous_region(kBase + middle, all.subspan(middle))) {
      two.push_back(region);
    }
    return two;
  }
};

/// Regions of several types in one collection.
struct VariantContainer : CollectionContainer<guest::AnyTrackedRegion, false> {
  using Tracker = mapping::OptionalTracker<BitmapSlice>;
  explicit VariantContainer(const Buffer& content) : CollectionContainer(regions(content)) {}
  static std::vector<guest::AnyTrackedRegion> regions(const Buffer& content) {
    using Stream = guest::StreamRegion<Tracker>;
    if (content.size() < 2) {
      if (content.empty()) return {};
      return {Stream::make(range_of(kBase.value, 1), {file_of(content), FileOffset()}).value()};
    }
    const std::size_t middle = content.size() / 2;
    const mapping::File file = file_of(content);
    return {
        guest::MappedRegion<Tracker>::from_file(range_of(kBase.value, middle), {file, FileOffset()})
            .value(),
        Stream::make(range_of(kBase.value + middle, content.size() - middle),
                     {file, FileOffset(middle)})
            .value()};
  }
};

/// An IOMMU in front of anonymous memory.
template <bool enabled>
class IommuContainer {
 public:
  static constexpr PhysAddr kPhysical{0x10'0000};
  static constexpr PhysAddr kBase{enabled ? 0x40'0000 : kPhysical.value};
  static constexpr bool kHostMemory = true;
  static constexpr MemoryErrc kBeyond = MemoryErrc::invalid_guest_address;
  using M = guest::IommuMemory<guest::RegionCollection<Mapped>, guest::SharedIotlb,
                               mapping::SharedBitmapSlice>;

  explicit IommuContainer(const Buffer& content) : memory_(make(content)) {}

  [[nodiscard]] const M& memory() const { return memory_; }
  [[nodiscard]] bool dirty_at(PhysAddr at) const {
    if (enabled) return memory_.iova_dirty().dirty_at(at.value);
    const Mapped* const region = memory_.backend().find(at);
    return region != nullptr && region->dirty().dirty_at(at - region->range().first());
  }

 private:
  static M make(const Buffer& content) {
    guest::RegionCollection<Mapped> backend;
    if (!content.empty()) {
      backend = guest::RegionCollection<Mapped>::from(anonymous_region(kPhysical, content)).value();
    }
    auto tlb = std::make_shared<guest::SharedIotlb>();
    // Translations reach further than the memory: its end is what operations find.
    EXPECT_TRUE(tlb->map(kBase, kPhysical, kMiB, guest::Permissions::read_write).has_value());
    const auto iovas = std::make_shared<guest::AtomicBitmap>(kBase.value + kMiB);
    return M(std::move(backend), std::move(tlb), enabled, mapping::SharedBitmapSlice(iovas));
  }

  M memory_;
};

/// Pages that are copied out of a vector each time.
class CopiedPages : public guest::PageSource {
 public:
  explicit CopiedPages(Buffer content, std::uint64_t page_size = kPageSize)
      : content_(std::move(content)), page_size_(page_size) {}
  [[nodiscard]] std::uint64_t page_size() const override { return page_size_; }
  [[nodiscard]] Transfer read_page(std::uint64_t index, MutableBytes to) const override {
    const std::uint64_t at = index * page_size_;
    const std::size_t there = at < content_.size() ? content_.size() - at : 0;
    const std::size_t count = std::min(there, to.size());
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(content_.size() - there), count,
                to.begin());
    return {count};
  }

 private:
  Buffer content_;
  std::uint64_t page_size_;
};

struct DecodedContainer : CollectionContainer<guest::DecodedRegion, false> {
  explicit DecodedContainer(const Buffer& content) : CollectionContainer(regions(content)) {}
  static std::vector<guest::DecodedRegion> regions(const Buffer& content) {
    std::vector<guest::DecodedRegion> regions;
    if (content.empty()) return regions;
    auto cache = std::make_shared<guest::PageCache>(std::make_shared<CopiedPages>(content), 3);
    regions.push_back(
        guest::DecodedRegion::make(range_of(kBase.value, content.size()), std::move(cache)));
    return regions;
  }
};

/// The read-only memory of a dump.
class DumpContainer {
 public:
  static constexpr PhysAddr kBase{0x10'0000};
  static constexpr bool kHostMemory = true;
  static constexpr MemoryErrc kBeyond = MemoryErrc::invalid_guest_address;

  explicit DumpContainer(const Buffer& content) {
    auto bytes = std::make_shared<const Buffer>(content);
    guest::Regions regions;
    if (!content.empty()) {
      regions.push_back({kBase, bytes->size(), guest::Backing::host, bytes->data()});
    }
    memory_ = guest::Memory::create(std::move(regions), bytes).value();
  }
  [[nodiscard]] const guest::Memory& memory() const { return memory_; }

 private:
  guest::Memory memory_;
};

using WritableContainers =
    testing::Types<RawSlice, AnonymousContainer, FileContainer, StreamContainer, SplitContainer,
                   VariantContainer, IommuContainer<true>, IommuContainer<false>>;
using AllContainers = testing::Types<RawSlice, AnonymousContainer, FileContainer, StreamContainer,
                                     SplitContainer, VariantContainer, IommuContainer<true>,
                                     IommuContainer<false>, DecodedContainer, DumpContainer>;

}  // namespace engram::test
