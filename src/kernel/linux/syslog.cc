// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/syslog.h"

#include <algorithm>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/page_cache.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kLineLimit = 64 * kKiB;
constexpr std::size_t kBlock = 64 * kKiB;  // read at once
constexpr unsigned kTries = 4;             // at a file that a running guest writes

/// `pattern` has 0 for a digit, A for a letter, _ for a digit or a blank; others stand for
/// themselves.
bool begins_like(std::string_view text, std::string_view pattern) {
  const auto fits = [](char c, char wanted) {
    const bool is_digit = c >= '0' && c <= '9';
    if (wanted == '0') return is_digit;
    if (wanted == '_') return is_digit || c == ' ';
    if (wanted == 'A') return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return c == wanted;
  };
  return text.size() >= pattern.size() &&
         std::equal(pattern.begin(), pattern.end(), text.begin(),
                    [&](char wanted, char c) { return fits(c, wanted); });
}

std::size_t stamp_length(std::string_view line) {
  constexpr std::string_view kOld = "AAA _0 00:00:00";
  if (begins_like(line, "0000-00-00T00:00:00")) return std::min(line.find(' '), line.size());
  return begins_like(line, kOld) ? kOld.size() : 0;
}

std::string_view without_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

/// Takes the first word off the text.
std::string_view take_word(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text = without_blanks(text.substr(word.size()));
  return word;
}

/// Cuts one run of bytes into lines.
class LineCutter {
 public:
  LineCutter(std::uint64_t start, std::uint64_t end, std::vector<LogLine>& lines)
      : lines_(lines), has_start_(start == 0) {
    line_.region_start = start;
    line_.region_end = end;
    line_.start = start;
  }

  void add(std::string_view bytes) {
    for (;;) {
      const auto end = bytes.find('\n');
      const auto room = kLineLimit - line_.text.size();
      if (end == std::string_view::npos && bytes.size() < room) {
        line_.text += bytes;
        return;
      }
      const auto length = std::min(end, room);
      line_.text += bytes.substr(0, length);
      const bool is_end = length == end;
      finish(is_end);
      bytes.remove_prefix(length + (is_end ? 1 : 0));
    }
  }
  /// `is_end`: a new line follows, or nothing more.
  void finish(bool is_end) {
    const auto length = line_.text.size();
    LogLine next{line_.region_start,
                 line_.region_end,
                 line_.start + length + (is_end ? 1U : 0U),
                 false,
                 false,
                 {}};
    // Logs that were cut while they were open begin with zeros.
    const auto zeros = std::min(line_.text.find_first_not_of('\0'), length);
    line_.text.erase(0, zeros);
    line_.start += zeros;
    line_.has_start = has_start_;
    line_.has_end = is_end;
    if (!line_.text.empty()) lines_.push_back(std::move(line_));
    line_ = std::move(next);
    has_start_ = is_end;
  }

 private:
  std::vector<LogLine>& lines_;
  LogLine line_;
  bool has_start_;  ///< of the line that is being put together
};

/// The first range behind those that are cached one after the other from `first` on.
std::size_t end_of_run(const std::vector<FileRange>& ranges, std::size_t first) {
  while (first < ranges.size() && ranges[first].state == FileRangeState::cached) ++first;
  return first;
}

std::vector<LogLine> cut(LinuxKernel& kernel, VirtAddr inode, const CachedFile& file) {
  std::vector<LogLine> lines;
  std::vector<std::byte> block;
  for (std::size_t first = 0; first < file.ranges.size();) {
    const auto last = end_of_run(file.ranges, first);
    if (last == first) {
      ++first;
      continue;
    }
    const std::uint64_t end = file.ranges[last - 1].end;
    LineCutter cutter(file.ranges[first].start, end, lines);
    bool is_good = true;
    for (; first < last && is_good; ++first) {
      const auto& range = file.ranges[first];
      for (std::uint64_t at = range.start; at < range.end && is_good; at += block.size()) {
        block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, range.end - at)));
        const auto read = kernel.page_cache().read(range, at, block);
        is_good = read.has_value();
        if (!is_good) kernel.reader().report("log", inode, read.error().text);
        if (is_good) {
          cutter.add({reinterpret_cast<const char*>(block.data()), block.size()});
        }
      }
    }
    cutter.finish(is_good && end == file.size);
    first = last;
  }
  return lines;
}

}  // namespace

std::vector<LogLine> read_log(LinuxKernel& kernel, VirtAddr inode) {
  const auto& cache = kernel.page_cache();
  std::vector<LogLine> lines;
  for (unsigned tries = 0; tries < kTries; ++tries) {
    const auto file = cache.file(inode);
    if (!file) return {};
    lines = cut(kernel, inode, *file);
    if (!kernel.reader().is_live() || cache.file(inode) == file) return lines;
  }
  kernel.reader().report("log", inode, "changed each time that it was read");
  return lines;
}

// Two forms of a line: `STAMP HOST PROCESS: MESSAGE`, and without the host (busybox's syslogd -S).
SyslogFields split_syslog_line(std::string_view line) {
  SyslogFields fields;
  const auto length = stamp_length(line);
  if (length == 0) {
    fields.message = line;
    return fields;
  }
  fields.timestamp = line.substr(0, length);
  std::string_view rest = without_blanks(line.substr(length));
  std::string_view behind = rest;
  auto word = take_word(behind);
  if (!word.ends_with(':') && !word.empty()) {
    fields.hostname = word;
    rest = behind;
    word = take_word(behind);
  }
  if (word.size() > 1 && word.ends_with(':')) {
    fields.process = word.substr(0, word.size() - 1);
    rest = behind;
  }
  fields.message = rest;
  return fields;
}

}  // namespace engram::kernel
