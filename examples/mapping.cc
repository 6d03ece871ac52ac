// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Host mappings from beginning to end: a reserved window, a file, protections, cuts, discarding.
// Prints what it did; ends with an error if anything is not as it should be. docs/mapping.md
// explains the steps.

#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "mapping/mapping.h"

using namespace engram;
using namespace engram::mapping;

namespace {

const std::uint64_t kPage = PageSize::base().bytes();

/// A large window of addresses takes no memory until parts of it are committed.
MemoryResult<std::string> window() {
  ENGRAM_TRY(auto window, Options(64 * kGiB).reserve<ReadWrite>());
  const Extent part{16 * kPage, kPage};
  ENGRAM_CHECK(window.commit(part));
  ENGRAM_TRY(const VolatileSlice<> bytes, window.slice(part));
  ENGRAM_CHECK(bytes.write_object<std::uint32_t>(0, 42));
  ENGRAM_TRY(const auto value, bytes.read_object<std::uint32_t>(0));
  const bool untouched = !window.slice({0, kPage}).has_value();
  return fmt::format("{} GiB reserved, one page committed, it holds {}, the rest {}",
                     window.size() / kGiB, value, untouched ? "cannot be touched" : "can");
}

/// Two views of one memory file: what one writes, the other reads. Sealed against shrinking, it can
/// never fault.
MemoryResult<std::string> shared_file() {
  ENGRAM_TRY(const auto memory,
             SharedMemory::create("example", 2 * kPage, {.seals = Seals::shrink}));
  const auto options = Options(2 * kPage).backing(memory).share(Share::shared);
  ENGRAM_TRY(const auto writer, options.map<ReadWrite>());
  ENGRAM_TRY(const auto reader, options.map<ReadOnly>());
  ENGRAM_CHECK(writer.slice().write_exact(kPage, std::as_bytes(std::span("shared", 7))));
  ENGRAM_CHECK(writer.flush());
  std::string text(6, ' ');
  ENGRAM_CHECK(reader.slice().read_exact(kPage, std::as_writable_bytes(std::span(text))));
  return fmt::format("the reader sees \"{}\"; {}", text,
                     reader.cannot_be_truncated() ? "nobody can take it away" : "it may fault");
}

/// A new protection is a new type. If it fails, the mapping comes back with the reason.
MemoryResult<std::string> protection() {
  ENGRAM_TRY(auto writable, Options(kPage).no_core_dump().map<ReadWrite>());
  ENGRAM_CHECK(writable.slice().write_object<std::uint8_t>(0, 7));
  auto readable = std::move(writable).make_read_only();
  if (!readable) return tl::unexpected(readable.error().error);
  // readable->slice().write_object(...) does not compile.
  ENGRAM_TRY(const auto value, readable->slice().read_object<std::uint8_t>(0));
  return fmt::format("read-only now, and still {}", value);
}

/// Parts are mappings of their own; neighbours that fit can be joined again.
MemoryResult<std::string> parts() {
  ENGRAM_TRY(auto front, Options(3 * kPage).map<ReadWrite>());
  ENGRAM_TRY(auto back, front.split_off(2 * kPage));
  ENGRAM_TRY(auto middle, front.split_off(kPage));
  auto merged = front.merge(std::move(back));  // there is a gap
  if (merged) return std::string("merged across a gap");
  const std::string reason(to_string(merged.error().error.code));
  back = std::move(merged.error().self);
  if (!front.merge(std::move(middle)) || !front.merge(std::move(back))) {
    return std::string("could not be joined");
  }
  return fmt::format("refused: {}; then one of {} pages again", reason, front.size() / kPage);
}

/// Discarding gives the memory back, and reads zeros, whatever is mapped.
MemoryResult<std::string> discarding() {
  ENGRAM_TRY(auto mapping, Options(4 * kPage).populate().map<ReadWrite>());
  mapping.slice().fill(std::byte{1});
  ENGRAM_TRY(const std::uint64_t before, mapping.resident(mapping.all()));
  ENGRAM_CHECK(mapping.discard({kPage, 2 * kPage}));
  ENGRAM_TRY(const std::uint64_t after, mapping.resident(mapping.all()));
  ENGRAM_TRY(const auto gone, mapping.slice({kPage, 2 * kPage}));
  ENGRAM_TRY(const bool zeros, gone.is_zero());
  return fmt::format("{} pages before, {} after, {}", before / kPage, after / kPage,
                     zeros ? "the others read as zeros" : "stale bytes");
}

/// A window whose address stays while mappings in it come and go.
MemoryResult<std::string> arena() {
  ENGRAM_TRY(auto arena, Arena::create(16 * kPage));
  ENGRAM_TRY(const VolatileSlice<> placed, arena.place<ReadWrite>(4 * kPage, Options(kPage)));
  ENGRAM_CHECK(placed.write_object<std::uint64_t>(8, 1234));
  ENGRAM_TRY(const ConstVolatileSlice seen, arena.slice({4 * kPage, kPage}));
  ENGRAM_TRY(const auto value, seen.read_object<std::uint64_t>(8));
  ENGRAM_CHECK(arena.remove({4 * kPage, kPage}));
  const bool gone = !arena.slice({4 * kPage, kPage}).has_value();
  return fmt::format("placed {}, {}", value, gone ? "removed" : "still there");
}

bool show(const char* what, const MemoryResult<std::string>& got, std::string_view expected) {
  const std::string text = got ? *got : to_string(got.error());
  fmt::print("{:<11} {}\n", what, text);
  if (text == expected) return true;
  fmt::print("{:<11} {} was expected\n", "", expected);
  return false;
}

}  // namespace

int main() {
  bool good = show("window", window(),
                   "64 GiB reserved, one page committed, it holds 42, the rest cannot be touched");
  good &= show("shared", shared_file(), "the reader sees \"shared\"; nobody can take it away");
  good &= show("protection", protection(), "read-only now, and still 7");
  good &= show("parts", parts(), "refused: must be adjacent; then one of 3 pages again");
  good &= show("discarding", discarding(), "4 pages before, 2 after, the others read as zeros");
  good &= show("arena", arena(), "placed 1234, removed");
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
