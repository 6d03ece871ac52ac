// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/live_walk.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kModuleLimit = 10'000;
constexpr std::size_t kUserLimit = 10'000;
constexpr std::size_t kSectionLimit = 65'536;  // e_shnum of an ELF file
constexpr std::size_t kTextLimit = 4096;
constexpr std::size_t kNameLimit = 512;
constexpr std::uint64_t kTaintBits = 64;
constexpr std::int32_t kOwnReference = 1;  // MODULE_REF_BASE, kernel/module

/// Elf64_Nhdr and the name of a note of the GNU tools.
struct GnuNote {
  std::uint32_t name_size, size, type;
  std::array<char, 4> name;
};
constexpr std::uint32_t kBuildIdType = 3;  // NT_GNU_BUILD_ID
constexpr std::uint32_t kBuildIdLimit = 64;

}  // namespace

Modules::Modules(LinuxKernel& kernel)
    : kernel_(kernel),
      reader_(kernel.reader()),
      quiet_(kernel.reader().quiet()),
      memory_(kernel.types(), kernel.reader()),
      trees_(kernel.types(), kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const auto& symbols = kernel.symbols();
  head_ = symbols.address_of("modules");
  kset_ = symbols.address_of("module_kset");
  tree_ = symbols.address_of("mod_tree");
  taint_table_ = symbols.address_of("taint_flags");

  // Without modules there is no such structure, which is known by there being no list either.
  const auto module = head_ ? Layout(types, diagnostics, "module")
                            : Layout::of_optional(types, diagnostics, "module");
  size_ = module.size();
  list_ = module.offset_of("list");
  kobject_ = module.offset_of("mkobj");
  name_ = module.text("name");
  state_ = module.field<std::uint32_t>("state");
  version_ = module.field<VirtAddr>("version");
  source_version_ = module.field<VirtAddr>("srcversion");
  sections_ = module.field<VirtAddr>("sect_attrs");
  taints_ = module.field<std::uint64_t>("taints");
  gpl_only_ = module.optional_field<std::uint8_t>("using_gplonly_symbols");
  // CONFIG_MODULE_UNLOAD
  references_ = module.optional_field<std::int32_t>("refcnt.counter");
  source_list_ = module.optional_offset_of("source_list");
  const auto use = Layout::of_optional(types, diagnostics, "module_use");
  use_source_ = use.optional_field<VirtAddr>("source");
  use_node_ = use.optional_offset_of("source_list");

  kset_list_ = Layout(types, diagnostics, "kset").offset_of("list");
  const Layout kobject(types, diagnostics, "module_kobject");
  kobject_node_ = kobject.offset_of("kobj.entry");
  kobject_module_ = kobject.field<VirtAddr>("mod");

  // CONFIG_MODULES_TREE_LOOKUP; without it the structure has no trees.
  const Layout root(types, diagnostics, "mod_tree_root");
  tree_sequence_ = root.optional_field<std::uint32_t>("root.seq.seqcount.sequence");
  for (std::size_t i = 0; i < 2; ++i) {
    tree_roots_[i] = root.optional_field<VirtAddr>(fmt::format("root.tree[{}].rb_node", i));
    if (!tree_roots_[i]) continue;
    const Layout node(types, diagnostics, "mod_tree_node");
    tree_module_ = node.field<VirtAddr>("mod");
    tree_nodes_[i] = node.offset_of(fmt::format("node.node[{}]", i));
  }

  section_list_ = Layout(types, diagnostics, "module_sect_attrs").field<VirtAddr>("grp.bin_attrs");
  const Layout attribute(types, diagnostics, "bin_attribute");
  section_name_ = attribute.field<VirtAddr>("attr.name");
  section_private_ = attribute.field<VirtAddr>("private");
  // 6.12 has the address behind the attribute, in a structure of their own; 7.2 in the attribute.
  if (types.find_struct("module_sect_attr")) {
    section_address_ =
        Layout(types, diagnostics, "module_sect_attr").optional_field<VirtAddr>("address");
  }
  const Layout taint(types, diagnostics, "taint_flag");
  taint_size_ = taint.size();
  taint_letter_ = taint.field<std::uint8_t>("c_true");
  taint_of_module_ = taint.optional_field<std::uint8_t>("module");
}

Result<const std::vector<Module>*> Modules::all() const {
  if (!head_) return fail("the kernel has no symbol modules: it is built without modules");
  if (!list_) return fail("the kernel's types have no module.list");
  once_.call([this] { find_all(); });
  return &all_;
}

void Modules::find_all() const {
  all_ = list_from(*head_);
  std::unordered_map<std::uint64_t, std::size_t> places;
  for (std::size_t i = 0; i < all_.size(); ++i) places.emplace(all_[i].address.value, i);
  const auto note = [&](VirtAddr address, bool Module::*where) {
    const auto [place, is_new] = places.emplace(address.value, all_.size());
    if (is_new) all_.push_back({address, std::nullopt});
    all_[place->second].*where = true;
  };
  for (const auto address : from_sysfs()) note(address, &Module::in_sysfs);
  for (const auto address : from_tree()) note(address, &Module::in_tree);
}

