// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module_symbols.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <unordered_map>

#include "kernel/linux/containers.h"
#include "kernel/linux/module_memory.h"

namespace engram::kernel {
namespace {

// A module's symbols, and those of all together: Debian's guests have some 10,000 and 20,000.
constexpr std::size_t kSymbolLimit = 1U << 18U;
constexpr std::size_t kTotalLimit = 1U << 20U;
constexpr std::uint32_t kExportLimit = 1U << 16U;
constexpr std::size_t kNameLimit = 512;               // KSYM_NAME_LEN since 6.1
constexpr std::uint64_t kNameBytesLimit = 64 * kMiB;  // of all names; Debian's guests have 0.4
constexpr std::size_t kModuleLimit = 10'000;
constexpr std::int32_t kUnformed = 3;  // MODULE_STATE_UNFORMED

/// Elf64_Sym, ELF-64 object file format, 1.5.
struct ElfSymbol {
  std::uint32_t name;
  std::uint8_t info, other;
  std::uint16_t section;
  std::uint64_t value, size;
};
static_assert(sizeof(ElfSymbol) == 24);

class ModuleSymbolReader {
 public:
  ModuleSymbolReader(const Reader& reader, const types::TypeDb& types,
                     const types::SymbolTable& kernel_symbols)
      : reader_(reader), symbols_(kernel_symbols), types_(types), memory_(types, reader) {
    auto& diagnostics = reader.diagnostics();
    const auto module = Layout::of_optional(types, diagnostics, "module");
    state_ = module.field<std::int32_t>("state");
    name_ = module.text("name");
    kallsyms_ = module.field<VirtAddr>("kallsyms");
    exports_ = module.field<VirtAddr>("syms");
    export_count_ = module.field<std::uint32_t>("num_syms");
    list_ = module.offset_of("list");
    const auto kallsyms = Layout::of_optional(types, diagnostics, "mod_kallsyms");
    symtab_ = kallsyms.field<VirtAddr>("symtab");
    symbol_count_ = kallsyms.field<std::uint32_t>("num_symtab");
    strtab_ = kallsyms.field<VirtAddr>("strtab");
    typetab_ = kallsyms.field<VirtAddr>("typetab");
    // CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: both members are relative to their own place.
    const Layout exported(types, diagnostics, "kernel_symbol");
    export_value_ = exported.optional_field<std::int32_t>("value_offset");
    export_name_ = exported.optional_field<std::int32_t>("name_offset");
    export_size_ = exported.size();
  }

  void add_modules(types::SymbolTable::Builder& builder) {
    const auto head = symbols_.address_of("modules");
    if (!head || !list_) return;
    for (const auto module : walk_list(reader_, *head, *list_, "module.list", kModuleLimit)) {
      const auto state = reader_.get(module, state_);
      const auto name = reader_.text(module, name_);
      if (!state || !name || *state == kUnformed) continue;
      const auto index = builder.add_module(*name);
      add_ranges(module, index, builder);
      add_symbols(module, index, builder);
    }
  }

  // ftrace_mod_get_kallsym() in kernel/trace/ftrace.c: functions of modules' freed init sections
  // that were there while functions were traced. The kernel keeps them to name what the trace
  // holds.
  void add_traced_init_functions(types::SymbolTable::Builder& builder) {
    const auto head = symbols_.address_of("ftrace_mod_maps");
    if (!head) return;
    const Layout map(types_, reader_.diagnostics(), "ftrace_mod_map");
    const Layout function(types_, reader_.diagnostics(), "ftrace_mod_func");
    const auto map_node = map.offset_of("list"), functions = map.offset_of("funcs");
    const auto module = map.field<VirtAddr>("mod");
    const auto node = function.offset_of("list");
    const auto name = function.field<VirtAddr>("name");
    const auto place = function.field<std::uint64_t>("ip");
    const auto size = function.field<std::uint32_t>("size");
    if (!map_node || !functions || !node) return;
    for (const auto one :
         walk_list(reader_, *head, *map_node, "ftrace_mod_map.list", kModuleLimit)) {
      const auto owner = reader_.follow(one, module);
      const auto owner_name = owner ? reader_.text(*owner, name_) : std::nullopt;
      if (!owner_name) continue;
      const auto index = builder.add_module(*owner_name);
      for (const auto object :
           walk_list(reader_, one + *functions, *node, "ftrace_mod_func.list", room_)) {
        const auto text = reader_.follow(object, name);
        const auto start = reader_.get(object, place);
        const auto length = reader_.get(object, size);
        const auto symbol = text ? reader_.text_at(*text, kNameLimit, name.name) : std::nullopt;
        if (!symbol || !start || !length) continue;
        if (!take(1, symbol->size(), name.name, object)) return;
        builder.add(*symbol, VirtAddr(*start), 'T', index);
        builder.add_range(VirtAddr(*start), VirtAddr(*start + *length), index);
      }
    }
  }

