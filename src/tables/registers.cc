// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>
#include <string>
#include <utility>

#include "kernel/windows/processors.h"
#include "kernel/windows/windows_kernel.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using image::ContextAmd64;
using kernel::Session;
using kernel::windows::ProcessorState;
using kernel::windows::SpecialRegisters;

struct Row {
  ProcessorState state;                            ///< of Windows; else only cpu and source
  std::optional<image::CpuRegisters> from_format;  ///< what the file's format has
};

/// A member of a packed structure, which may lie at any address.
template <class Structure, class Number>
Number load(const Structure& from, Number Structure::*member) {
  alignas(std::max_align_t) const Structure aligned = from;
  return aligned.*member;
}

/// A member of CONTEXT; NULL if its group is not there.
template <std::uint32_t group, auto member>
Value of_context(const Row& row, Session&) {
  const auto& context = row.state.context;
  if (!context || (context->flags & group) != group) return Null{};
  return cell(load(*context, member));
}

/// R8 to R15.
template <auto member>
Value of_new(const Row& row, Session& session) {
  if (!row.state.has_r8_to_r15) return Null{};
  return of_context<image::kContextInteger, member>(row, session);
}

template <auto member>
Value of_special(const Row& row, Session&) {
  if (!row.state.special) return Null{};
  return cell((*row.state.special).*member);
}

/// A member of arm64's CONTEXT.
template <std::uint32_t group, auto member>
Value of_arm64(const Row& row, Session&) {
  const auto& context = row.state.arm64;
  if (!context || (context->flags & group) != group) return Null{};
  return cell(load(*context, member));
}

template <std::size_t number>
Value x_register(const Row& row, Session&) {
  const auto& context = row.state.arm64;
  constexpr auto kGroup = image::kContextArm64Integer;
  if (!context || (context->flags & kGroup) != kGroup) return Null{};
  const auto all = context->x;
  return cell(all[number]);
}

template <std::size_t... numbers>
void add_x_registers(std::vector<Column<Row>>& to, std::index_sequence<numbers...> /*unused*/) {
  static const auto kNames = std::array{fmt::format("x{}", numbers)...};
  static const auto kDocs = std::array{fmt::format("arm64: X{}.", numbers)...};
  (to.push_back(
       {{kNames[numbers].c_str(), Type::pointer, kDocs[numbers].c_str()}, x_register<numbers>}),
   ...);
}

/// As above, and from the format's own registers where there is no Windows.
template <auto member, auto arm64_member, auto otherwise>
Value basic(const Row& row, Session& session) {
  if (row.from_format) return cell((*row.from_format).*otherwise);
  if (row.state.arm64) return of_arm64<image::kContextArm64Control, arm64_member>(row, session);
  return of_context<image::kContextControl, member>(row, session);
}

template <auto member, auto otherwise>
Value control(const Row& row, Session& session) {
  if (!row.from_format) return of_special<member>(row, session);
  return row.from_format->control ? cell((*row.from_format->control).*otherwise) : Value{Null{}};
}

Value gs_base(const Row& row, Session& session) {
  if (row.from_format) return cell(row.from_format->gs_base);
  return of_special<&SpecialRegisters::gs_base>(row, session);
}