std::vector<Module> Modules::list_from(VirtAddr head) const {
  std::vector<Module> found;
  if (!list_) return found;
  for (const auto module : walk_list(reader_, head, *list_, "module.list", kModuleLimit)) {
    // A walk that begins at a module comes by the list's own head.
    if (head_ && module + *list_ == *head_) continue;
    found.push_back({module, head});
  }
  return found;
}

// The directories of /sys/module; those of code that is built in have no module.
std::vector<VirtAddr> Modules::from_sysfs() const {
  std::vector<VirtAddr> found;
  const auto kset = kset_ ? reader_.require_at(*kset_, "module_kset") : std::nullopt;
  if (!kset || !kset_list_ || !kobject_node_ || !kobject_) return found;
  for (const auto kobject :
       walk_list(reader_, *kset + *kset_list_, *kobject_node_, "kset.list", kModuleLimit)) {
    const auto module = reader_.follow(kobject, kobject_module_);
    if (!module) continue;
    if (*module + *kobject_ == kobject) {
      found.push_back(*module);
    } else {
      reader_.report(
          kobject_module_.name, kobject,
          fmt::format("the directory in sysfs lies not in its module, 0x{:x}", module->value));
    }
  }
  return found;
}

/// The nodes lie in the modules themselves, one for each part of their memory.
std::optional<VirtAddr> Modules::owner_of_node(VirtAddr node, std::uint64_t offset) const {
  const auto module = reader_.follow(node - offset, tree_module_);
  if (!module || !size_) return std::nullopt;
  if (node - *module < *size_) return module;
  reader_.report(tree_module_.name, node,
                 fmt::format("the node lies not in its module, 0x{:x}", module->value));
  return std::nullopt;
}

// __mod_tree_insert() in kernel/module/tree_lookup.c. There are two trees, of which the one that
// the sequence number names is not being changed (include/linux/rbtree_latch.h).
std::vector<VirtAddr> Modules::from_tree() const {
  if (!tree_ || !tree_roots_[0] || !tree_nodes_[0] || !tree_nodes_[1]) return {};
  const auto attempt = [this] {
    Try<VirtAddr> now;
    std::unordered_set<std::uint64_t> seen;
    const auto before = reader_.get(*tree_, tree_sequence_).value_or(0);
    const std::size_t which = before & 1U;
    // add_unformed_module() puts a module into the list and the trees: no module, no root.
    const auto root = all_.empty() ? reader_.follow(*tree_, tree_roots_[which])
                                   : reader_.require(*tree_, tree_roots_[which]);
    for (const auto node : trees_.walk(root, "mod_tree", 16 * kModuleLimit)) {
      const auto module = owner_of_node(node, *tree_nodes_[which]);
      if (module && seen.insert(module->value).second) now.found.push_back(*module);
    }
    now.is_whole = reader_.get(*tree_, tree_sequence_).value_or(0) == before;
    return now;
  };
  return reader_.is_live() ? until_whole<VirtAddr>(attempt).found : attempt().found;
}

// Any address may be asked about, so what is no module is no damage either: nothing is reported.
bool Modules::proves_itself(VirtAddr module) const {
  return kobject_ && quiet_.get(module + *kobject_, kobject_module_) == module;
}

std::optional<Module> Modules::at(VirtAddr address) const {
  if (const auto known = all()) {
    for (const auto& module : **known) {
      if (module.address == address) return module;
    }
  }
  return proves_itself(address) ? std::optional(Module{address, std::nullopt}) : std::nullopt;
}

std::optional<VirtAddr> Modules::containing(VirtAddr address) const {
  areas_once_.call([this] {
    const auto known = all();
    if (!known) return;
    std::vector<Area> areas;
    for (const auto& module : **known) {
      for (const auto& area : memory_.allocations(module.address)) {
        areas.push_back({area.start, area.end(), module.address});
      }
    }
    std::sort(areas.begin(), areas.end(),
              [](const Area& a, const Area& b) { return a.start < b.start; });
    areas_ = std::move(areas);
  });
  auto area = std::upper_bound(areas_.begin(), areas_.end(), address,
                               [](VirtAddr at, const Area& one) { return at < one.start; });
  if (area == areas_.begin() || address >= (--area)->end) return std::nullopt;
  return area->module;
}

std::optional<std::string> Modules::text_behind(VirtAddr object,
                                                const Field<VirtAddr>& field) const {
  const auto text = reader_.follow(object, field);
  return text ? reader_.text_at(*text, kTextLimit, field.name) : std::nullopt;
}

std::optional<std::string> Modules::name(VirtAddr module) const {
  return reader_.text(module, name_);
}

std::optional<std::string> Modules::state(VirtAddr module) const {
  constexpr std::array kNames{"live", "coming", "going", "unformed"};  // enum module_state
  const auto state = reader_.get(module, state_);
  if (!state) return std::nullopt;
  if (*state < kNames.size()) return kNames[*state];
  reader_.report(state_.name, module, fmt::format("{} is no state of a module", *state));
  return std::nullopt;
}

