// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/live.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "image/live.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

using image::Image;
using image::kAboveHole;

/// Whether a kernel whose memory ends at `end` has its RAM where this layout has it. Firmware keeps
/// some of the RAM below the hole for itself, so that its end is not exact; that above is.
bool agrees(const Image& image, PhysAddr end) {
  if (end.value <= kAboveHole) {
    // All that the kernel uses is below: it does not matter where the rest would be.
    return end.value <= image.ranges().front().size;
  }
  return image.memory().end() == end;
}

/// How much lies below the hole if the rest, at 4 GiB, ends where the kernel says.
std::optional<std::uint64_t> below_4g_for(const Image& image, PhysAddr end) {
  if (end.value <= kAboveHole) return std::nullopt;
  const std::uint64_t above = end.value - kAboveHole;
  if (above >= image.file_size()) return std::nullopt;
  const std::uint64_t below = image.file_size() - above;
  return below < kAboveHole ? std::optional(below) : std::nullopt;
}

/// Where the memory of the kernel ends that is found under this layout; nothing if none is found.
/// Memory is not searched under what may be the wrong layout: each page that is looked at is one
/// that the host may have to make, and there is nothing to find.
std::optional<PhysAddr> probe(const Image& image, Effort effort) {
  Diagnostics nobody(0);
  const auto kernel = LinuxKernel::find(image, nobody, effort);
  return kernel ? (*kernel)->end_of_memory() : std::nullopt;
}

struct Choice {
  Image image;
  std::string how;  ///< empty: no kernel was found that could prove a layout
};

/// The first image whose kernel agrees with it. Errors: see open_live().
Result<Choice> choose_layout(const std::string& path, Effort effort) {
  ENGRAM_TRY(auto usual, Image::open_live(path));
  std::optional<PhysAddr> said;
  const auto layouts = image::live_layouts(usual.file_size());
  for (const auto& layout : layouts) {
    ENGRAM_TRY(auto image, Image::open_live(path, layout.below_4g));
    const auto end = probe(image, effort);
    if (end && agrees(image, *end)) return Choice{std::move(image), std::string(layout.machine)};
    if (end && !said) said = end;
  }
  if (!said) return Choice{std::move(usual), ""};
  if (const auto below = below_4g_for(usual, *said)) {
    ENGRAM_TRY(auto image, Image::open_live(path, *below));
    const auto end = probe(image, effort);
    if (end && agrees(image, *end)) return Choice{std::move(image), "max-ram-below-4g"};
  }
  return fail(
      "{}: the kernel has memory up to 0x{:x}, which agrees with no layout of {} MiB of RAM: "
      "expected the guest's whole RAM in one file; how much of it lies below 4 GiB can be given",
      path, said->value, usual.file_size() / kMiB);
}

}  // namespace

Result<std::unique_ptr<Session>> open_live(const std::string& path,
                                           std::optional<std::uint64_t> below_4g) {
  if (below_4g) {
    ENGRAM_TRY(auto image, Image::open_live(path, below_4g));
    return std::make_unique<Session>(std::move(image));
  }
  ENGRAM_TRY(auto choice, choose_layout(path, Effort::quick));
  // With one layout for all machines there is nothing to choose: the session finds its kernel.
  if (choice.how.empty() && image::live_layouts(choice.image.file_size()).size() > 1) {
    ENGRAM_TRY(choice, choose_layout(path, Effort::all));
  }
  auto session = std::make_unique<Session>(std::move(choice.image));
  if (!choice.how.empty()) {
    session->diagnostics().add(
        Level::info, "live",
        fmt::format("layout of {}, with {} MiB below 4 GiB: the end of the kernel's memory agrees",
                    choice.how, session->image().ranges().front().size / kMiB));
  }
  return session;
}

}  // namespace engram::kernel