const std::vector<Column<Row>>& columns() {
  using C = ContextAmd64;
  using A = image::ContextArm64;
  using S = SpecialRegisters;
  using F = image::CpuRegisters;
  using K = image::CpuRegisters::Control;
  constexpr auto kControl = image::kContextControl;
  constexpr auto kInteger = image::kContextInteger;
  constexpr auto kSegments = image::kContextSegments;
  constexpr auto kDebug = image::kContextDebug;
  constexpr auto kArm64Control = image::kContextArm64Control;
  static const std::vector<Column<Row>> list = [] {
    std::vector<Column<Row>> all{
        {{"cpu", Type::integer, "Number of the CPU; NULL if it is not known whose they are."},
         [](const Row& row, Session&) { return cell(row.state.cpu); }},
        {{"source", Type::text,
          "Who saved them: `QEMU`, `VirtualBox`, `VMware`, a virtual machine's monitor; "
          "`PRSTATUS`, a note of the file; `header`, that of a crash dump; "
          "`context` (KPRCB.Context) or `processor_state` (KPRCB.ProcessorState), Windows."},
         [](const Row& row, Session&) { return cell(row.state.source); }},
        {{"rip", Type::pointer, "Instruction pointer; EIP; PC."}, basic<&C::rip, &A::pc, &F::rip>},
        {{"rsp", Type::pointer, "Stack pointer; ESP; SP."}, basic<&C::rsp, &A::sp, &F::rsp>},
        {{"rflags", Type::integer, "Flags; CPSR."}, basic<&C::eflags, &A::cpsr, &F::rflags>},
        {{"rax", Type::pointer,
          "EAX, and so on, of a 32-bit machine. NULL, as those below, if this source does not have "
          "it."},
         of_context<kInteger, &C::rax>},
        {{"rbx", Type::pointer, "RBX."}, of_context<kInteger, &C::rbx>},
        {{"rcx", Type::pointer, "RCX."}, of_context<kInteger, &C::rcx>},
        {{"rdx", Type::pointer, "RDX."}, of_context<kInteger, &C::rdx>},
        {{"rsi", Type::pointer, "RSI."}, of_context<kInteger, &C::rsi>},
        {{"rdi", Type::pointer, "RDI."}, of_context<kInteger, &C::rdi>},
        {{"rbp", Type::pointer, "RBP."}, of_context<kInteger, &C::rbp>},
        {{"r8", Type::pointer, "R8."}, of_new<&C::r8>},
        {{"r9", Type::pointer, "R9."}, of_new<&C::r9>},
        {{"r10", Type::pointer, "R10."}, of_new<&C::r10>},
        {{"r11", Type::pointer, "R11."}, of_new<&C::r11>},
        {{"r12", Type::pointer, "R12."}, of_new<&C::r12>},
        {{"r13", Type::pointer, "R13."}, of_new<&C::r13>},
        {{"r14", Type::pointer, "R14."}, of_new<&C::r14>},
        {{"r15", Type::pointer, "R15."}, of_new<&C::r15>},
        {{"cs", Type::integer, "CS."}, of_context<kControl, &C::cs>},
        {{"ss", Type::integer, "SS."}, of_context<kControl, &C::ss>},
        {{"ds", Type::integer, "DS."}, of_context<kSegments, &C::ds>},
        {{"es", Type::integer, "ES."}, of_context<kSegments, &C::es>},
        {{"fs", Type::integer, "FS."}, of_context<kSegments, &C::fs>},
        {{"gs", Type::integer, "GS."}, of_context<kSegments, &C::gs>},
        {{"dr0", Type::pointer, "DR0."}, of_context<kDebug, &C::dr0>},
        {{"dr1", Type::pointer, "DR1."}, of_context<kDebug, &C::dr1>},
        {{"dr2", Type::pointer, "DR2."}, of_context<kDebug, &C::dr2>},
        {{"dr3", Type::pointer, "DR3."}, of_context<kDebug, &C::dr3>},
        {{"dr6", Type::pointer, "DR6."}, of_context<kDebug, &C::dr6>},
        {{"dr7", Type::pointer, "DR7."}, of_context<kDebug, &C::dr7>},
        {{"cr0", Type::pointer, "CR0."}, control<&S::cr0, &K::cr0>},
        {{"cr2", Type::pointer, "CR2."}, control<&S::cr2, &K::cr2>},
        {{"cr3", Type::pointer, "CR3."}, control<&S::cr3, &K::cr3>},
        {{"cr4", Type::pointer, "CR4."}, control<&S::cr4, &K::cr4>},
        {{"cr8", Type::pointer, "CR8."}, of_special<&S::cr8>},
        {{"gs_base", Type::pointer, "Base of GS."}, gs_base},
        {{"kernel_gs_base", Type::pointer, "What SWAPGS would load."},
         control<&S::kernel_gs_base, &K::kernel_gs_base>},
        {{"gdt_base", Type::pointer, "Address of the GDT."}, of_special<&S::gdt_base>},
        {{"idt_base", Type::pointer, "Address of the IDT."}, of_special<&S::idt_base>},
        {{"prcb", Type::pointer, "Windows: the KPRCB of the CPU."},
         [](const Row& row, Session&) { return cell(row.state.prcb); }},
        {{"thread", Type::pointer,
          "Windows: the KTHREAD that ran on it: virtual_address in threads."},
         [](const Row& row, Session&) { return cell(row.state.thread); }},
        {{"fp", Type::pointer, "arm64: X29, the frame pointer."}, of_arm64<kArm64Control, &A::fp>},
        {{"lr", Type::pointer, "arm64: X30, the link register."}, of_arm64<kArm64Control, &A::lr>},
    };
    add_x_registers(all, std::make_index_sequence<29>());
    return all;
  }();
  return list;
}

Result<Rows<Row>> open(Session& session, std::span<const KeyValue>) {
  std::vector<Row> rows;
  if (const auto kernel = session.windows_kernel()) {
    ENGRAM_TRY(auto states, (*kernel)->processors().states());
    for (auto& state : states) rows.push_back({std::move(state), std::nullopt});
    return rows_of(std::move(rows));
  }
  // Of a crash dump whose kernel cannot be found, or that has no page tables.
  if (auto state = kernel::windows::header_state(session.image().facts())) {
    rows.push_back({std::move(*state), std::nullopt});
    return rows_of(std::move(rows));
  }
  for (const auto& cpu : session.image().facts().cpus) {
    ProcessorState state;
    state.cpu = cpu.cpu;
    state.source = cpu.source == "DMP" ? "header" : cpu.source;
    rows.push_back({std::move(state), cpu});
  }
  if (rows.empty()) {
    return fail("registers: the image (format {}) has none", session.image().format());
  }
  return rows_of(std::move(rows));
}

}  // namespace

const Table& registers_table() {
  static const DataTable<Row> table(
      "registers",
      "Registers of each CPU, once for each source that has them: notes and headers of the image, "
      "and what Windows saved in its own memory.",
      8, columns(), open);
  return table;
}

}  // namespace engram::tables
