// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/areas.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "mapping/areas_name.h"

namespace engram::mapping {
namespace {

constexpr HostAddr kLastAddress(std::numeric_limits<std::uint64_t>::max());

// The PROCMAP_QUERY request of include/uapi/linux/fs.h, since Linux 6.11 (commit bfc69fd05ef9);
// defined here because the headers of the build host may be older than the kernel it runs on.
struct ProcmapQuery {
  std::uint64_t size;         // of this structure
  std::uint64_t query_flags;  // kCoveringOrNext
  std::uint64_t query_addr;
  std::uint64_t vma_start, vma_end;
  std::uint64_t vma_flags;  // kReadable ...
  std::uint64_t vma_page_size;
  std::uint64_t vma_offset;
  std::uint64_t inode;
  std::uint32_t dev_major, dev_minor;
  std::uint32_t vma_name_size;  // in: of the buffer, out: of the name with its NUL, or 0
  std::uint32_t build_id_size;
  std::uint64_t vma_name_addr;
  std::uint64_t build_id_addr;
};
static_assert(sizeof(ProcmapQuery) == 104);
constexpr unsigned long kProcmapQuery = _IOWR('f', 17, ProcmapQuery);
constexpr std::uint64_t kReadable = 1, kWritable = 2, kExecutable = 4, kShared = 8;
constexpr std::uint64_t kCoveringOrNext = 16;

// Addresses of this half belong to the kernel. The request does not see the one area that it shows
// there (vsyscall on x86-64, the gate area of get_gate_vma()), the text does.
constexpr HostAddr kKernelHalf(std::uint64_t{1} << 63);

// The kernel reads as much in one call at least; a line is longer only by its path.
constexpr std::size_t kReadSize = 64 * kKiB;
// Names are built in a buffer of the kernel that doubles as needed; this is beyond any.
constexpr std::size_t kMaxLine = 1 * kMiB;

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// The errno of a request for the area at or, if `or_next`, above the address; 0 if there is one.
int request(int fd, HostAddr address, bool or_next, Area& area) {
  std::array<char, 4096> name;  // PATH_MAX, more than which the kernel does not give
  ProcmapQuery query = {};
  query.size = sizeof query;
  query.query_flags = or_next ? kCoveringOrNext : 0;
  query.query_addr = address.value;
  query.vma_name_size = name.size();
  query.vma_name_addr = reinterpret_cast<std::uintptr_t>(name.data());
  while (::ioctl(fd, kProcmapQuery, &query) != 0) {
    if (errno != EINTR) return errno;
  }
  area.range = {HostAddr(query.vma_start), query.vma_end - query.vma_start};
  const auto flag = [&](std::uint64_t bit, Prot prot) {
    return (query.vma_flags & bit) != 0 ? prot : Prot::none;
  };
  area.prot =
      flag(kReadable, Prot::read) | flag(kWritable, Prot::write) | flag(kExecutable, Prot::exec);
  area.share = (query.vma_flags & kShared) != 0 ? Share::shared : Share::private_;
  area.offset = FileOffset(query.vma_offset);
  area.device_major = query.dev_major;
  area.device_minor = query.dev_minor;
  area.inode = query.inode;
  if (query.vma_name_size > 0) {
    const std::size_t size = std::min<std::size_t>(query.vma_name_size - 1, name.size());
    set_name(area, std::string(name.data(), size));
  }
  return 0;
}

/// Whether the kernel has the request. A process without memory (ESRCH) is left to the text.
bool has_requests(int fd) {
  Area area;
  const int error = request(fd, HostAddr(0), true, area);
  return error == 0 || error == ENOENT || error == ENAMETOOLONG;
}

}  // namespace

Result<Areas> Areas::open_maps(const std::string& path, Method method) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("cannot list areas: cannot open {}: {}", path, reason(errno));
  const auto file = File::adopt(fd);
  if (!file) return tl::unexpected(to_error("cannot list areas: " + path, file.error()));
  return Areas(*file, path, method == Method::best && has_requests(fd));
}

Result<Areas> Areas::of_self(Method method) {
  return open_maps("/proc/self/maps", method);
}

Result<Areas> Areas::of_process(std::int64_t pid, Method method) {
  return open_maps(fmt::format("/proc/{}/maps", pid), method);
}

Result<Areas> Areas::in_file(const std::string& path) {
  ENGRAM_TRY(const File file, File::open(path));
  return Areas(file, path, false);
}

AreaCursor Areas::all() const {
  return AreaCursor(*this, HostAddr(0), kLastAddress);
}

