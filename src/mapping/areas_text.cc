// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// /proc/<pid>/maps as text: a line an area, as show_map_vma() in Linux fs/proc/task_mmu.c prints
// it:
//   00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon

#include <charconv>
#include <limits>

#include "mapping/areas.h"
#include "mapping/areas_name.h"

namespace engram::mapping {
namespace {

/// Takes the fields of a line from its front.
class Fields {
 public:
  explicit Fields(std::string_view line) : line_(line), rest_(line) {}

  /// A number and the character behind it; blanks (and the end, for the last number) as ' '.
  template <class T>
  Result<T> number(const char* what, int base, char delimiter) {
    T value{};
    const char* const end = rest_.data() + rest_.size();
    const auto [after, error] = std::from_chars(rest_.data(), end, value, base);
    if (error == std::errc::result_out_of_range) {
      return problem(fmt::format("{} exceeds {} bits", what, std::numeric_limits<T>::digits));
    }
    if (error != std::errc()) return problem(fmt::format("expected {}", what));
    rest_.remove_prefix(static_cast<std::size_t>(after - rest_.data()));
    if (rest_.empty() && delimiter == ' ') return value;
    if (rest_.empty() || rest_.front() != delimiter) {
      return problem(fmt::format("expected '{}' behind {}", delimiter, what));
    }
    rest_.remove_prefix(1);
    return value;
  }

  /// One character that is either of two; true if it is the first.
  Result<bool> flag(char yes, char no) {
    if (rest_.empty() || (rest_.front() != yes && rest_.front() != no)) {
      return problem(fmt::format("expected '{}' or '{}'", yes, no));
    }
    const bool value = rest_.front() == yes;
    rest_.remove_prefix(1);
    return value;
  }

  Result<void> blank() {
    if (rest_.empty() || rest_.front() != ' ') return problem("expected a blank");
    rest_.remove_prefix(1);
    return {};
  }

  /// What is left behind the blanks that align the names.
  std::string_view name() const {
    const std::size_t start = rest_.find_first_not_of(' ');
    return start == std::string_view::npos ? std::string_view() : rest_.substr(start);
  }

  tl::unexpected<Error> problem(const std::string& what) const {
    return fail("at character {}: {}", line_.size() - rest_.size(), what);
  }

 private:
  std::string_view line_, rest_;
};

std::string without_escapes(std::string_view name) {
  constexpr std::string_view kNewline = "\\012";
  std::string path;
  while (true) {
    const std::size_t at = name.find(kNewline);
    path += name.substr(0, at);
    if (at == std::string_view::npos) return path;
    path += '\n';
    name.remove_prefix(at + kNewline.size());
  }
}

}  // namespace

Result<Area> parse_area(std::string_view line) {
  Area area;
  Fields fields(line);
  ENGRAM_TRY(const auto start, fields.number<std::uint64_t>("a start address", 16, '-'));
  ENGRAM_TRY(const auto end, fields.number<std::uint64_t>("an end address", 16, ' '));
  if (end <= start)
    return fields.problem(fmt::format("the end {:#x} is not above {:#x}", end, start));
  area.range = {HostAddr(start), end - start};
  ENGRAM_TRY(const bool readable, fields.flag('r', '-'));
  ENGRAM_TRY(const bool writable, fields.flag('w', '-'));
  ENGRAM_TRY(const bool executable, fields.flag('x', '-'));
  ENGRAM_TRY(const bool shared, fields.flag('s', 'p'));
  area.prot = (readable ? Prot::read : Prot::none) | (writable ? Prot::write : Prot::none) |
              (executable ? Prot::exec : Prot::none);
  area.share = shared ? Share::shared : Share::private_;
  ENGRAM_CHECK(fields.blank());
  ENGRAM_TRY(const auto offset, fields.number<std::uint64_t>("a file offset", 16, ' '));
  area.offset = FileOffset(offset);
  ENGRAM_TRY(area.device_major, fields.number<std::uint32_t>("a major device number", 16, ':'));
  ENGRAM_TRY(area.device_minor, fields.number<std::uint32_t>("a minor device number", 16, ' '));
  ENGRAM_TRY(area.inode, fields.number<std::uint64_t>("an inode number", 10, ' '));
  set_name(area, without_escapes(fields.name()));
  return area;
}

}  // namespace engram::mapping
