// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kernel objects: an image in, the operating system that it holds and its objects as plain structs
// out.
//
// In:     an image::Image.
// Out:    Session: the image, the diagnostics, and the kernel, which is looked for when it is first
//         asked for.
// Owner:  the Session owns everything; what it hands out lives as long as it does.
// Errors: Error from linux_kernel() and windows_kernel(): none was found (says what was tried), or
//         that of the other system was. Damage inside is a diagnostics row.
//
// The image of a dead machine never changes, so what was computed once is kept. That of a running
// guest does: what is kept is forgotten by refresh(). A Session may be shared between threads, but
// for refresh().

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/diagnostics.h"
#include "base/result.h"
#include "image/image.h"
#include "types/symbol_file.h"

namespace engram::kernel {

class LinuxKernel;
class WindowsKernel;

struct SessionOptions {
  /// Where what is found in a dump is kept, to be found faster the next time (kernel_cache.h);
  /// empty: nowhere.
  std::string cache_folder;
};

class Session {
 public:
  /// Takes over the image; its notices become the first diagnostics rows. `symbols` is a file of
  /// the kernel's types and symbols that the user has.
  explicit Session(image::Image image, std::optional<types::SymbolFile> symbols = std::nullopt,
                   SessionOptions options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const image::Image& image() const { return image_; }
  [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }

  /// The Linux kernel in the image; looked for once, at the first call (and the first after a
  /// refresh() that did not find it in its place).
  /// Errors: none found. The text says what was tried; the diagnostics have the details.
  Result<LinuxKernel*> linux_kernel();
  /// The same for Windows. In a crash dump of Windows it is looked for first, in every other image
  /// if there is no Linux kernel.
  Result<WindowsKernel*> windows_kernel();

  /// Makes what is read from now on that of now, if the image is live. Nobody may use the session
  /// meanwhile, and no cursor or reference that came from it before may be used any more.
  void refresh();

 private:
  void look_for_kernel();
  void search_kernel();

  image::Image image_;
  std::optional<types::SymbolFile> symbols_;
  SessionOptions options_;
  Diagnostics diagnostics_;
  std::mutex kernel_mutex_;
  bool kernel_looked_for_ = false;
  Result<std::unique_ptr<LinuxKernel>> kernel_;
  Result<std::unique_ptr<WindowsKernel>> windows_;
};

}  // namespace engram::kernel