std::optional<std::string> Modules::version(VirtAddr module) const {
  return text_behind(module, version_);
}
std::optional<std::string> Modules::source_version(VirtAddr module) const {
  return text_behind(module, source_version_);
}
std::optional<std::uint64_t> Modules::taints(VirtAddr module) const {
  return reader_.get(module, taints_);
}

// module_flags_taint() in kernel/module/main.c. The letters are those of the kernel's own table,
// which said in older kernels which of them are for modules.
std::optional<std::string> Modules::taint_letters(VirtAddr module) const {
  const auto bits = taints(module);
  if (!bits) return std::nullopt;
  std::string letters;
  for (std::uint64_t i = 0; i < kTaintBits; ++i) {
    if ((*bits >> i & 1U) == 0) continue;
    if (!taint_table_ || !taint_size_) return std::nullopt;
    const auto entry = *taint_table_ + i * *taint_size_;
    const auto letter = reader_.get(entry, taint_letter_);
    if (!letter || *letter < 'A' || *letter > 'Z') return std::nullopt;
    if (!taint_of_module_ || reader_.get(entry, taint_of_module_).value_or(1) != 0) {
      letters += static_cast<char>(*letter);
    }
  }
  return letters;
}

std::optional<bool> Modules::uses_gpl_only_symbols(VirtAddr module) const {
  const auto value = reader_.get(module, gpl_only_);
  return value ? std::optional(*value != 0) : std::nullopt;
}

std::optional<std::int32_t> Modules::reference_count(VirtAddr module) const {
  const auto count = reader_.get(module, references_);
  if (!count) return std::nullopt;
  return static_cast<std::int32_t>(std::int64_t{*count} - kOwnReference);
}

std::optional<std::string> Modules::used_by(VirtAddr module) const {
  if (!source_list_ || !use_node_) return std::nullopt;
  std::string names;
  for (const auto use : walk_list(reader_, module + *source_list_, *use_node_,
                                  "module_use.source_list", kUserLimit)) {
    const auto user = reader_.follow(use, use_source_);
    const auto text = user ? name(*user) : std::nullopt;
    if (!text) return std::nullopt;
    names += (names.empty() ? "" : ",") + *text;
  }
  return names;
}

std::optional<std::string> Modules::build_id(VirtAddr module) const {
  constexpr std::string_view kSection = ".note.gnu.build-id";
  for (const auto& section : sections(module)) {
    if (section.name != kSection || !section.address) continue;
    std::array<std::uint8_t, kBuildIdLimit> digits;
    const auto& space = reader_.space();
    const auto note = space.load<GnuNote>(*section.address);
    if (!note) {
      reader_.report(kSection, module, paging::to_string(note.error()));
      return std::nullopt;
    }
    if (note->name_size != note->name.size() || note->type != kBuildIdType ||
        note->size > digits.size() ||
        std::string_view(note->name.data(), note->name.size()) != std::string_view("GNU\0", 4)) {
      reader_.report(kSection, module,
                     fmt::format("what lies at 0x{:x} is no build id", section.address->value));
      return std::nullopt;
    }
    const auto bytes = std::span(digits).first(note->size);
    const auto read =
        space.read_exact(*section.address + sizeof(GnuNote), std::as_writable_bytes(bytes));
    if (!read) {
      reader_.report(kSection, module, paging::to_string(read.error()));
      return std::nullopt;
    }
    std::string text;
    for (const auto digit : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", digit);
    return text;
  }
  return std::nullopt;
}

std::optional<VirtAddr> Modules::base(VirtAddr module) const {
  for (const auto& area : memory_.allocations(module)) {
    if (area.type == "text") return area.start;
  }
  return std::nullopt;
}

std::uint64_t Modules::size(VirtAddr module, bool of_init) const {
  std::uint64_t sum = 0;
  for (const auto& area : memory_.allocations(module)) {
    if (area.is_init() == of_init) sum += area.size;
  }
  return sum;
}

// add_sect_attrs() in kernel/module/sysfs.c. The addresses of sections that were freed after
// initialisation are still there.
std::vector<ModuleSection> Modules::sections(VirtAddr module) const {
  std::vector<ModuleSection> found;
  const auto attributes = reader_.follow(module, sections_);
  const auto list = attributes ? reader_.follow(*attributes, section_list_) : std::nullopt;
  if (!list) return found;
  for (std::size_t i = 0;; ++i) {
    const auto attribute =
        reader_.pointer_at(*list + i * sizeof(std::uint64_t), "module_sect_attrs.grp.bin_attrs");
    if (!attribute || !*attribute) return found;
    if (i == kSectionLimit) {
      reader_.report("module_sect_attrs.grp.bin_attrs", module,
                     fmt::format("no end after {} sections", i));
      return found;
    }
    const auto text = reader_.follow(*attribute, section_name_);
    found.push_back({text ? reader_.text_at(*text, kNameLimit, section_name_.name) : std::nullopt,
                     section_address_ ? reader_.get(*attribute, section_address_)
                                      : reader_.get(*attribute, section_private_)});
  }
}

}  // namespace engram::kernel
