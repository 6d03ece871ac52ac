// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The areas (VMAs) of a process's address space, this one's or another's: what is mapped where.
//
//   ENGRAM_TRY(const auto areas, Areas::of_self());
//   for (const Result<Area>& area : areas.all()) ...
//   ENGRAM_TRY(const auto area, areas.query(HostAddr(address)));
//
// Where the kernel has the PROCMAP_QUERY request (Linux 6.11) a query costs the same however many
// areas there are; elsewhere /proc/<pid>/maps is read as text. Both give the same areas.
//
// A listing is no cut through time: each area is as it was when it was reached, and what is mapped
// or unmapped meanwhile may be seen or not. A decision about an address is to be made by a query.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "mapping/file.h"
#include "mapping/protection.h"

namespace engram::mapping {

using HostAddr = Address<struct HostSpace>;  ///< virtual address of a process of this machine

/// [start, start + size), where the sum does not exceed 2^64.
struct AddressRange {
  HostAddr start;
  std::uint64_t size = 0;  ///< bytes

  [[nodiscard]] constexpr HostAddr end() const { return start + size; }
  [[nodiscard]] constexpr bool contains(HostAddr address) const {
    return address >= start && address - start < size;
  }
  constexpr bool operator==(const AddressRange&) const = default;
};

struct Area {
  enum class Kind : std::uint8_t {
    anonymous,  ///< memory without a name
    file,       ///< `path`; also what the kernel names like one (/memfd:x, /dev/zero, /SYSV...)
    heap,       ///< the area that brk(2) moves
    stack,      ///< of the first thread
    vdso,       ///< code that the kernel lends
    vvar,       ///< its data, also vvar_vclock
    vsyscall,   ///< its predecessor, at a fixed address that is in no table of the process
    named,      ///< `path` is the name that prctl(PR_SET_VMA_ANON_NAME) gave
    other       ///< `path` is the kernel's name for it, without brackets
  };

  AddressRange range;
  Prot prot = Prot::none;
  Share share = Share::private_;
  Kind kind = Kind::anonymous;
  /// The file's name ended in ` (deleted)`, which is not in `path`. A file that is there and has
  /// such a name looks the same.
  bool is_deleted = false;
  FileOffset offset;  ///< of the first byte in the file
  std::uint32_t device_major = 0, device_minor = 0;
  std::uint64_t inode = 0;
  std::string path;  ///< as far as this process sees it; bytes, not text

  bool operator==(const Area&) const = default;
};

/// One line of /proc/<pid>/maps, without its newline. `\012` in a path is a newline: the kernel
/// escapes no other character, not even the backslash. Errors name what was expected and where.
[[nodiscard]] Result<Area> parse_area(std::string_view line);

class AreaCursor;

/// The areas of one process, which stays the same process even if its number is given to another.
/// All members may be called from any thread.
class Areas {
 public:
  /// How to ask. `text` is for tests and for kernels that lack the request.
  enum class Method : std::uint8_t { best, text };

  /// Errors: /proc is not there, or does not let one look.
  static Result<Areas> of_self(Method method = Method::best);
  /// Errors: there is no such process, or no permission to look into it.
  static Result<Areas> of_process(std::int64_t pid, Method method = Method::best);
  /// A copy of some /proc/<pid>/maps. Errors: as File::open().
  static Result<Areas> in_file(const std::string& path);

  /// Whether the fast request is used.
  [[nodiscard]] bool uses_requests() const { return requests_; }

  /// Everything, in the order of addresses; always from the text, which alone has the areas of the
  /// kernel's half (vsyscall).
  [[nodiscard]] AreaCursor all() const;
  /// What overlaps the range; one that exceeds 2^64 is cut there.
  [[nodiscard]] AreaCursor query(AddressRange range) const;
  /// The area that contains the address; nothing if none does. Errors: the kernel's; with the text
  /// method a line in front of the area that cannot be understood is passed over.
  [[nodiscard]] Result<std::optional<Area>> query(HostAddr address) const;

 private:
  friend class AreaCursor;
  Areas(File maps, std::string name, bool requests)
      : maps_(std::move(maps)), name_(std::move(name)), requests_(requests) {}
  static Result<Areas> open_maps(const std::string& path, Method method);

  File maps_;
  std::string name_;  // for errors
  bool requests_;
};

/// Areas one by one. An item that could not be read is an error, and the cursor goes on behind it;
/// if the kernel itself fails, that error is the last item.
class AreaCursor {
 public:
  AreaCursor(const AreaCursor&) = delete;
  AreaCursor& operator=(const AreaCursor&) = delete;
  AreaCursor(AreaCursor&&) = default;
  AreaCursor& operator=(AreaCursor&&) = default;
  ~AreaCursor() = default;

  /// Nothing after the last one.
  [[nodiscard]] std::optional<Result<Area>> next();

  /// For range-for; one pass.
  class Iterator {
   public:
    using value_type = Result<Area>;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    explicit Iterator(AreaCursor* cursor) : cursor_(cursor), item_(cursor->next()) {}
    const Result<Area>& operator*() const { return *item_; }
    const Result<Area>* operator->() const { return &*item_; }
    Iterator& operator++() {
      item_ = cursor_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !item_; }

   private:
    AreaCursor* cursor_ = nullptr;
    std::optional<Result<Area>> item_;
  };
  [[nodiscard]] Iterator begin() { return Iterator(this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  friend class Areas;
  /// Areas from `first` to `last`, which is included so that 2^64 needs no exception.
  AreaCursor(const Areas& areas, HostAddr first, HostAddr last);

  std::optional<Result<Area>> next_by_request();
  std::optional<Result<Area>> next_in_text();
  /// Opens the text for this cursor alone: one descriptor has one position.
  Result<void> open_text();
  /// The next line, without its newline; nothing at the end.
  Result<std::optional<std::string_view>> next_line();
  std::optional<Result<Area>> end_with(Error error);

  Areas areas_;
  HostAddr first_, last_;
  enum class State : std::uint8_t { requests, text, done } state_;
  std::optional<File> text_;
  std::string buffer_;        // what was read of the text
  std::size_t consumed_ = 0;  // of it
  std::uint64_t line_ = 0;    // number of the last line
};

}  // namespace engram::mapping
