// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "image/formats.h"
#include "image/kdump.h"
#include "image/live.h"
#include "image/overlap.h"
#include "image/packed_file.h"
#include "image/raw_ranges.h"
#include "image/siblings.h"
#include "image/vmware.h"
#include "mapping/whole_file.h"

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;
using guest::Regions;

struct Format {
  bool (*sniff)(Bytes head);
  Result<Contents> (*open)(FileView file);
};

constexpr Format kFormats[] = {
#define ENGRAM_FORMAT(name) {name::sniff, name::open},
#include "image/formats.def"
#undef ENGRAM_FORMAT
};

// How many bytes of memory one byte of the file may stand for. No writer shares bytes between
// ranges; a small file that declares the same ones a million times would keep every search busy for
// days.
constexpr std::uint64_t kMostUses = 4;

/// What the bytes of an image come from.
struct Owner {
  std::vector<mapping::Mapping<mapping::ReadOnly>> files;
  std::vector<std::unique_ptr<const PackedFile>> packed;
  std::shared_ptr<const void> sources;

  /// The file, unpacked if it is packed.
  Result<FileView> open(const std::string& path, const OpenOptions& options) {
    ENGRAM_TRY(auto mapped, mapping::map_whole_file(path));
    const FileView file(mapped.unsafe_exclusive_bytes());
    files.push_back(std::move(mapped));
    const auto head = file.copy(FileOffset(0), kHeadSize);
    if (head.size() < file.available(FileOffset(0), kHeadSize)) {
      return fail("{}: {}: what it is cannot be told", path, file.lack(FileOffset(head.size()), 1));
    }
    const auto* const format = packed_format_of(head);
    if (format == nullptr) return file;
    auto unpacked = PackedFile::open(*format, file, options.go_on);
    if (!unpacked) return fail("{}: {}", path, unpacked.error().text);
    packed.push_back(std::move(*unpacked));
    return packed.back()->view();
  }
  /// How many bytes from there on are a hole of the file.
  [[nodiscard]] std::uint64_t hole_at(const std::byte* byte) const {
    for (const auto& mapped : files) {
      const Bytes bytes = mapped.unsafe_exclusive_bytes();
      if (byte < bytes.data() || byte >= bytes.data() + bytes.size()) continue;
      const auto at = static_cast<std::uint64_t>(byte - bytes.data());
      const auto data = mapped.backing()->file.next_data(FileOffset(at));
      if (!data) return 0;
      return std::min<std::uint64_t>(*data ? (*data)->value : bytes.size(), bytes.size()) - at;
    }
    return 0;
  }
  [[nodiscard]] std::uint64_t file_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : files) sum += file.unsafe_exclusive_bytes().size();
    return sum;
  }
};

void say_packing(const PackedFile& file, Contents& contents) {
  contents.facts.header.emplace_back("packed", file.description());
  if (file.cost()) contents.notices.push_back({Level::info, *file.cost()});
  if (!file.loss()) return;
  contents.notices.push_back({Level::warning, *file.loss()});
  contents.truncated = true;
}

const Format& format_of(const FileView& file) {
  const auto head = file.copy(FileOffset(0), kHeadSize);
  return *std::find_if(  // raw says yes to everything
      std::begin(kFormats), std::end(kFormats),
      [&head](const Format& candidate) { return candidate.sniff(head); });
}

/// The state, of two files of which one is VMware's state and the other memory without headers;
/// null of others.
const FileView* state_of_pair(const FileView& a, const FileView& b) {
  const auto is_pair = [](const FileView& state, const FileView& memory) {
    return format_of(state).open == vmware::open && format_of(memory).open == raw::open;
  };
  if (is_pair(a, b)) return &a;
  return is_pair(b, a) ? &b : nullptr;
}

