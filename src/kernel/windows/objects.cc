// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/objects.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "kernel/linux/containers.h"
#include "kernel/windows/processes.h"
#include "kernel/windows/threads.h"
#include "kernel/windows/unicode.h"

namespace engram::kernel::windows {

// The same in all public symbols from build 7601 to 22000, and of 32-bit machines from 7600 to
// 19041. What may stand before an OBJECT_HEADER does so in the order of the bits of InfoMask, the
// lowest nearest to it.
struct ObjectOffsets {
  Field<std::uint8_t> type_index, info_mask;
  std::uint64_t creator_info_size, name_info_size, name_in_info;
  std::uint64_t type_name;
  Field<std::uint8_t> index;
  Field<VirtAddr> device;
  Field<VirtAddr> key_control_block;
  Field<std::uint16_t> key_name_length;
  std::uint64_t key_name;
};

namespace {

constexpr std::uint8_t kHasCreatorInfo = 1, kHasNameInfo = 2;
constexpr unsigned kFirstType = 2, kTypes = 256;  // ObTypeIndexTable
constexpr std::size_t kLongestTypeName = 64;
const Field<std::uint32_t> kKeyNameFlags{"CM_NAME_CONTROL_BLOCK.Compressed", 0};
constexpr std::size_t kLongestKeyName = 512;  // bytes: 256 characters

const ObjectOffsets& offsets_of(bool is_64_bit) {
  static const ObjectOffsets wide{{"OBJECT_HEADER.TypeIndex", 0x18},
                                  {"OBJECT_HEADER.InfoMask", 0x1A},
                                  0x20,
                                  0x20,
                                  8,
                                  0x10,
                                  {"OBJECT_TYPE.Index", 0x28},
                                  {"FILE_OBJECT.DeviceObject", 0x8},
                                  {"CM_KEY_BODY.KeyControlBlock", 0x8},
                                  {"CM_NAME_CONTROL_BLOCK.NameLength", 0x18},
                                  0x1A};
  static const ObjectOffsets narrow{{"OBJECT_HEADER.TypeIndex", 0xC},
                                    {"OBJECT_HEADER.InfoMask", 0xE},
                                    0x10,
                                    0x10,
                                    4,
                                    0x8,
                                    {"OBJECT_TYPE.Index", 0x14},
                                    {"FILE_OBJECT.DeviceObject", 0x4, 4},
                                    {"CM_KEY_BODY.KeyControlBlock", 0x4, 4},
                                    {"CM_NAME_CONTROL_BLOCK.NameLength", 0xC},
                                    0xE};
  return is_64_bit ? wide : narrow;
}

constexpr std::size_t kDeepest = 512;  // that is how deep registry keys may lie in each other
constexpr std::string_view kEndless = "it lies in itself, or too deep";

std::string joined(const std::vector<std::string>& from_the_last) {
  std::string path;
  for (auto part = from_the_last.rbegin(); part != from_the_last.rend(); ++part)
    path += '\\' + *part;
  return path;
}

}  // namespace

Objects::Objects(WindowsKernel& kernel)
    : kernel_(kernel), reader_(kernel.reader()), offsets_(offsets_of(kernel.is_64_bit())) {
  const auto structures = kernel.structures();
  if (!structures) return;
  at_ = (*structures)->object;
  find_types();
  find_cookie();
}

VirtAddr Objects::header_of(VirtAddr object) const {
  return object - object_header_size(pointer_size(kernel_.space().mode()));
}

void Objects::take_type(VirtAddr type) {
  const auto index = reader_.get(type, offsets_.index);
  auto name = unicode_string(reader_, type + offsets_.type_name, "OBJECT_TYPE.Name", is_64_bit());
  if (!index || !name) return;
  if (*index < kFirstType || name->empty() || name->size() > kLongestTypeName || types_[*index]) {
    reader_.report("OBJECT_TYPE", type,
                   fmt::format("type {} with a name of {} bytes, or a second one with this number",
                               *index, name->size()));
    return;
  }
  types_[*index] = ObjectType{type, std::move(*name)};
}

void Objects::find_types() {
  if (const auto table = kernel_.symbol("ObTypeIndexTable")) {
    for (unsigned index = kFirstType; index < kTypes; ++index) {
      const auto type = reader_.pointer_at(*table + index * pointer_size(kernel_.space().mode()),
                                           "ObTypeIndexTable");
      if (!type || !*type) break;
      take_type(*type);
    }
    if (process_type()) return;
    types_ = {};  // the page is not in the image, say
  }
  const auto& block = kernel_.debugger_data();
  const auto variable = block ? block->pointer(DebuggerData::kObpTypeObjectType) : std::nullopt;
  const auto type_of_types =
      variable ? reader_.pointer_at(*variable, "ObpTypeObjectType") : std::nullopt;
  if (!type_of_types || !*type_of_types) {
    reader_.diagnostics().add(Level::warning, "objects",
                              "types of objects are not known: neither symbols nor KDBG say where "
                              "they are");
    return;
  }
  // OBJECT_TYPE.TypeList leads through the OBJECT_HEADER_CREATOR_INFO of each object of the type.
  for (const VirtAddr info :
       walk_list(reader_, *type_of_types, 0, "OBJECT_TYPE.TypeList", kTypes)) {
    take_type(info + offsets_.creator_info_size +
              object_header_size(pointer_size(kernel_.space().mode())));
  }
}

std::optional<unsigned> Objects::process_type() const {
  for (unsigned index = 0; index < kTypes; ++index) {
    if (types_[index] && types_[index]->name == "Process") return index;
  }
  return std::nullopt;
}

/// What TypeIndex would be without the cookie.
std::optional<std::uint8_t> Objects::stored_type(VirtAddr object) const {
  const VirtAddr header = header_of(object);
  const auto stored = reader_.get(header, offsets_.type_index);
  if (!stored || !at_.has_cookie) return stored;
  return static_cast<std::uint8_t>(*stored ^ header.value >> 8U);
}

/// Every process is an object whose type is known: each says what the cookie is.
void Objects::find_cookie() {
  const auto wanted = process_type();
  const auto processes = kernel_.processes().list();
  if (!wanted || !processes) return;
  if (const auto variable = kernel_.symbol("ObHeaderCookie"); variable && at_.has_cookie) {
    cookie_ = reader_.get(*variable, Field<std::uint8_t>{"ObHeaderCookie", 0});
    if (cookie_) return;
  }
  std::array<std::size_t, 256> votes{};
  std::size_t count = 0;
  for (const VirtAddr process : **processes) {
    const auto stored = stored_type(process);
    if (!stored) continue;
    ++votes[*stored ^ *wanted];
    ++count;
  }
  const auto most = std::max_element(votes.begin(), votes.end());
  const auto found = static_cast<std::uint8_t>(most - votes.begin());
  // A process that was overwritten may say something else.
  if (*most * 2 > count && (at_.has_cookie || found == 0)) {
    cookie_ = found;
    return;
  }
  reader_.diagnostics().add(
      Level::warning, "objects",
      fmt::format("types of objects are not known: of {} processes at most {} have the type of "
                  "processes under one key",
                  count, *most));
}

const ObjectType* Objects::type_of(VirtAddr object) const {
  const auto stored = cookie_ ? stored_type(object) : std::nullopt;
  if (!stored) return nullptr;
  const auto index = static_cast<std::uint8_t>(*stored ^ *cookie_);
  if (types_[index]) return &*types_[index];
  reader_.report("OBJECT_HEADER.TypeIndex", object, fmt::format("no type has number {}", index));
  return nullptr;
}

std::optional<VirtAddr> Objects::name_info(VirtAddr object) const {
  const VirtAddr header = header_of(object);
  const auto mask = reader_.get(header, offsets_.info_mask);
  if (!mask || (*mask & kHasNameInfo) == 0) return std::nullopt;
  return header - offsets_.name_info_size -
         ((*mask & kHasCreatorInfo) != 0 ? offsets_.creator_info_size : 0);
}

std::optional<std::string> Objects::path_of(VirtAddr object) const {
  std::vector<std::string> parts;
  while (parts.size() < kDeepest) {
    const auto info = name_info(object);
    auto name = info ? unicode_string(reader_, *info + offsets_.name_in_info,
                                      "OBJECT_HEADER_NAME_INFO.Name", is_64_bit())
                     : std::nullopt;
    if (!name || name->empty()) return std::nullopt;  // of it, or of a directory above it
    if (*name == "\\") return parts.empty() ? "\\" : joined(parts);  // the root
    parts.push_back(std::move(*name));
    const auto directory = reader_.pointer_at(*info, "OBJECT_HEADER_NAME_INFO.Directory");
    if (!directory) return std::nullopt;
    if (!*directory) break;
    object = *directory;
  }
  if (parts.size() == kDeepest) {
    reader_.report("OBJECT_HEADER_NAME_INFO.Directory", object, kEndless);
    return std::nullopt;
  }
  return parts.size() == 1 ? parts[0] : joined(parts).substr(1);
}

std::optional<std::string> Objects::file_name(VirtAddr file) const {
  const auto device = reader_.get(file, offsets_.device);
  const auto name = unicode_string(reader_, file + file_name_offset(reader_.pointer_size()),
                                   "FILE_OBJECT.FileName", is_64_bit());
  if (!device || !name) return std::nullopt;
  if (!*device) return name->empty() ? std::nullopt : name;
  auto volume = path_of(*device);
  if (!volume || name->empty()) return volume;
  return *volume + (name->front() == '\\' ? "" : "\\") + *name;
}

std::optional<std::string> Objects::key_name(VirtAddr block) const {
  const auto flags = reader_.get(block, kKeyNameFlags);
  const auto length = reader_.get(block, offsets_.key_name_length);
  if (!flags || !length) return std::nullopt;
  if (*length > kLongestKeyName) {
    reader_.report("CM_NAME_CONTROL_BLOCK.NameLength", block,
                   fmt::format("{} bytes, at most {} expected", *length, kLongestKeyName));
    return std::nullopt;
  }
  std::vector<std::byte> bytes(*length);
  if (const auto read = reader_.space().read_exact(block + offsets_.key_name, bytes); !read) {
    reader_.report("CM_NAME_CONTROL_BLOCK.Name", block, paging::to_string(read.error()));
    return std::nullopt;
  }
  if ((*flags & 1U) == 0) return to_utf8(bytes);
  // Compressed: the lower halves of characters whose upper halves are all 0.
  std::vector<std::byte> wide;
  for (const std::byte one : bytes) wide.insert(wide.end(), {one, std::byte{0}});
  return to_utf8(wide);
}

std::optional<std::string> Objects::key_path(VirtAddr key) const {
  std::vector<std::string> parts;
  auto block = reader_.follow(key, offsets_.key_control_block);
  while (block && parts.size() < kDeepest) {
    const auto name_block = reader_.follow(*block, at_.key_name);
    auto name = name_block ? key_name(*name_block) : std::nullopt;
    if (!name) return std::nullopt;
    parts.push_back(std::move(*name));
    block = reader_.get(*block, at_.parent_key);
    if (!block) return std::nullopt;
    if (!*block) break;
  }
  if (block && *block) {
    reader_.report("CM_KEY_CONTROL_BLOCK.ParentKcb", *block, kEndless);
    return std::nullopt;
  }
  return parts.empty() ? std::nullopt : std::optional(joined(parts));
}

std::optional<std::string> Objects::name_of(VirtAddr object) const {
  const ObjectType* type = type_of(object);
  if (type == nullptr) return std::nullopt;
  if (type->name == "File") return file_name(object);
  if (type->name == "Key") return key_path(object);
  if (type->name == "Process") return kernel_.processes().name(object);
  return path_of(object);
}

}  // namespace engram::kernel::windows
