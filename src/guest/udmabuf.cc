// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/udmabuf.h"

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <limits>

namespace engram::guest {

using mapping::fail_os;
using mapping::File;

namespace {

/// udmabuf_create_list without its last member, which has as many elements as this says.
struct ListHead {
  std::uint32_t flags;
  std::uint32_t count;
};
static_assert(sizeof(ListHead) == sizeof(udmabuf_create_list));

}  // namespace

MemoryResult<File> create_udmabuf(std::span<const FilePart> parts, const std::string& device) {
  if (parts.size() > std::numeric_limits<std::uint32_t>::max()) {
    return fail_memory(MemoryErrc::too_big, 0, parts.size());
  }
  const int fd = ::open(device.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return fail_os(errno);
  ENGRAM_TRY(const File driver, File::adopt(fd));
  const ListHead head{UDMABUF_FLAGS_CLOEXEC, static_cast<std::uint32_t>(parts.size())};
  std::vector<std::byte> request(sizeof head + parts.size() * sizeof(udmabuf_create_item));
  std::memcpy(request.data(), &head, sizeof head);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    udmabuf_create_item item = {};
    item.memfd = static_cast<std::uint32_t>(parts[i].file.fd());
    item.offset = parts[i].extent.start.value;
    item.size = parts[i].extent.size;
    std::memcpy(request.data() + sizeof head + i * sizeof item, &item, sizeof item);
  }
  const int buffer = ::ioctl(driver.fd(), UDMABUF_CREATE_LIST, request.data());
  if (buffer < 0) return fail_os(errno);
  return File::adopt(buffer);
}

}  // namespace engram::guest