  // ftrace_get_trampoline_kallsym() in kernel/trace/ftrace.c, since 5.9.
  void add_trampolines(types::SymbolTable::Builder& builder) {
    const auto head = symbols_.address_of("ftrace_ops_trampoline_list");
    if (!head) return;
    const Layout ops(types_, reader_.diagnostics(), "ftrace_ops");
    const auto node = ops.offset_of("list");
    const auto trampoline = ops.field<std::uint64_t>("trampoline");
    const auto size = ops.field<std::uint64_t>("trampoline_size");
    if (!node) return;
    const auto module = builder.add_module("__builtin__ftrace");
    for (const auto object : walk_list(reader_, *head, *node, "ftrace_ops.list", kModuleLimit)) {
      const auto start = reader_.get(object, trampoline);
      if (!start) continue;
      builder.add("ftrace_trampoline", VirtAddr(*start), 't', module);
      if (const auto length = reader_.get(object, size))
        builder.add_range(VirtAddr(*start), VirtAddr(*start + *length), module);
    }
  }

  // bpf_get_kallsym() in kernel/bpf/core.c; struct bpf_ksym since 5.7.
  void add_bpf_programs(types::SymbolTable::Builder& builder) {
    const auto head = symbols_.address_of("bpf_kallsyms");
    if (!head) return;
    const Layout ksym(types_, reader_.diagnostics(), "bpf_ksym");
    const auto node = ksym.offset_of("lnode");
    const auto start = ksym.field<std::uint64_t>("start");
    const auto end = ksym.field<std::uint64_t>("end");
    const auto name = ksym.text("name");
    if (!node) return;
    const auto module = builder.add_module("bpf");
    for (const auto object : walk_list(reader_, *head, *node, "bpf_ksym.lnode", room_)) {
      const auto first = reader_.get(object, start);
      const auto last = reader_.get(object, end);
      const auto text = reader_.text(object, name);
      if (!first || !last || !text) continue;
      if (!take(1, text->size(), name.name, object)) return;
      builder.add(*text, VirtAddr(*first), 't', module);
      builder.add_range(VirtAddr(*first), VirtAddr(*last), module);
    }
  }

 private:
  /// Whether so much more may be read, whatever the image says: ten thousand modules may share
  /// the same few pages. Then it is counted; if not, that is one diagnostics row for all.
  bool take(std::uint64_t symbols, std::uint64_t name_bytes, std::string_view what,
            VirtAddr object) {
    if (is_full_) return false;
    if (symbols > room_ || name_bytes > name_room_) {
      is_full_ = true;
      reader_.report(what, object,
                     fmt::format("{} symbols with {} bytes of names behind {} with {}, at most {} "
                                 "with {} expected in all",
                                 symbols, name_bytes, kTotalLimit - room_,
                                 kNameBytesLimit - name_room_, kTotalLimit, kNameBytesLimit));
      return false;
    }
    room_ -= static_cast<std::size_t>(symbols);
    name_room_ -= name_bytes;
    return true;
  }

  void add_ranges(VirtAddr module, std::uint16_t index,
                  types::SymbolTable::Builder& builder) const {
    for (const auto& area : memory_.allocations(module)) {
      builder.add_range(area.start, area.end(), index);
    }
  }

  // module_get_kallsym() in kernel/module/kallsyms.c and s_show() in kernel/kallsyms.c.
  void add_symbols(VirtAddr module, std::uint16_t index, types::SymbolTable::Builder& builder) {
    const auto kallsyms = reader_.follow(module, kallsyms_);
    if (!kallsyms) return;
    const auto count = reader_.get(*kallsyms, symbol_count_);
    const auto symtab = reader_.follow(*kallsyms, symtab_);
    const auto strtab = reader_.follow(*kallsyms, strtab_);
    const auto typetab = reader_.follow(*kallsyms, typetab_);
    if (!count || !symtab || !strtab || !typetab) return;
    if (*count > kSymbolLimit) {
      reader_.report(symbol_count_.name, module,
                     fmt::format("{} symbols, at most {} expected", *count, kSymbolLimit));
      return;
    }
    if (!take(*count, 0, symbol_count_.name, module)) return;
    std::vector<ElfSymbol> symbols(*count);
    std::vector<char> letters(*count);
    if (!read_all(*symtab, std::as_writable_bytes(std::span(symbols)), "mod_kallsyms.symtab") ||
        !read_all(*typetab, std::as_writable_bytes(std::span(letters)), "mod_kallsyms.typetab")) {
      return;
    }
    const auto names = read_names(*strtab, symbols);
    const auto exports = read_exports(module);
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const auto name = name_at(names, symbols[i].name);
      if (name.empty()) continue;
      if (!take(0, name.size(), strtab_.name, module)) return;
      const auto exported = exports.find(std::string(name));
      const bool global = exported != exports.end() && exported->second == symbols[i].value;
      const auto letter = static_cast<unsigned char>(letters[i]);
      builder.add(name, VirtAddr(symbols[i].value),
                  static_cast<char>(global ? std::toupper(letter) : std::tolower(letter)), index);
    }
  }