Result<Contents> read_contents(const std::vector<FileView>& files, const OpenOptions& options) {
  const auto is = [](const FileView& file, const auto& open) {
    return format_of(file).open == open;
  };
  if (!options.ranges.empty()) {
    if (files.size() > 1) return fail("raw: ranges are for one file, {} were given", files.size());
    if (!is(files[0], raw::open)) {
      return fail("ranges are for a file without headers; this one has its own");
    }
    return raw::open_ranges(files[0], options.ranges);
  }
  if (files.size() == 1) return format_of(files[0]).open(files[0]);
  if (files.size() == 2) {
    const FileView* const state = state_of_pair(files[0], files[1]);
    if (state != nullptr) return vmware::open_pair(*state, files[state == &files[0] ? 1 : 0]);
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (is(files[i], kdump::open)) continue;
    return fail(
        "{} is no kdump: only a kdump can be split over several files, and only VMware's "
        "memory has a state",
        i == 0 ? "this" : options.parts[i - 1]);
  }
  return kdump::open_files(files);
}

/// VMware has a machine's memory in one file and its state in another, with one name but for the
/// extension. The path of the other one; empty if there is none, or if `file` needs none.
std::string partner_of(const std::string& path, const FileView& file) {
  const auto open = format_of(file).open;
  if (open == vmware::open && vmware::needs_memory(file)) return sibling_with(path, {".vmem"});
  const bool is_memory = open == raw::open && std::filesystem::path(path).extension() == ".vmem";
  return is_memory ? sibling_with(path, {".vmss", ".vmsn"}) : "";
}

/// Adds the file that belongs to the first one, if it is what its name says. The result says why it
/// could not be opened: nobody has named it, so that is no reason to do without the first one.
std::optional<std::string> add_partner(const std::string& path, const OpenOptions& options,
                                       Owner& owner, std::vector<FileView>& files) {
  const std::string partner = partner_of(path, files[0]);
  if (partner.empty()) return std::nullopt;
  Owner theirs;
  const auto other = theirs.open(partner, options);
  if (!other) return other.error().text;
  if (state_of_pair(files[0], *other) == nullptr) return std::nullopt;
  std::move(theirs.files.begin(), theirs.files.end(), std::back_inserter(owner.files));
  std::move(theirs.packed.begin(), theirs.packed.end(), std::back_inserter(owner.packed));
  files.push_back(*other);
  return std::nullopt;
}

// VMware has devices from 3 to 4 GiB.
constexpr std::uint64_t kVmwareHole = 3 * kGiB;

/// Says of a large .vmem file alone that its memory may lie elsewhere.
void say_missing_state(const std::string& path, Contents& contents) {
  if (contents.format != "raw" || contents.ranges.size() != 1) return;
  const std::uint64_t size = contents.ranges.front().size;
  if (size <= kVmwareHole || std::filesystem::path(path).extension() != ".vmem") return;
  contents.notices.push_back(
      {Level::warning,
       fmt::format("raw: VMware has memory above 3 GiB at 4 GiB and above, and the state that says "
                   "so (.vmss or .vmsn) is not at hand: --with FILE names it, or --ranges "
                   "0-bfffffff,100000000-{:x}",
                   kAboveHole + (size - kVmwareHole) - 1)});
}

/// Names the files beside `path` that may be the missing ones.
void say_siblings(const std::string& path, Contents& contents) {
  const auto names = siblings_of(path);
  if (names.empty()) return;
  contents.notices.push_back({Level::warning, fmt::format("kdump: if they are beside it: --with {}",
                                                          fmt::join(names, " --with "))});
}

/// Whether memory has the bytes of `region` from `region` itself, or from another region that has
/// the same ones (QEMU's dump with paging declares a page once for each of its virtual addresses).
bool serves(const guest::Memory& memory, const Region& region) {
  const Region* const found = memory.find(region.start);
  if (found == nullptr || found->backing != region.backing) return false;
  if (found->last() < region.last()) return false;
  if (region.backing == Backing::source) return found->host() == region.host();
  return region.backing != Backing::host ||
         found->host() + (region.start - found->start) == region.host();
}

