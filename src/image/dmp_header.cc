// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/dmp_header.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace engram::image::dmp {
namespace {

/// Nothing for the filler.
std::optional<std::uint32_t> set(std::uint32_t value) {
  return value == kSignature ? std::nullopt : std::optional(value);
}
std::optional<std::uint64_t> set(std::uint64_t value) {
  return value == kFiller64 ? std::nullopt : std::optional(value);
}

/// Nothing for NULL, too.
template <class T>
std::optional<VirtAddr> address(T value) {
  const auto number = set(value);
  return number && *number != 0 ? std::optional(VirtAddr(*number)) : std::nullopt;
}

/// Up to the first NUL or the filler; nothing if that is at the beginning.
template <std::size_t size>
std::optional<std::string> text(const std::array<char, size>& field) {
  std::string_view found = text_until_nul(std::as_bytes(std::span(field)));
  while (found.ends_with("PAGE")) found.remove_suffix(4);
  return found.empty() ? std::nullopt : std::optional<std::string>(found);
}

/// Parameters behind their number hold whatever was there before.
template <class Record>
std::optional<CrashException> read_exception(const Record& record) {
  const std::uint32_t code = record.code, count = record.parameter_count;
  if (!set(code) || (code == 0 && record.address == 0)) return std::nullopt;
  CrashException exception;
  exception.code = code;
  exception.flags = record.flags;
  exception.nested_record = record.nested_record;
  exception.address = record.address;
  const auto parameters = record.parameters;
  if (count <= parameters.size())
    exception.parameters.assign(parameters.begin(), parameters.begin() + count);
  return exception;
}

std::vector<std::byte> copy_of(const std::byte* from, std::size_t size) {
  return {from, from + size};
}

/// What both widths have, under one name.
template <class Header>
CrashHeader read_common(const Header& header) {
  CrashHeader crash;
  crash.dump_type = header.dump_type;
  crash.machine = header.machine;
  crash.major_version = set(std::uint32_t{header.major_version});
  crash.build = set(std::uint32_t{header.minor_version});
  // Copies: members of a packed structure have no alignment that a reference could rely on.
  const auto root = header.directory_table_base, pfn_database = header.pfn_database,
             modules = header.loaded_modules, processes = header.processes,
             debugger_data = header.debugger_data;
  if (const auto base = set(root); base && *base != 0) crash.directory_table_base = *base;
  crash.pfn_database = address(pfn_database);
  crash.loaded_modules = address(modules);
  crash.processes = address(processes);
  crash.debugger_data = address(debugger_data);
  crash.processors = set(std::uint32_t{header.processors});
  crash.bugcheck_code = set(std::uint32_t{header.bugcheck_code});
  const auto parameters = header.bugcheck_parameters;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    crash.bugcheck_parameters[i] = set(parameters[i]);
  crash.exception = read_exception(header.exception);
  crash.version_user = text(header.version_user);
  crash.comment = text(header.comment);
  crash.required_space = set(std::uint64_t{header.required_space});
  crash.system_time = set(std::uint64_t{header.system_time});
  crash.up_time = set(std::uint64_t{header.up_time});
  crash.mini_dump_fields = set(std::uint32_t{header.mini_dump_fields});
  crash.secondary_data_state = set(std::uint32_t{header.secondary_data_state});
  crash.product_type = set(std::uint32_t{header.product_type});
  crash.suite_mask = set(std::uint32_t{header.suite_mask});
  crash.writer_status = set(std::uint32_t{header.writer_status});
  return crash;
}

}  // namespace

CrashHeader read_crash_header(const Header64& header) {
  CrashHeader crash = read_common(header);
  crash.attributes = set(std::uint32_t{header.attributes});
  crash.boot_id = set(std::uint32_t{header.boot_id});
  constexpr std::uint8_t kFillerByte = 'A';  // of "PAGE", at this place
  if (header.secondary_version != kFillerByte) crash.secondary_version = header.secondary_version;
  const auto* context = reinterpret_cast<const std::byte*>(&header) + offsetof(Header64, context);
  if (load_unaligned<std::uint64_t>(context + offsetof(ContextAmd64, flags)) != kFiller64) {
    crash.context = copy_of(context, offsetof(Header64, exception) - offsetof(Header64, context));
  }
  return crash;
}

CrashHeader read_crash_header(const Header32& header) {
  CrashHeader crash = read_common(header);
  crash.is_64_bit = false;
  if (header.pae <= 1) crash.pae = header.pae == 1;
  if (load_unaligned<std::uint32_t>(header.context.data()) != kSignature)
    crash.context = copy_of(header.context.data(), header.context.size());
  return crash;
}

}  // namespace engram::image::dmp
