// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory of a Xen domain, for a back-end that runs in another one: mapped whole as foreign memory,
// or by grants, whole or only while it is used.
//
// In:     XenRange: what to map, of which domain, through which device file; XenDevices, which make
//         the system calls (or, in tests, pretend to).
// Out:    XenMapping: host memory; XenRegion: the same as a region of guest memory, beside ordinary
//         ones in a RegionCollection of a variant.
// Owner:  copies share the mapping. A XenWindow owns its own.
// Errors: MemoryError, see XenMapping::create().
//
// What is mapped is somebody else's: a domain that dies takes its pages with it, so all copies are
// guarded.

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "guest/permissions.h"
#include "guest/region.h"
#include "guest/tracker.h"
#include "mapping/file.h"
#include "mapping/host_range.h"
#include "mapping/protection.h"

namespace engram::guest {

/// The system calls behind Xen mappings.
class XenDevices {
 public:
  /// A range of host memory that is unmapped with the last copy of `owner`.
  struct Mapped {
    mapping::NativeRange range;
    std::shared_ptr<void> owner;
  };

  virtual ~XenDevices() = default;
  /// mmap(2) of a device file at `offset`.
  virtual MemoryResult<Mapped> map(const FileRef& device, std::uint64_t size, mapping::Prot prot,
                                   mapping::Share share) = 0;
  /// ioctl(2). Errors: os.
  virtual MemoryResult<void> control(const mapping::File& device, unsigned long request,
                                     void* argument) = 0;

  /// Those of this host.
  static std::shared_ptr<XenDevices> host();
};

/// The bits that say how memory of a domain is to be mapped (QEMU, docs/interop/vhost-user.rst,
/// "xen mmap flags").
struct XenFlags {
  static constexpr std::uint32_t kPlain = 0;  ///< not Xen's: memory of this host
  static constexpr std::uint32_t kForeign = 1 << 0;
  static constexpr std::uint32_t kGrant = 1 << 1;
  static constexpr std::uint32_t kNoAdvance = 1 << 8;  ///< only while it is used; of grants
};

/// What to map.
struct XenRange {
  PhysAddr start;          ///< of the domain; page-aligned
  std::uint64_t size = 0;  ///< bytes
  std::uint32_t flags = XenFlags::kPlain;
  std::uint32_t domain = 0;
  /// /dev/xen/privcmd for foreign memory and /dev/xen/gntdev for grants, at offset 0; the file to
  /// map, or none, for plain memory.
  std::optional<FileRef> file = {};
  // How to map what is mapped in advance.
  std::optional<mapping::Prot> prot = {};
  std::optional<mapping::Share> share = {};
};

/// Memory that is mapped as long as this lives.
class XenWindow {
 public:
  XenWindow(const XenWindow&) = delete;
  XenWindow& operator=(const XenWindow&) = delete;
  XenWindow(XenWindow&& other) noexcept;
  XenWindow& operator=(XenWindow&& other) noexcept;
  ~XenWindow();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] ConstVolatileSlice slice() const { return {data_, size_}; }
  /// Of a window for writing. The caller marks what is written.
  [[nodiscard]] VolatileSlice<> mutable_slice() const {
    assert(writable_);
    return {data_, size_};
  }

 private:
  friend class XenMapping;
  struct Grants {
    std::shared_ptr<XenDevices> devices;
    mapping::File device;
    std::uint64_t index = 0;
    std::uint32_t count = 0;
  };
  XenWindow() = default;
  void close() noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool writable_ = false;
  std::shared_ptr<void> owner_;   // what keeps the bytes mapped
  std::optional<Grants> grants_;  // to give back when it is unmapped
};

/// The host side of a XenRange. Copies share it.
class XenMapping {
 public:
  /// Errors:
  ///   bad_flags{expected = the bits}   not one kind of mapping
  ///   unsupported                      no device file, or a mapping in advance without a
  ///                                    protection or a way of sharing
  ///   invalid_offset{offset}           of the device file: not 0
  ///   invalid_size (EINVAL)            nothing to map in advance
  ///   not_page_aligned{start}
  ///   source_truncated{the first byte} of plain memory whose file is shorter
  ///   range_overflow                   of the addresses
  ///   too_big                          more frames than one call can name, or no domain or grant
  ///                                    has such a number: `expected`
  ///   os                               the device refused; of a frame: `address` is the guest's
  /// A grant that is mapped on demand is only checked for its flags and device.
  static MemoryResult<XenMapping> create(const XenRange& range,
                                         std::shared_ptr<XenDevices> devices = XenDevices::host());

  [[nodiscard]] std::uint64_t size() const { return range_.size; }
  [[nodiscard]] const XenRange& xen_range() const { return range_; }
  /// False if nothing is mapped but by window().
  [[nodiscard]] bool in_advance() const { return whole_ != nullptr; }
  /// Null if nothing is mapped in advance.
  [[nodiscard]] mapping::NativeRange native_range() const;

  /// [offset, offset + size) as mapped memory: a part of what is there, or mapped now. Errors:
  /// those of create(); range_overflow, out_of_bounds; access_refused if what is mapped in advance
  /// does not allow it; empty windows map nothing.
  [[nodiscard]] MemoryResult<XenWindow> window(std::uint64_t offset, std::uint64_t size,
                                               Permissions access) const;