AreaCursor Areas::query(AddressRange range) const {
  const HostAddr last = range.start.checked_add(range.size - 1).value_or(kLastAddress);
  AreaCursor cursor(*this, range.start, last);
  if (range.size == 0) cursor.state_ = AreaCursor::State::done;
  return cursor;
}

Result<std::optional<Area>> Areas::query(HostAddr address) const {
  if (requests_ && address < kKernelHalf) {
    Area area;
    const int error = request(maps_.fd(), address, false, area);
    if (error == 0) return area;
    if (error == ENOENT) return std::nullopt;
    // The text has room for longer names, and says whether the process is gone or has no memory.
    if (error != ENAMETOOLONG && error != ESRCH) {
      return fail("{}: cannot ask for {:#x}: {}", name_, address.value, reason(error));
    }
  }
  Areas text = *this;
  text.requests_ = false;
  AreaCursor cursor = text.query(AddressRange{address, 1});
  while (auto item = cursor.next()) {
    if (*item) return std::move(**item);
    if (cursor.state_ == AreaCursor::State::done) return tl::unexpected(std::move(item->error()));
  }
  return std::nullopt;
}

AreaCursor::AreaCursor(const Areas& areas, HostAddr first, HostAddr last)
    : areas_(areas),
      first_(first),
      last_(last),
      state_(areas.requests_ && last < kKernelHalf ? State::requests : State::text) {}

std::optional<Result<Area>> AreaCursor::next() {
  if (state_ == State::requests) {
    if (auto item = next_by_request()) return item;
  }
  return state_ == State::text ? next_in_text() : std::nullopt;
}

std::optional<Result<Area>> AreaCursor::end_with(Error error) {
  state_ = State::done;
  return tl::unexpected(std::move(error));
}

/// Nothing if there is no further one, or if the text is to be asked.
std::optional<Result<Area>> AreaCursor::next_by_request() {
  Area area;
  const int error = first_ > last_ ? ENOENT : request(areas_.maps_.fd(), first_, true, area);
  if (error == ENAMETOOLONG || error == ESRCH) {  // as in Areas::query()
    state_ = State::text;
    return std::nullopt;
  }
  if (error == ENOENT || (error == 0 && area.range.start > last_)) {
    state_ = State::done;
    return std::nullopt;
  }
  if (error != 0) {
    return end_with(
        {fmt::format("{}: cannot ask for {:#x}: {}", areas_.name_, first_.value, reason(error))});
  }
  first_ = area.range.end();
  return area;
}

std::optional<Result<Area>> AreaCursor::next_in_text() {
  while (true) {
    auto line = next_line();
    if (!line) return end_with(std::move(line.error()));
    if (!*line) {
      state_ = State::done;
      return std::nullopt;
    }
    Result<Area> area = parse_area(**line);
    if (!area) {
      return fail("{}: line {}: {}: `{}`", areas_.name_, line_, area.error().text,
                  (*line)->substr(0, 200));
    }
    if (area->range.start > last_) {
      state_ = State::done;
      return std::nullopt;
    }
    if (area->range.end() > first_) return area;
  }
}

Result<void> AreaCursor::open_text() {
  // Through the descriptor, so that it is the same process as before.
  const std::string path = fmt::format("/proc/self/fd/{}", areas_.maps_.fd());
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("{}: cannot open it again: {}", areas_.name_, reason(errno));
  const auto file = File::adopt(fd);
  if (!file) return tl::unexpected(to_error(areas_.name_, file.error()));
  text_ = *file;
  return {};
}

Result<std::optional<std::string_view>> AreaCursor::next_line() {
  if (!text_) ENGRAM_CHECK(open_text());
  ++line_;
  std::size_t searched = consumed_;
  while (true) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      const std::string_view line = std::string_view(buffer_).substr(consumed_, end - consumed_);
      consumed_ = end + 1;
      return line;
    }
    buffer_.erase(0, consumed_);
    consumed_ = 0;
    searched = buffer_.size();
    if (searched > kMaxLine) return fail("{}: line {} has no end", areas_.name_, line_);
    buffer_.resize(searched + kReadSize);
    ssize_t got = ::read(text_->fd(), buffer_.data() + searched, kReadSize);
    while (got < 0 && errno == EINTR) {
      got = ::read(text_->fd(), buffer_.data() + searched, kReadSize);
    }
    const int error = errno;
    buffer_.resize(searched + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return fail("{}: cannot read line {}: {}", areas_.name_, line_, reason(error));
    if (got > 0) continue;
    if (buffer_.empty()) return std::nullopt;
    consumed_ = buffer_.size();  // the last line may lack its newline
    return std::string_view(buffer_);
  }
}

}  // namespace engram::mapping
