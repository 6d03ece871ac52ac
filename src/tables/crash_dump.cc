// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <iterator>

#include "image/crash_header.h"
#include "kernel/windows/processes.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using image::CrashHeader;
using kernel::Session;
using Row = const CrashHeader*;

constexpr std::uint64_t kTicksPerSecond = 10'000'000;

// What the .def files are made of.
#define NAME(number, name) \
  case number:             \
    return #name;

std::string_view name_of_bugcheck(std::uint32_t code) {
  switch (code) {
#include "tables/windows/bugcheck_codes.def"
    default:
      return {};
  }
}

std::string_view name_of_exception(std::uint32_t code) {
  switch (code) {
#include "tables/windows/exception_codes.def"
    default:
      return {};
  }
}

#undef NAME

Value name_or_null(std::string_view name) {
  return name.empty() ? Value{Null{}} : cell(name);
}

/// The highest four bits are flags: 0x1000007E is 0x7E, found by an exception.
Value bugcheck_name(const Row& header, Session&) {
  constexpr std::uint32_t kFlags = 0xF000'0000;
  if (!header->bugcheck_code) return Null{};
  const auto name = name_of_bugcheck(*header->bugcheck_code);
  return name_or_null(name.empty() ? name_of_bugcheck(*header->bugcheck_code & ~kFlags) : name);
}

Value dump_type_name(const Row& header, Session&) {
  switch (header->dump_type) {
    case 1:
      return cell("full");
    case 2:
      return cell("summary");
    case 4:
      return cell("triage");
    case 5:
      return cell("bitmap_full");
    case 6:
      return cell("bitmap_kernel");
    case 8:
      return cell("kernel");
    case 9:
      return cell("kernel_and_user");
    case 10:
      return cell("complete");
    default:
      return Null{};
  }
}

Value machine(const Row& header, Session&) {
  switch (header->machine) {
    case image::kMachineI386:
      return cell("I386");
    case image::kMachineAmd64:
      return cell("AMD64");
    case image::kMachineArm64:
      return cell("ARM64");
    default:
      return cell(fmt::format("{:#x}", header->machine));
  }
}

template <auto member>
Value of(const Row& header, Session&) {
  return cell(header->*member);
}

template <std::size_t number>
Value parameter(const Row& header, Session&) {
  return cell(header->bugcheck_parameters[number]);
}

template <auto member>
Value of_exception(const Row& header, Session&) {
  return header->exception ? cell((*header->exception).*member) : Value{Null{}};
}

Value exception_name(const Row& header, Session&) {
  return header->exception ? name_or_null(name_of_exception(header->exception->code))
                           : Value{Null{}};
}

Value exception_parameters(const Row& header, Session&) {
  if (!header->exception) return Null{};
  std::string text;
  for (const std::uint64_t value : header->exception->parameters)
    fmt::format_to(std::back_inserter(text), "{}{:#x}", text.empty() ? "" : " ", value);
  return text;
}

Value system_time(const Row& header, Session&) {
  return header->system_time ? cell(kernel::windows::unix_seconds(*header->system_time))
                             : Value{Null{}};
}

Value up_time(const Row& header, Session&) {
  return header->up_time ? cell(*header->up_time / kTicksPerSecond) : Value{Null{}};
}

Value attribute_names(const Row& header, Session&) {
  static constexpr std::string_view kNames[] = {"hiber_crash",
                                                "dump_device_power_off",
                                                "insufficient_dumpfile_size",
                                                "kernel_generated_triage_dump",
                                                "live_dump_generated_dump",
                                                "dump_is_generated_offline",
                                                "filter_dump_file",
                                                "early_boot_crash",
                                                "encrypted_dump_data",
                                                "decrypted_dump"};
  if (!header->attributes) return Null{};
  std::string text;
  for (std::size_t bit = 0; bit < std::size(kNames); ++bit) {
    if ((*header->attributes >> bit & 1U) == 0) continue;
    if (!text.empty()) text += ' ';
    text += kNames[bit];
  }
  return text;
}

