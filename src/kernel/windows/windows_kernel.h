// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Windows kernel of an image: its address space, the layout of its structures, and the indexes
// over its objects.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/diagnostics.h"
#include "base/lazy.h"
#include "base/result.h"
#include "image/image.h"
#include "kernel/linux/reader.h"
#include "kernel/windows/debugger_data.h"
#include "kernel/windows/small_dump.h"
#include "kernel/windows/structures.h"
#include "kernel/windows/windows_map.h"
#include "types/symbol_file.h"

namespace engram::kernel {

namespace windows {
class Areas;
class Handles;
class Modules;
class Objects;
class Processes;
class Processors;
class Threads;
}  // namespace windows

class WindowsKernel {
 public:
  ~WindowsKernel();
  WindowsKernel(const WindowsKernel&) = delete;
  WindowsKernel& operator=(const WindowsKernel&) = delete;

  /// `symbols` is a file of this kernel's types that the user has, or null; it is borrowed. If it
  /// is of another kernel, structures() says so. Errors: no Windows in the image; the text says
  /// what was tried.
  static Result<std::unique_ptr<WindowsKernel>> find(const image::Image& image,
                                                     Diagnostics& diagnostics,
                                                     windows::Search search = windows::Search::all,
                                                     const types::SymbolFile* symbols = nullptr);

  /// What a small dump, which has no page tables, holds of the kernel; `symbols` is as for find().
  /// Errors: it is not of x86-64.
  static Result<std::unique_ptr<WindowsKernel>> of_small_dump(
      const image::Image& image, Diagnostics& diagnostics,
      const types::SymbolFile* symbols = nullptr);

  [[nodiscard]] const image::Image& image() const { return image_; }
  [[nodiscard]] const paging::AddressSpace& space() const { return space_; }
  [[nodiscard]] paging::AddressSpace space_at(PhysAddr root) const;
  [[nodiscard]] const windows::WindowsMap& map() const { return map_; }
  [[nodiscard]] bool is_64_bit() const { return windows::pointer_size(map_.mode) == 8; }
  [[nodiscard]] const Reader& reader() const { return reader_; }
  /// Nothing if it was not found.
  [[nodiscard]] const std::optional<windows::DebuggerData>& debugger_data() const {
    return debugger_data_;
  }
  /// 0 if it is not known.
  [[nodiscard]] std::uint32_t build() const { return build_; }
  /// 100 ns since 1601; nothing if neither the header nor KUSER_SHARED_DATA says.
  [[nodiscard]] std::optional<std::uint64_t> boot_time() const;
  /// Text of NtBuildLab; nothing without KDBG or if it cannot be read.
  [[nodiscard]] std::optional<std::string> build_lab() const;
  /// What the debugger's block or the crash header name. Errors: neither does.
  [[nodiscard]] Result<VirtAddr> process_head() const;
  [[nodiscard]] Result<VirtAddr> module_head() const;
  /// A symbol of the user's file; nothing without one that is right, or if it does not have it.
  [[nodiscard]] std::optional<VirtAddr> symbol(const std::string& name) const;
  /// The user's file, if it is of this kernel.
  [[nodiscard]] const types::SymbolFile* symbols() const { return symbols_; }
  /// Errors: the structures of this kernel are not known; says why.
  [[nodiscard]] Result<const windows::Structures*> structures() const;

  /// Nothing if the image has physical memory.
  [[nodiscard]] const std::optional<windows::SmallDump>& small_dump() const { return small_dump_; }
  /// Errors: it is a small dump, which does not have what is asked for.
  [[nodiscard]] Result<void> require_whole_memory(std::string_view what) const;

  [[nodiscard]] const windows::Processes& processes();
  [[nodiscard]] const windows::Threads& threads();
  [[nodiscard]] const windows::Modules& modules();
  [[nodiscard]] const windows::Areas& areas();
  [[nodiscard]] const windows::Processors& processors();
  [[nodiscard]] const windows::Objects& objects();
  [[nodiscard]] const windows::Handles& handles();

 private:
  WindowsKernel(const image::Image& image, Diagnostics& diagnostics, windows::WindowsMap map);
  WindowsKernel(const image::Image& image, Diagnostics& diagnostics, std::uint32_t build,
                windows::SmallDump small_dump);
  void find_debugger_data(Diagnostics& diagnostics);
  void find_structures(Diagnostics& diagnostics, const types::SymbolFile* symbols);
  [[nodiscard]] Result<void> check(const types::SymbolFile& symbols,
                                   Diagnostics& diagnostics) const;
  [[nodiscard]] Result<windows::Structures> structures_from(const types::SymbolFile& symbols,
                                                            VirtAddr process_head,
                                                            Diagnostics& diagnostics) const;
  void take_root_of_system(VirtAddr process_head);

  const image::Image& image_;
  std::optional<windows::SmallDump> small_dump_;
  windows::WindowsMap map_;
  paging::AddressSpace space_;
  Reader reader_;
  std::uint32_t build_ = 0;
  std::optional<windows::DebuggerData> debugger_data_;
  const types::SymbolFile* symbols_ = nullptr;
  Result<windows::Structures> structures_;

  Lazy<windows::Processes> processes_;
  Lazy<windows::Threads> threads_;
  Lazy<windows::Modules> modules_;
  Lazy<windows::Areas> areas_;
  Lazy<windows::Processors> processors_;
  Lazy<windows::Objects> objects_;
  Lazy<windows::Handles> handles_;
};

}  // namespace engram::kernel
