// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/file_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

// Of all tables together: no machine has so many open, and a walk of damage ends in short time.
constexpr std::uint64_t kSlotLimit = 1U << 24U;
constexpr std::size_t kOpenLimit = 1U << 23U;
constexpr std::size_t kBlock = 512;  // words read at once
constexpr std::uint32_t kWordBits = 64;

constexpr std::uint32_t kCloseOnExec = 02000000;       // O_CLOEXEC of most architectures
constexpr std::uint16_t kTypeMask = 0170000;           // S_IFMT
constexpr std::uint16_t kRegular = 0100000;            // S_IFREG
constexpr std::uint64_t kAnonymousFiles = 0x09041934;  // include/uapi/linux/magic.h
constexpr std::uint64_t kPidFiles = 0x50494446;
constexpr std::uint64_t kOverlay = 0x794c7630;
constexpr unsigned kStackDepth = 2;  // FILESYSTEM_MAX_STACK_DEPTH, include/linux/fs.h

}  // namespace

FileTables::FileTables(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  fdt_ = Layout(types, diagnostics, "files_struct").field<VirtAddr>("fdt");
  const Layout table(types, diagnostics, "fdtable");
  count_ = table.field<std::uint32_t>("max_fds");
  files_ = table.field<VirtAddr>("fd");
  close_on_exec_ = table.field<VirtAddr>("close_on_exec");
  const Layout file(types, diagnostics, "file");
  inode_ = file.field<VirtAddr>("f_inode");
  mapping_ = file.field<VirtAddr>("f_mapping");
  host_ = Layout(types, diagnostics, "address_space").field<VirtAddr>("host");
  private_data_ = file.field<VirtAddr>("private_data");
  mount_ = file.field<VirtAddr>("f_path.mnt");
  flags_ = file.field<std::uint32_t>("f_flags");
  position_ = file.field<std::int64_t>("f_pos");
  magic_ = Layout(types, diagnostics, "super_block").field<std::uint64_t>("s_magic");
  const Layout mount(types, diagnostics, "mount");
  mount_id_ = mount.field<std::int32_t>("mnt_id");
  vfsmount_in_mount_ = mount.offset_of("mnt");
}

const FileTables::Index& FileTables::index() const {
  index_once_.call([this] {
    index_ = {};
    find_tables(index_);
    for (const auto& table : index_.tables) {
      const auto first = index_.descriptors.size();
      read_table(index_, table.address);
      index_.ranges.emplace_back(first, index_.descriptors.size());
    }
  });
  return index_;
}

// A list of tasks has the first thread of a process before the others, so that it is the owner if
// it uses the table. One that has exited while others run on does not any more.
void FileTables::find_tables(Index& index) const {
  std::set<std::pair<VirtAddr, std::int32_t>> seen;  // tables and processes
  const auto& tasks = kernel_.tasks();
  for (const auto& task : tasks.of_both_sources()) {
    const auto address = tasks.file_table(task.address);
    const auto tgid = tasks.tgid(task.address);
    if (!address || !tgid || !seen.emplace(*address, *tgid).second) continue;
    const auto [found, is_new] = index.by_address.emplace(*address, index.tables.size());
    if (is_new) index.tables.push_back({*address, {}});
    index.tables[found->second].users.push_back({task.address, *tgid});
  }
}

void FileTables::read_table(Index& index, VirtAddr table) const {
  const auto fdt = reader_.follow(table, fdt_);
  const auto count = fdt ? reader_.get(*fdt, count_) : std::nullopt;
  const auto files = fdt ? reader_.follow(*fdt, files_) : std::nullopt;
  if (!count || !files) return;
  if (*count > kSlotLimit - index.slots) {
    reader_.report(count_.name, table,
                   fmt::format("a table of {} descriptors after {} in others, at most {} expected",
                               *count, index.slots, kSlotLimit));
    return;
  }
  index.slots += *count;
  const auto first_found = index.descriptors.size();
  std::uint64_t block[kBlock] = {};
  for (std::uint64_t first = 0; first < *count; first += kBlock) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, *count - first));
    const auto bytes = std::as_writable_bytes(std::span(block).first(size));
    const auto read = reader_.space().read_exact(*files + first * sizeof(std::uint64_t), bytes);
    if (!read) {
      reader_.report(files_.name, table, paging::to_string(read.error()));
      continue;
    }
    for (std::size_t i = 0; i < size; ++i) {
      if (block[i] == 0) continue;
      if (index.descriptors.size() == kOpenLimit) {
        reader_.report(files_.name, table, fmt::format("more than {} open files", kOpenLimit));
        return;
      }
      const auto number = static_cast<std::uint32_t>(first + i);
      index.descriptors.push_back({VirtAddr(block[i]), table, number, false});
    }
  }
  const auto found = std::span(index.descriptors).subspan(first_found);
  const auto bitmap = reader_.follow(*fdt, close_on_exec_);
  if (bitmap && !found.empty()) read_close_on_exec(found, table, *bitmap);
}

