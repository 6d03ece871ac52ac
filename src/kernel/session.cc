// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/session.h"

#include <utility>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {

Session::Session(image::Image image) : image_(std::move(image)) {
  for (const auto& notice : image_.notices())
    diagnostics_.add(notice.level, image_.format(), notice.text);
}

Session::~Session() = default;

Result<LinuxKernel*> Session::linux_kernel() {
  const std::lock_guard lock(kernel_mutex_);
  if (!kernel_looked_for_) {
    kernel_looked_for_ = true;
    kernel_ = LinuxKernel::find(image_, diagnostics_);
    if (!kernel_) diagnostics_.add(Level::error, "kernel", kernel_.error().text);
  }
  if (!kernel_) return tl::unexpected(kernel_.error());
  return kernel_->get();
}

void Session::refresh() {
  if (!image_.is_live() || !kernel_looked_for_) return;
  if (kernel_ && (*kernel_)->refresh()) return;
  if (kernel_) diagnostics_.add(Level::warning, "kernel", "not in its place: looked for anew");
  kernel_looked_for_ = false;
}

}  // namespace engram::kernel