 private:
  XenMapping(XenRange range, std::shared_ptr<XenDevices> devices)
      : range_(std::move(range)), devices_(std::move(devices)) {}
  MemoryResult<void> check_device() const;
  MemoryResult<XenWindow> map_whole() const;
  MemoryResult<XenWindow> map_plain() const;
  MemoryResult<XenWindow> map_foreign() const;
  MemoryResult<XenWindow> map_grants(PhysAddr start, std::uint64_t size, mapping::Prot prot) const;
  static XenWindow window_over(XenDevices::Mapped mapped, std::uint64_t offset, std::uint64_t size,
                               mapping::Prot prot);

  XenRange range_;
  std::shared_ptr<XenDevices> devices_;
  std::shared_ptr<const XenWindow> whole_;
};

/// A WritableRegion of a domain's memory. One that is mapped on demand has no views: it is copied,
/// through windows, and reached in place by guard().
template <DirtyTracker D = NoTracker>
class XenRegion {
 public:
  using Tracker = D;

  /// Errors: those of XenMapping::create(); invalid_size of none.
  static MemoryResult<XenRegion> create(const XenRange& range,
                                        std::shared_ptr<XenDevices> devices = XenDevices::host()) {
    ENGRAM_TRY(const Range whole, Range::make(range.start, range.size));
    ENGRAM_TRY(XenMapping mapping, XenMapping::create(range, std::move(devices)));
    auto state = std::make_shared<State>(
        State{std::move(mapping), Attributes{}, make_tracker<D>(whole.size())});
    if (range.flags == XenFlags::kPlain) state->attributes.backing = range.file;
    return XenRegion(whole, std::move(state));
  }

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] const Attributes& attributes() const { return state_->attributes; }
  [[nodiscard]] const XenMapping& mapping() const { return state_->mapping; }
  [[nodiscard]] const D& dirty() const { return state_->dirty.tracker; }

  /// Stops: as all regions; what window() fails with.
  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const {
    return in_windows(at, to.size(), Permissions::read,
                      [&](const XenWindow& window, std::size_t done) {
                        return window.slice().read(0, to.subspan(done, window.size()));
                      });
  }
  Transfer write(RegionOffset at, Bytes from) const {
    const Transfer moved = in_windows(
        at, from.size(), Permissions::write, [&](const XenWindow& window, std::size_t done) {
          return window.mutable_slice().write(0, from.subspan(done, window.size()));
        });
    if (moved.count != 0) dirty().mark_dirty(at.value, moved.count);
    return moved;
  }

  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const {
    ENGRAM_TRY(const XenWindow window, window_in_advance(at, size, Permissions::read));
    return window.slice();
  }
  [[nodiscard]] MemoryResult<VolatileSlice<D>> mutable_view(RegionOffset at,
                                                            std::uint64_t size) const {
    ENGRAM_TRY(const XenWindow window, window_in_advance(at, size, Permissions::write));
    const mapping::MutablePtrGuard bytes = window.mutable_slice().mutable_guard();
    return VolatileSlice<D>(bytes.data(), bytes.size(), dirty().slice_at(at.value));
  }

  /// The bytes in place as long as the window lives; what is written through it is not tracked.
  /// Errors: invalid_backend_address; those of XenMapping::window().
  [[nodiscard]] MemoryResult<XenWindow> guard(RegionOffset at, std::uint64_t size,
                                              Permissions access) const {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    return state_->mapping.window(at.value, size, access);
  }

 private:
  struct State {
    XenMapping mapping;
    Attributes attributes;
    OwnedTracker<D> dirty;
  };
  /// How much is mapped at once for a copy: the domain may not grant more.
  static constexpr std::uint64_t kWindow = 64 * kPageSize;

  XenRegion(Range range, std::shared_ptr<const State> state)
      : range_(range), state_(std::move(state)) {}

  [[nodiscard]] MemoryResult<XenWindow> window_in_advance(RegionOffset at, std::uint64_t size,
                                                          Permissions access) const {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    if (!state_->mapping.in_advance()) {
      return fail_memory(MemoryErrc::host_address_unavailable, at.value, size);
    }
    return state_->mapping.window(at.value, size, access);
  }

  /// `copy(window, bytes done)` for one window after the other.
  template <class Copy>
  [[nodiscard]] Transfer in_windows(RegionOffset at, std::size_t size, Permissions access,
                                    Copy copy) const {
    std::size_t done = 0;
    while (done < size) {
      const RegionOffset here = at + done;
      if (here.value >= range_.size()) return {done, MemoryErrc::out_of_bounds, 0, here.value};
      const std::uint64_t room =
          std::min(range_.size() - here.value, kWindow - here.value % kPageSize);
      const auto window =
          state_->mapping.window(here.value, std::min<std::uint64_t>(room, size - done), access);
      if (!window) {
        return {done, window.error().code, window.error().os_errno, here.value};
      }
      const Transfer moved = copy(*window, done);
      done += moved.count;
      if (!moved.complete()) return {done, moved.stop, moved.os_errno, at.value + done};
    }
    return {done};
  }

  Range range_;
  std::shared_ptr<const State> state_;
};
static_assert(WritableRegion<XenRegion<>> && WritableRegion<XenRegion<BitmapSlice>>);

}  // namespace engram::guest