// One bit a descriptor, in words of 64.
void FileTables::read_close_on_exec(std::span<Descriptor> found, VirtAddr table,
                                    VirtAddr bitmap) const {
  std::uint32_t word = 0;
  std::uint64_t bits = 0;
  bool is_read = false;
  for (auto& descriptor : found) {
    if (const auto wanted = descriptor.number / kWordBits; !is_read || wanted != word) {
      word = wanted;
      is_read = true;
      const auto loaded =
          reader_.space().load<std::uint64_t>(bitmap + std::uint64_t{word} * sizeof(bits));
      if (!loaded) {
        reader_.report(close_on_exec_.name, table, paging::to_string(loaded.error()));
        return;
      }
      bits = *loaded;
    }
    descriptor.close_on_exec = (bits >> (descriptor.number % kWordBits) & 1U) != 0;
  }
}

const std::vector<FileTable>& FileTables::all() const {
  return index().tables;
}

const std::vector<Descriptor>& FileTables::descriptors() const {
  return index().descriptors;
}

const FileTable* FileTables::find(VirtAddr address) const {
  const auto found = index().by_address.find(address);
  return found == index().by_address.end() ? nullptr : &index().tables[found->second];
}

std::span<const Descriptor> FileTables::descriptors(const FileTable& table) const {
  const auto found = index().by_address.find(table.address);
  if (found == index().by_address.end()) return {};
  const auto [first, last] = index().ranges[found->second];
  return std::span(index().descriptors).subspan(first, last - first);
}

std::span<const Descriptor> FileTables::with_inode(VirtAddr inode) const {
  by_inode_once_.call([this] {
    by_inode_.clear();
    for (const auto& descriptor : index().descriptors) {
      if (const auto of = this->inode(descriptor.file)) by_inode_[*of].push_back(descriptor);
    }
  });
  const auto found = by_inode_.find(inode);
  if (found == by_inode_.end()) return {};
  return found->second;
}

// seq_show() in fs/proc/fd.c.
std::optional<std::uint32_t> FileTables::flags(const Descriptor& descriptor) const {
  const auto flags = reader_.get(descriptor.file, flags_);
  if (!flags) return std::nullopt;
  return (*flags & ~kCloseOnExec) | (descriptor.close_on_exec ? kCloseOnExec : 0U);
}

std::optional<std::int32_t> FileTables::mount_id(VirtAddr file) const {
  const auto mount = reader_.follow(file, mount_);
  if (!mount || !vfsmount_in_mount_) return std::nullopt;
  return reader_.get(*mount - *vfsmount_in_mount_, mount_id_);
}

std::optional<VirtAddr> FileTables::cached_inode(VirtAddr file) const {
  std::optional<VirtAddr> holder = file;
  for (unsigned depth = 0; holder && depth <= kStackDepth; ++depth) {
    const auto mapping = reader_.follow(*holder, mapping_);
    const auto inode = mapping ? reader_.follow(*mapping, host_) : std::nullopt;
    const auto super = inode ? kernel_.inodes().super_block(*inode) : std::nullopt;
    if (!super || reader_.get(*super, magic_) != kOverlay) return inode;
    const auto mode = kernel_.inodes().mode(*inode);
    if (!mode || (*mode & kTypeMask) != kRegular) return inode;
    holder = below_overlay(*holder, *super);
  }
  return std::nullopt;
}

// ovl_open() in fs/overlayfs/file.c. private_data is the struct file below until 6.12; since
// 87a8a76c34a2, 6.13, it leads to a struct ovl_file: that file, and one of the upper layer that was
// opened later, if any. overlay may be a module, so that the kernel's types lack it: what is a file
// below is known by its inode, which is one of those of all file systems.
std::optional<VirtAddr> FileTables::below_overlay(VirtAddr file, VirtAddr super) const {
  const auto own = reader_.follow(file, private_data_);
  if (!own) return std::nullopt;
  const Reader quiet = reader_.quiet();  // other tries may be no files
  const auto& inodes = kernel_.inodes();
  const auto is_below = [&](VirtAddr other) {
    const auto inode = quiet.follow(other, inode_);
    return inode && inodes.has(*inode) && inodes.super_block(*inode) != super;
  };
  const Field<VirtAddr> lower{"ovl_file.realfile", 0}, upper{"ovl_file.upperfile", 8};
  for (const auto below : {own, quiet.follow(*own, upper), quiet.follow(*own, lower)}) {
    if (below && is_below(*below)) return below;
  }
  reader_.report(private_data_.name, file,
                 "leads to no file of the file systems below the overlay");
  return std::nullopt;
}

// stat(2), for file systems that do as generic_fillattr().
FileFacts FileTables::facts(VirtAddr file) const {
  const auto inode = this->inode(file);
  if (!inode) return {};
  const auto& inodes = kernel_.inodes();
  FileFacts facts{inodes.number(*inode), inodes.mode(*inode),   inodes.size(*inode),
                  inodes.uid(*inode),    inodes.device(*inode), inodes.special_device(*inode)};
  // Inodes of these have a type since 6.16 that user space does not see: anon_inode_getattr() in
  // fs/anon_inodes.c (cfd86ef7e8e7).
  const auto super = inodes.super_block(*inode);
  const auto magic = super ? reader_.get(*super, magic_) : std::nullopt;
  if (facts.mode && (magic == kAnonymousFiles || magic == kPidFiles)) {
    facts.mode = static_cast<std::uint16_t>(*facts.mode & ~kTypeMask);
  }
  return facts;
}

}  // namespace engram::kernel