void report_overlaps(const guest::Memory& memory, const Regions& regions, Contents& contents) {
  Tally overlaps;
  for (const Region& region : regions) {
    if (!region.is_stored() || serves(memory, region)) continue;
    overlaps.add([&] {
      return fmt::format("{}: range [{:#x}, {:#x}] overlaps an earlier one, whose bytes are used",
                         contents.format, region.start.value, region.last().value);
    });
  }
  // Every vmcore of kdump has one: the kernel's text is stored by itself and again with its RAM.
  overlaps.report(contents, Level::info);
}

/// Bytes that are those of a file, one by one.
std::uint64_t file_bytes(const guest::Memory& memory) {
  std::uint64_t sum = 0;
  for (const Region& region : memory.regions()) {
    const bool is_file = region.backing == Backing::host || PackedFile::made(region);
    if (is_file) sum = checked_add(sum, region.size).value_or(~0ULL);
  }
  return sum;
}

}  // namespace

Result<Image> Image::open(const std::string& path, const OpenOptions& options) {
  const auto owner = std::make_shared<Owner>();
  std::vector<FileView> files;
  const auto add = [&](const std::string& name) -> Result<void> {
    ENGRAM_TRY(const FileView file, owner->open(name, options));
    files.push_back(file);
    return {};
  };
  ENGRAM_CHECK(add(path));
  for (const std::string& part : options.parts) ENGRAM_CHECK(add(part));
  std::optional<std::string> lost_partner;
  if (options.parts.empty() && options.ranges.empty()) {
    lost_partner = add_partner(path, options, *owner, files);
  }
  std::uint64_t size = 0;
  for (const FileView& file : files) size += file.size();
  auto contents = read_contents(files, options);
  if (!contents) {
    return fail("{}: {}{}", path, contents.error().text, lost_partner ? "; " + *lost_partner : "");
  }
  if (lost_partner) contents->notices.push_back({Level::warning, *lost_partner});
  if (contents->incomplete_split) say_siblings(path, *contents);
  say_missing_state(path, *contents);
  for (const auto& file : owner->packed) say_packing(*file, *contents);
  owner->sources = std::move(contents->owner);
  ENGRAM_TRY(auto image, make(path, size, std::move(*contents), owner));
  image.file_size_ = owner->file_bytes();
  image.memory_.set_hole_finder([owner](const std::byte* byte) { return owner->hole_at(byte); });
  for (const auto& file : owner->packed) {
    image.packed_problems_.push_back(file->problems());
    if (!image.cost_) image.cost_ = file->cost();
  }
  return image;
}

std::vector<PageProblem> Image::page_problems() const {
  std::vector<PageProblem> all;
  if (contents_.problems) all = contents_.problems->list();
  for (const auto& problems : packed_problems_) {
    auto more = problems->list();
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }
  return all;
}

Result<Image> Image::make(const std::string& path, std::uint64_t file_size, Contents contents,
                          std::shared_ptr<const void> owner) {
  Image image;
  image.path_ = path;
  image.file_size_ = file_size;
  image.contents_ = std::move(contents);
  Regions regions = std::exchange(image.contents_.regions, {});
  // A dump may have a million of them, mostly in order: only others cost time and copies.
  const bool in_order = disjoint_and_sorted(regions);
  if (!in_order) {
    // What one range has lost another one may have: unreadable regions come last.
    std::stable_partition(regions.begin(), regions.end(),
                          [](const Region& r) { return r.backing != Backing::unreadable; });
  }
  auto disjoint = in_order ? std::exchange(regions, {}) : without_overlap(regions);
  ENGRAM_TRY(image.memory_, guest::Memory::create(std::move(disjoint), std::move(owner)));
  const std::uint64_t used = file_bytes(image.memory_);
  if (used / kMostUses > file_size) {
    return fail("{}: {}: ranges of {} bytes together are more than a file of {} bytes can hold",
                path, image.format(), used, file_size);
  }
  report_overlaps(image.memory_, regions, image.contents_);
  image.truncated_ = image.contents_.truncated || image.ranges().is_cut();
  return image;
}

}  // namespace engram::image
