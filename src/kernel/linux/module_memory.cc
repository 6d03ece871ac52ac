// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module_memory.h"

#include <fmt/core.h>

#include <cctype>
#include <string_view>

namespace engram::kernel {
namespace {

constexpr std::uint64_t kPartLimit = 16;

/// "init_text" of MOD_INIT_TEXT
std::string type_name(std::string_view enumerator) {
  constexpr std::string_view kPrefix = "MOD_";
  if (enumerator.substr(0, kPrefix.size()) == kPrefix) enumerator.remove_prefix(kPrefix.size());
  std::string name;
  for (const char letter : enumerator) {
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return name;
}

}  // namespace

// Since ac3b43283923 (6.4) a module has mem[]; before it had core_layout and init_layout.
ModuleMemory::ModuleMemory(const types::TypeDb& types, Reader reader) : reader_(reader) {
  const auto module = Layout::of_optional(types, reader_.diagnostics(), "module");
  const auto add = [&](std::string type, const std::string& path) {
    allocations_.push_back({std::move(type), module.field<VirtAddr>(path + ".base"),
                            module.field<std::uint32_t>(path + ".size")});
  };
  const auto array = types.find_member("module", "mem");
  const auto count = array ? types.element_count(types.resolve(array->type)) : std::nullopt;
  const auto names = types.find("mod_mem_type", types::Kind::enumeration);
  if (count && names) {
    for (const auto& one : types.enumerators(*names)) {
      const auto index = static_cast<std::uint64_t>(one.value);
      if (index < *count && index < kPartLimit) {
        add(type_name(one.name), fmt::format("mem[{}]", index));
      }
    }
    return;
  }
  for (const std::string path : {"core_layout", "init_layout"}) {
    add(path == "core_layout" ? "text" : "init_text", path);
    ends_.push_back({module.field<std::uint32_t>(path + ".text_size"),
                     module.field<std::uint32_t>(path + ".ro_size"),
                     module.field<std::uint32_t>(path + ".ro_after_init_size")});
  }
}

std::optional<ModuleArea> ModuleMemory::area(VirtAddr module, const Fields& fields) const {
  const auto base = reader_.get(module, fields.base);
  const auto size = reader_.get(module, fields.size);
  if (!base || !size || !*base || *size == 0) return std::nullopt;
  if (!base->checked_add(*size)) {
    reader_.report(fields.size.name, module,
                   fmt::format("{} bytes at 0x{:x} reach over the end of the address space", *size,
                               base->value));
    return std::nullopt;
  }
  return ModuleArea{fields.type, *base, *size};
}

std::vector<ModuleArea> ModuleMemory::allocations(VirtAddr module) const {
  std::vector<ModuleArea> found;
  for (const auto& fields : allocations_) {
    if (auto one = area(module, fields)) found.push_back(std::move(*one));
  }
  return found;
}

// layout_sections() in kernel/module.c: code, read-only data, data that is read-only after
// initialisation, other data. Data that would be read-only after initialisation is plain data in
// the init part, which is freed by then.
void ModuleMemory::split(VirtAddr module, const ModuleArea& whole, const Ends& ends,
                         std::vector<ModuleArea>& parts) const {
  const auto text = reader_.get(module, ends.text);
  const auto read_only = reader_.get(module, ends.read_only);
  const auto after_init = reader_.get(module, ends.after_init);
  if (!text || !read_only || !after_init) return;
  if (*text > *read_only || *read_only > *after_init || *after_init > whole.size) {
    reader_.report(ends.text.name, module,
                   fmt::format("the parts end at {}, {} and {} of {} bytes", *text, *read_only,
                               *after_init, whole.size));
    return;
  }
  const bool init = whole.is_init();
  const auto add = [&](const char* type, std::uint64_t from, std::uint64_t to) {
    if (from < to) {
      parts.push_back({(init ? "init_" : "") + std::string(type), whole.start + from, to - from});
    }
  };
  add("text", 0, *text);
  add("data", init ? *read_only : *after_init, whole.size);
  add("rodata", *text, *read_only);
  if (!init) add("ro_after_init", *read_only, *after_init);
}

std::vector<ModuleArea> ModuleMemory::parts(VirtAddr module) const {
  if (ends_.empty()) return allocations(module);
  std::vector<ModuleArea> found;
  for (std::size_t i = 0; i < allocations_.size(); ++i) {
    if (const auto whole = area(module, allocations_[i])) split(module, *whole, ends_[i], found);
  }
  return found;
}

}  // namespace engram::kernel
