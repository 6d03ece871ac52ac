// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/session.h"

#include <fmt/core.h>

#include <utility>

#include "kernel/foreign.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/windows/windows_kernel.h"

namespace engram::kernel {

Session::Session(image::Image image, std::optional<types::SymbolFile> symbols,
                 SessionOptions options)
    : image_(std::move(image)), symbols_(std::move(symbols)), options_(std::move(options)) {
  for (const auto& notice : image_.notices())
    diagnostics_.add(notice.level, image_.format(), notice.text);
}

Session::~Session() = default;

void Session::look_for_kernel() {
  if (kernel_looked_for_) return;
  search_kernel();  // may be interrupted: whoever asks next begins anew
  kernel_looked_for_ = true;
}

void Session::search_kernel() {
  if (image_.facts().triage) {
    kernel_ = fail(
        "this is about Linux, and the image is a small (triage) dump of Windows, which has no page "
        "tables");
    windows_ = WindowsKernel::of_small_dump(image_, diagnostics_, symbols_ ? &*symbols_ : nullptr);
    return;
  }
  const auto look_for_windows = [&](windows::Search search) {
    windows_ = WindowsKernel::find(image_, diagnostics_, search, symbols_ ? &*symbols_ : nullptr);
    if (windows_)
      kernel_ =
          fail("this is about Linux, and the image holds Windows (build {})", (*windows_)->build());
    return windows_.has_value();
  };
  if (const auto foreign = foreign_kernel(image_.facts())) {
    const bool may_be_windows = !image_.is_live() && !image_.facts().vmcoreinfo;
    if (may_be_windows && look_for_windows(windows::Search::all)) return;
    const auto text =
        may_be_windows ? fmt::format("{}; {}", *foreign, windows_.error().text) : *foreign;
    kernel_ = fail("{}", text);
    windows_ = fail("{}", text);
    diagnostics_.add(Level::error, "kernel", text);
    return;
  }
  const auto look_for_linux = [&](Effort effort) {
    kernel_ = LinuxKernel::find(image_, diagnostics_, effort, options_.cache_folder);
    if (!kernel_) return false;
    windows_ = fail("this is about Windows, and the image holds Linux");
    if (symbols_) {
      kernel_ = fail(
          "{}: the image holds Linux, whose kernels bring their types and symbols: files of "
          "symbols "
          "are for Windows",
          symbols_->path);
      diagnostics_.add(Level::error, "symbols", kernel_.error().text);
    }
    return true;
  };
  const bool is_crash_dump = image_.facts().crash.has_value();
  if (is_crash_dump && look_for_windows(windows::Search::all)) return;
  // What notes name and what lies low costs next to nothing; then all of memory is searched.
  if (look_for_linux(Effort::quick)) return;
  const bool may_be_windows = !is_crash_dump && !image_.is_live() && !image_.facts().vmcoreinfo;
  if (may_be_windows && look_for_windows(windows::Search::quick)) return;
  if (look_for_linux(Effort::all)) return;
  const auto problem = kernel_.error();
  if (!is_crash_dump && look_for_windows(windows::Search::all)) return;
  diagnostics_.add(Level::error, "kernel", problem.text);
  diagnostics_.add(is_crash_dump ? Level::error : Level::info, "kernel", windows_.error().text);
}

Result<LinuxKernel*> Session::linux_kernel() {
  const std::lock_guard lock(kernel_mutex_);
  look_for_kernel();
  if (!kernel_) return tl::unexpected(kernel_.error());
  return kernel_->get();
}

Result<WindowsKernel*> Session::windows_kernel() {
  const std::lock_guard lock(kernel_mutex_);
  look_for_kernel();
  if (!windows_) return tl::unexpected(windows_.error());
  return windows_->get();
}

void Session::refresh() {
  if (!image_.is_live() || !kernel_looked_for_) return;
  if (kernel_ && (*kernel_)->refresh()) return;
  if (kernel_) diagnostics_.add(Level::warning, "kernel", "not in its place: looked for anew");
  kernel_looked_for_ = false;
}

}  // namespace engram::kernel
