// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/carve.h"

#include <algorithm>

namespace engram::cli {
namespace {

using paging::Fault;
using paging::Reason;

constexpr std::uint64_t kChunk = 1 * kMiB;

PartKind kind_of(const Fault& fault) {
  switch (fault.reason) {
    case Reason::non_canonical:
      return PartKind::not_an_address;
    case Reason::not_present:
    case Reason::prototype:
    case Reason::page_file:
    case Reason::demand_zero:
      return fault.entry == 0 ? PartKind::unmapped : PartKind::not_present;
    case Reason::reserved_bits:
      return PartKind::damaged;
    case Reason::table_absent:
    case Reason::table_unreadable:
      return PartKind::table_absent;
    case Reason::page_absent:
    case Reason::page_unreadable:
    case Reason::no_tables:
    case Reason::no_piece:
    case Reason::piece_unreadable:
      break;
  }
  return PartKind::page_absent;
}

class Carver {
 public:
  Carver(const paging::AddressSpace& space, image::Sink& sink)
      : space_(space), sink_(sink), buffer_(kChunk) {}

  /// One step from `at`: the number of bytes, of at most `most`, that it went on.
  Result<std::uint64_t> step(VirtAddr at, std::uint64_t most) {
    // Steps end at multiples of the chunk, so that pages are not torn.
    const std::uint64_t room = kChunk - at.value % kChunk;
    const auto wanted = static_cast<std::size_t>(std::min(most, room));
    const auto read = space_.read(at, MutableBytes(buffer_).first(wanted));
    if (read.count != 0) {
      ENGRAM_CHECK(
          image::write_sparse(Bytes(buffer_).first(read.count), at.value % kPageSize, sink_));
      note(at, read.count, PartKind::copied);
      return std::uint64_t{read.count};
    }
    const std::uint64_t left = space_.last_alike(*read.fault).value - at.value;
    const std::uint64_t size = std::min(most - 1, left) + 1;
    ENGRAM_CHECK(sink_.zeros(size));
    note(at, size, kind_of(*read.fault));
    return size;
  }

  Carved done() { return std::move(carved_); }

 private:
  void note(VirtAddr at, std::uint64_t size, PartKind kind) {
    if (kind == PartKind::copied) carved_.copied += size;
    if (!carved_.parts.empty() && last_kind_ == kind) {
      if (carved_.further_parts == 0) carved_.parts.back().size += size;
      return;
    }
    last_kind_ = kind;
    if (carved_.parts.size() == Carved::kMostParts) {
      ++carved_.further_parts;
    } else {
      carved_.parts.push_back({at, size, kind});
    }
  }

  const paging::AddressSpace& space_;
  image::Sink& sink_;
  std::vector<std::byte> buffer_;
  PartKind last_kind_ = PartKind::copied;
  Carved carved_;
};

}  // namespace

const char* to_string(PartKind kind) {
  switch (kind) {
    case PartKind::copied:
      return "copied";
    case PartKind::unmapped:
      return "not mapped";
    case PartKind::not_present:
      return "not present: swapped out, or without any access";
    case PartKind::damaged:
      return "page-table entry with reserved bits set";
    case PartKind::not_an_address:
      return "no address of this paging mode";
    case PartKind::table_absent:
      return "page table not in the image";
    case PartKind::page_absent:
      return "page not in the image";
  }
  return "unknown";
}

Result<std::optional<Carved>> carve(const paging::AddressSpace& space, VirtAddr start,
                                    std::uint64_t size, image::Sink& sink,
                                    const std::function<bool()>& is_interrupted) {
  Carver carver(space, sink);
  for (std::uint64_t done = 0; done < size;) {
    if (is_interrupted()) return std::optional<Carved>();
    ENGRAM_TRY(const std::uint64_t more, carver.step(start + done, size - done));
    done += more;
  }
  return std::optional(carver.done());
}

}  // namespace engram::cli