const std::vector<Column<Row>>& columns() {
  using H = CrashHeader;
  using E = image::CrashException;
  static const std::vector<Column<Row>> list{
      {{"dump_type", Type::integer, "DumpType."}, of<&H::dump_type>},
      {{"dump_type_name", Type::text,
        "`full`, `summary`, `triage`, `bitmap_full`, `bitmap_kernel`, `kernel`, `kernel_and_user` "
        "or `complete`; NULL for others."},
       dump_type_name},
      {{"bugcheck_code", Type::integer, "Why Windows stopped; flags in the highest bits."},
       of<&H::bugcheck_code>},
      {{"bugcheck_name", Type::text, "Its name; NULL for one that engram does not know."},
       bugcheck_name},
      {{"bugcheck_parameter1", Type::pointer, "What it means depends on the code."}, parameter<0>},
      {{"bugcheck_parameter2", Type::pointer, "As above."}, parameter<1>},
      {{"bugcheck_parameter3", Type::pointer, "As above."}, parameter<2>},
      {{"bugcheck_parameter4", Type::pointer, "As above."}, parameter<3>},
      {{"exception_code", Type::integer, "Code of the exception record; NULL if there is none."},
       of_exception<&E::code>},
      {{"exception_name", Type::text, "Its name; NULL for one that engram does not know."},
       exception_name},
      {{"exception_flags", Type::integer, "1: execution cannot go on."}, of_exception<&E::flags>},
      {{"exception_address", Type::pointer, "The instruction."}, of_exception<&E::address>},
      {{"exception_record", Type::pointer, "The exception that this one followed; 0 if none."},
       of_exception<&E::nested_record>},
      {{"exception_parameters", Type::text, "In hexadecimal, blank-separated."},
       exception_parameters},
      {{"system_time", Type::integer, "When the dump was made, Unix time in seconds."},
       system_time},
      {{"up_time", Type::integer, "Seconds since boot."}, up_time},
      {{"machine", Type::text, "`AMD64`, `ARM64`, `I386`, else its number."}, machine},
      {{"major_version", Type::integer, "15: a free build, 12: a checked one."},
       of<&H::major_version>},
      {{"build", Type::integer, "Number of the build (MinorVersion)."}, of<&H::build>},
      {{"processors", Type::integer, "Number of processors."}, of<&H::processors>},
      {{"page_table", Type::pointer, "DirectoryTableBase: CR3 of the context, PCID included."},
       of<&H::directory_table_base>},
      {{"pfn_database", Type::pointer, "The variable MmPfnDatabase."}, of<&H::pfn_database>},
      {{"loaded_module_list", Type::pointer, "PsLoadedModuleList."}, of<&H::loaded_modules>},
      {{"active_process_head", Type::pointer, "PsActiveProcessHead."}, of<&H::processes>},
      {{"debugger_data", Type::pointer, "KdDebuggerDataBlock."}, of<&H::debugger_data>},
      {{"comment", Type::text, "What the writer noted."}, of<&H::comment>},
      {{"version_user", Type::text, "VersionUser."}, of<&H::version_user>},
      {{"required_space", Type::integer, "Bytes that the whole dump needs."},
       of<&H::required_space>},
      {{"product_type", Type::integer, "1: workstation, 2: domain controller, 3: server."},
       of<&H::product_type>},
      {{"suite_mask", Type::integer, "VER_SUITE_* bits."}, of<&H::suite_mask>},
      {{"writer_status", Type::integer, "NTSTATUS of the writer; 0 is success."},
       of<&H::writer_status>},
      {{"attributes", Type::integer, "Attributes."}, of<&H::attributes>},
      {{"attribute_names", Type::text, "Names of the bits that are set, blank-separated."},
       attribute_names},
      {{"boot_id", Type::integer, "Which boot of this installation it was."}, of<&H::boot_id>},
      {{"mini_dump_fields", Type::integer, "What a small dump has."}, of<&H::mini_dump_fields>},
      {{"secondary_data_state", Type::integer, "SecondaryDataState."},
       of<&H::secondary_data_state>},
      {{"secondary_version", Type::integer,
        "KdSecondaryVersion; NULL in 32-bit dumps. The data itself is in secondary_data."},
       of<&H::secondary_version>},
      {{"pae", Type::integer, "1 if a 32-bit machine had PAE; NULL in 64-bit dumps."}, of<&H::pae>},
  };
  return list;
}

Result<Rows<Row>> open(Session& session, std::span<const KeyValue>) {
  const auto& crash = session.image().facts().crash;
  if (!crash) {
    return fail("crash_dump: the image (format {}) has no header of a Windows crash dump",
                session.image().format());
  }
  return rows_of(std::vector<Row>{&*crash});
}

}  // namespace

const Table& crash_dump_table() {
  static const DataTable<Row> table(
      "crash_dump",
      "Windows only: what the header of a crash dump says of the crash; one row. What its writer "
      "did not fill in is NULL.",
      1, columns(), open);
  return table;
}

}  // namespace engram::tables