  bool read_all(VirtAddr from, MutableBytes to, std::string_view what) const {
    const auto done = reader_.space().read_exact(from, to);
    if (!done) reader_.report(what, from, paging::to_string(done.error()));
    return done.has_value();
  }

  /// The string table as far as the symbols use it.
  std::string read_names(VirtAddr strtab, const std::vector<ElfSymbol>& symbols) {
    std::uint64_t last = 0;
    for (const auto& symbol : symbols) last = std::max<std::uint64_t>(last, symbol.name);
    // A name offset out of all proportion is damage: the other names are still good.
    last = std::min<std::uint64_t>(last, symbols.size() * kNameLimit);
    if (!take(0, last, strtab_.name, strtab)) return {};
    std::string names(static_cast<std::size_t>(last + kNameLimit), '\0');
    const auto outcome =
        reader_.space().read(strtab, std::as_writable_bytes(std::span(names.data(), names.size())));
    names.resize(outcome.count);
    if (outcome.count <= last && outcome.fault)
      reader_.report("mod_kallsyms.strtab", strtab, paging::to_string(*outcome.fault));
    return names;
  }

  static std::string_view name_at(const std::string& names, std::size_t offset) {
    if (offset >= names.size()) return {};
    const auto rest = std::string_view(names).substr(offset, kNameLimit);
    return rest.substr(0, std::min(rest.find('\0'), rest.size()));
  }

  /// The symbols that the module exports, as is_exported() in kernel/module/kallsyms.c looks them
  /// up.
  std::unordered_map<std::string, std::uint64_t> read_exports(VirtAddr module) {
    std::unordered_map<std::string, std::uint64_t> exports;
    const auto table = reader_.get(module, exports_);
    const auto count = reader_.get(module, export_count_);
    if (!table || !*table || !count) return exports;
    if (*count > kExportLimit) {
      reader_.report(export_count_.name, module,
                     fmt::format("{} symbols, at most {} expected", *count, kExportLimit));
      return exports;
    }
    if (!take(*count, 0, export_count_.name, module)) return exports;
    if (!export_value_ || !export_name_ || !export_size_) return exports;
    for (std::uint32_t i = 0; i < *count; ++i) {
      const VirtAddr entry = *table + i * *export_size_;
      const auto value_offset = reader_.get(entry, export_value_);
      const auto name_offset = reader_.get(entry, export_name_);
      if (!value_offset || !name_offset) break;
      const auto relative = [&](std::uint64_t member, std::int32_t offset) {
        return entry + member + static_cast<std::uint64_t>(static_cast<std::int64_t>(offset));
      };
      const auto text = reader_.text_at(relative(*export_name_.offset, *name_offset), kNameLimit,
                                        export_name_.name);
      if (text) exports.emplace(*text, relative(*export_value_.offset, *value_offset).value);
    }
    return exports;
  }

  const Reader& reader_;
  const types::SymbolTable& symbols_;
  const types::TypeDb& types_;
  Field<std::int32_t> state_;
  TextField name_;
  Field<VirtAddr> kallsyms_, exports_, symtab_, strtab_, typetab_;
  Field<std::uint32_t> export_count_, symbol_count_;
  Field<std::int32_t> export_value_, export_name_;
  std::optional<std::uint64_t> list_, export_size_;
  ModuleMemory memory_;
  std::size_t room_ = kTotalLimit;
  std::uint64_t name_room_ = kNameBytesLimit;
  bool is_full_ = false;
};

}  // namespace

types::SymbolTable read_module_symbols(const Reader& reader, const types::TypeDb& types,
                                       const types::SymbolTable& kernel_symbols) {
  types::SymbolTable::Builder builder;
  ModuleSymbolReader modules(reader, types, kernel_symbols);
  modules.add_modules(builder);
  modules.add_traced_init_functions(builder);
  modules.add_trampolines(builder);
  modules.add_bpf_programs(builder);
  return std::move(builder).build();
}

}  // namespace engram::kernel
