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
  std::call_once(kernel_once_, [this] {
    kernel_ = LinuxKernel::find(image_, diagnostics_);
    if (!kernel_) diagnostics_.add(Level::error, "kernel", kernel_.error().text);
  });
  if (!kernel_) return tl::unexpected(kernel_.error());
  return kernel_->get();
}

}  // namespace engram::kernel
