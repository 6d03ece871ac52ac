// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/xen.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "guest/mapped_region.h"
#include "guest/xen_layout.h"
#include "mapping/any_mapping.h"
#include "mapping/options.h"

namespace engram::guest {
namespace {

using mapping::Extent;
using mapping::fail_os;
using mapping::Prot;

class HostDevices final : public XenDevices {
 public:
  MemoryResult<Mapped> map(const FileRef& device, std::uint64_t size, Prot prot,
                           mapping::Share share) override {
    ENGRAM_TRY(auto mapped, mapping::Options(size).backing(device).share(share).map_any(prot));
    const auto owner = std::make_shared<mapping::AnyMapping>(std::move(mapped));
    return Mapped{owner->native_range(), owner};
  }
  MemoryResult<void> control(const mapping::File& device, unsigned long request,
                             void* argument) override {
    if (::ioctl(device.fd(), request, argument) < 0) return fail_os(errno);
    return {};
  }
};

constexpr std::uint64_t kMaxFrames = std::numeric_limits<std::uint32_t>::max();

/// The frames that an extent of guest addresses touches.
struct Frames {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

MemoryResult<Frames> frames_of(PhysAddr start, std::uint64_t size) {
  ENGRAM_TRY(const Range range, Range::make(start, size));
  const std::uint64_t first = range.first().value >> xen_layout::kPageShift;
  const std::uint64_t count = (range.last().value >> xen_layout::kPageShift) - first + 1;
  if (count > kMaxFrames) return fail_memory(MemoryErrc::too_big, start.value, count);
  return Frames{first, static_cast<std::uint32_t>(count)};
}

Prot prot_of(Permissions access) {
  Prot prot = Prot::read;  // a page that can be written can be read on all processors with Xen
  if (has_write(access)) prot = prot | Prot::write;
  return prot;
}

/// A request whose last member has as many elements as it says.
std::vector<std::byte> grant_request(std::uint32_t domain, Frames frames) {
  const std::size_t head = offsetof(xen_layout::MapGrants, refs);
  std::vector<std::byte> request(head + frames.count * sizeof(xen_layout::GrantRef));
  std::memcpy(request.data(), &frames.count, sizeof frames.count);
  for (std::uint32_t i = 0; i < frames.count; ++i) {
    const xen_layout::GrantRef ref{domain, static_cast<std::uint32_t>(frames.first + i)};
    std::memcpy(request.data() + head + i * sizeof ref, &ref, sizeof ref);
  }
  return request;
}

}  // namespace

std::shared_ptr<XenDevices> XenDevices::host() {
  return std::make_shared<HostDevices>();
}

XenWindow::XenWindow(XenWindow&& other) noexcept {
  *this = std::move(other);
}

XenWindow& XenWindow::operator=(XenWindow&& other) noexcept {
  if (this == &other) return *this;
  close();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  writable_ = other.writable_;
  owner_ = std::move(other.owner_);
  grants_ = std::exchange(other.grants_, std::nullopt);
  return *this;
}

XenWindow::~XenWindow() {
  close();
}

void XenWindow::close() noexcept {
  owner_.reset();
  if (!grants_) return;
  // The device takes grants back only when they are not mapped any more. Should it refuse, they go
  // with the descriptor.
  xen_layout::UnmapGrants request{grants_->index, grants_->count, 0};
  static_cast<void>(grants_->devices->control(grants_->device, xen_layout::kUnmapGrants, &request));
  grants_.reset();
}

MemoryResult<XenMapping> XenMapping::create(const XenRange& range,
                                            std::shared_ptr<XenDevices> devices) {
  XenMapping mapping(range, std::move(devices));
  switch (range.flags) {
    case XenFlags::kGrant | XenFlags::kNoAdvance:
      ENGRAM_CHECK(mapping.check_device());
      return mapping;
    case XenFlags::kForeign:
    case XenFlags::kGrant:
      ENGRAM_CHECK(mapping.check_device());
      [[fallthrough]];
    case XenFlags::kPlain:
      break;
    default:
      return fail_memory(MemoryErrc::bad_flags, range.start.value, range.flags);
  }
  if (!range.prot || !range.share) return fail_memory(MemoryErrc::unsupported, range.start.value);
  if (range.size == 0) {
    return tl::unexpected<MemoryError>(MemoryError{MemoryErrc::invalid_size, {}, EINVAL});
  }
  ENGRAM_TRY(XenWindow whole, mapping.map_whole());
  mapping.whole_ = std::make_shared<const XenWindow>(std::move(whole));
  return mapping;
}

MemoryResult<void> XenMapping::check_device() const {
  if (!range_.file) return fail_memory(MemoryErrc::unsupported, range_.start.value);
  if (range_.file->offset != FileOffset()) {
    return fail_memory(MemoryErrc::invalid_offset, range_.file->offset.value);
  }
  if (range_.start.value % kPageSize != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, range_.start.value, kPageSize);
  }
  if (!fits_address_space(range_.start, range_.size)) {
    return fail_memory(MemoryErrc::range_overflow, range_.start.value, range_.size);
  }
  // domid_t has 16 bits (include/xen/interface/xen.h).
  if (range_.domain > std::numeric_limits<std::uint16_t>::max()) {
    return fail_memory(MemoryErrc::too_big, range_.start.value, range_.domain);
  }
  return {};
}

MemoryResult<XenWindow> XenMapping::map_whole() const {
  if (range_.flags == XenFlags::kForeign) return map_foreign();
  if (range_.flags == XenFlags::kGrant) return map_grants(range_.start, range_.size, *range_.prot);
  return map_plain();
}

MemoryResult<XenWindow> XenMapping::map_plain() const {
  mapping::Options options(range_.size);
  if (range_.file) {
    // What the file lacks would be read as zeros, up to the end of its last page.
    ENGRAM_TRY(const std::uint64_t there, detail::available_bytes(*range_.file, range_.size));
    if (there < range_.size) {
      return fail_memory(MemoryErrc::source_truncated, (range_.start + there).value, range_.size);
    }
    options.backing(*range_.file);
  }
  ENGRAM_TRY(auto mapped, options.share(*range_.share).no_reserve().map_any(*range_.prot));
  const auto owner = std::make_shared<mapping::AnyMapping>(std::move(mapped));
  return window_over({owner->native_range(), owner}, 0, range_.size, *range_.prot);
}

MemoryResult<XenWindow> XenMapping::map_foreign() const {
  ENGRAM_TRY(const Frames frames, frames_of(range_.start, range_.size));
  const std::uint64_t size = std::uint64_t{frames.count} << xen_layout::kPageShift;
  ENGRAM_TRY(XenDevices::Mapped mapped,
             devices_->map(*range_.file, size, *range_.prot, *range_.share));
  std::vector<std::uint64_t> numbers(frames.count);
  for (std::uint32_t i = 0; i < frames.count; ++i) numbers[i] = frames.first + i;
  std::vector<std::int32_t> errors(frames.count);
  xen_layout::MapBatch batch{frames.count, static_cast<std::uint16_t>(range_.domain),
                             reinterpret_cast<std::uintptr_t>(mapped.range.address), numbers.data(),
                             errors.data()};
  ENGRAM_CHECK(devices_->control(range_.file->file, xen_layout::kMapBatch, &batch));
  for (std::uint32_t i = 0; i < frames.count; ++i) {
    if (errors[i] != 0) return fail_os(-errors[i], (range_.start + i * kPageSize).value);
  }
  return window_over(std::move(mapped), 0, range_.size, *range_.prot);
}

MemoryResult<XenWindow> XenMapping::map_grants(PhysAddr start, std::uint64_t size,
                                               Prot prot) const {
  const PhysAddr named = start & ~xen_layout::kGrantAddress;
  ENGRAM_TRY(const Frames frames, frames_of(named, size));
  if (frames.first + frames.count - 1 > std::numeric_limits<std::uint32_t>::max()) {
    return fail_memory(MemoryErrc::too_big, start.value, frames.first);
  }
  const mapping::File& device = range_.file->file;
  std::vector<std::byte> request = grant_request(range_.domain, frames);
  ENGRAM_CHECK(devices_->control(device, xen_layout::kMapGrants, request.data()));
  XenWindow window;  // gives the grants back whatever happens next
  const auto index =
      load_unaligned<std::uint64_t>(request.data() + offsetof(xen_layout::MapGrants, index));
  window.grants_ = XenWindow::Grants{devices_, device, index, frames.count};
  ENGRAM_TRY(XenDevices::Mapped mapped,
             devices_->map({device, FileOffset(index)},
                           std::uint64_t{frames.count} << xen_layout::kPageShift, prot,
                           range_.share.value_or(mapping::Share::shared)));
  XenWindow over = window_over(std::move(mapped), named.value % kPageSize, size, prot);
  over.grants_ = std::exchange(window.grants_, std::nullopt);
  return over;
}

XenWindow XenMapping::window_over(XenDevices::Mapped mapped, std::uint64_t offset,
                                  std::uint64_t size, Prot prot) {
  XenWindow window;
  window.data_ = static_cast<std::byte*>(mapped.range.address) + offset;
  window.size_ = static_cast<std::size_t>(size);
  window.writable_ = mapping::allows(prot, Prot::write);
  window.owner_ = std::move(mapped.owner);
  return window;
}

mapping::NativeRange XenMapping::native_range() const {
  if (!whole_) return {};
  return {whole_->data_, whole_->size_};
}

MemoryResult<XenWindow> XenMapping::window(std::uint64_t offset, std::uint64_t size,
                                           Permissions access) const {
  ENGRAM_CHECK((Extent{offset, size}.check(range_.size)));
  if (!whole_) {
    if (size == 0) return XenWindow();
    return map_grants(range_.start + offset, size, prot_of(access));
  }
  if (!mapping::allows(*range_.prot, prot_of(access))) {
    return fail_memory(MemoryErrc::access_refused, offset);
  }
  XenWindow window;
  window.data_ = whole_->data_ + offset;
  window.size_ = static_cast<std::size_t>(size);
  window.writable_ = whole_->writable_;
  window.owner_ = std::const_pointer_cast<XenWindow>(whole_);
  return window;
}

}  // namespace engram::guest
