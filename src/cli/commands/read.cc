// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/read.h"

#include <fmt/core.h>

#include <array>
#include <limits>
#include <memory>
#include <optional>

#include "cli/address.h"
#include "cli/format_option.h"
#include "cli/hexdump.h"
#include "cli/memory_bytes.h"
#include "cli/open_image.h"
#include "cli/progress.h"
#include "cli/run_sql.h"
#include "kernel/foreign.h"
#include "kernel/kernel_space.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/windows/processes.h"
#include "kernel/windows/windows_kernel.h"

namespace engram::cli {
namespace {

/// Prints the reasons of gaps, up to a number that a person may want to read.
class GapReport {
 public:
  explicit GapReport(const Console& console) : console_(console) {}
  ~GapReport() {
    if (count_ > kMost) console_.warning(fmt::format("and {} more gaps", count_ - kMost));
  }
  GapReport(const GapReport&) = delete;
  GapReport& operator=(const GapReport&) = delete;

  void add(const Gap& gap) {
    if (++count_ > kMost) return;
    console_.warning(fmt::format("{:#x} up to {:#x} ({} bytes): {}", gap.address,
                                 gap.address + (gap.size - 1), gap.size, gap.reason));
  }

 private:
  static constexpr std::uint64_t kMost = 32;
  const Console& console_;
  std::uint64_t count_ = 0;
};

class ReadCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("read", "Print the bytes at an address");
    add_image_arguments(*command, image_);
    command
        ->add_option("ADDR", address_,
                     "Hexadecimal, with or without 0x and back-ticks; of virtual memory also a "
                     "kernel symbol: init_task, init_task+0x10")
        ->required();
    command->add_flag("--virt", virtual_,
                      "ADDR is virtual, in the kernel's address space unless said otherwise");
    auto* root = command->add_option("--dtb", root_,
                                     "Virtual, through the page tables at this physical address, "
                                     "or at this kernel symbol");
    auto* task = command->add_option("--task", task_,
                                     "Virtual, of the process whose task_struct, or "
                                     "EPROCESS, lies at this address");
    auto* pid = command->add_option("--pid", pid_, "Virtual, of the process with this number");
    root->type_name("ADDR")->excludes(task)->excludes(pid);
    task->type_name("ADDR")->excludes(pid);
    pid->type_name("N");
    command
        ->add_option("--len", length_, "Bytes: 128 unless said otherwise; 0x1000 and 4k are fine")
        ->type_name("N");
    auto* raw = command->add_flag("--raw", raw_,
                                  "The bytes as they are, up to the first that is not there");
    auto* hexdump = command->add_flag("--hexdump", hexdump_,
                                      "For people, with ?? for what is not there "
                                      "(what is done unless said otherwise)");
    add_format_option(*command, format_);
    command->get_option("--format")
        ->description("A row for each run of bytes, with its reason if it is not there")
        ->excludes(raw)
        ->excludes(hexdump);
    raw->excludes(hexdump);
    command->footer(
        "\nExamples:\n"
        "  engram read memory.lime 0x1000 --len 4k\n"
        "  engram read memory.lime init_task+0x10 --virt\n"
        "  engram read memory.lime 7ffd`12340000 --pid 1 --raw > stack");
    return command;
  }

  int run(const Console& console) override {
    const auto length = parse_length(length_);
    if (!length || *length == 0) {
      console.error("read: --len: " + (length ? "expected at least 1 byte" : length.error().text));
      return kUsage;
    }
    const auto session = open_session(image_, console);
    if (!session) return failed(console, session.error().text);
    const auto source = open_source(**session, console);
    if (!source) return failed(console, about(image_.path, source.error().text));
    const auto from = resolve(address_, **session);
    if (!from) return failed(console, about(image_.path, from.error().text));
    if (*length - 1 > std::numeric_limits<std::uint64_t>::max() - *from) {
      return failed(console, fmt::format("read: {:#x} bytes at {:#x} end behind the last address",
                                         *length, *from));
    }
    output::FileSink sink(console.out, "standard output");
    GapReport gaps(console);
    const auto there = write(**source, *from, *length, sink, gaps);
    if (!there) return output_failed(sink, there.error(), console);
    if (*there == *length) return kAnswered;
    if (raw_) {
      return failed(console, fmt::format("read: {} of {} bytes written: the next is not there",
                                         *there, *length));
    }
    if (*there > 0) return kAnswered;
    return failed(console, fmt::format("{}: none of the {} bytes at {:#x} is there", image_.path,
                                       *length, *from));
  }

 private:
  static int failed(const Console& console, const std::string& text) {
    console.error(text);
    return kNotAnswered;
  }
  static int output_failed(const output::FileSink& sink, const Error& error,
                           const Console& console) {
    const RunFailure failure = output_failure(sink, error);
    if (!failure.text.empty()) console.error(failure.text);
    return failure.exit_code;
  }

  [[nodiscard]] bool is_virtual() const {
    return virtual_ || !root_.empty() || !task_.empty() || pid_;
  }

  Result<std::unique_ptr<ByteSource>> open_source(kernel::Session& session,
                                                  const Console& console) const {
    if (!is_virtual()) return std::make_unique<PhysicalBytes>(session.image().memory());
    ENGRAM_TRY(auto space, open_space(session, console));
    return std::make_unique<VirtualBytes>(std::move(space));
  }

  Result<paging::AddressSpace> open_space(kernel::Session& session, const Console& console) const {
    std::optional<Progress> progress(std::in_place, console, "looking for the kernel");
    const bool is_known = session.linux_kernel() || session.windows_kernel();
    progress.reset();
    std::optional<PhysAddr> given;
    if (!root_.empty()) {
      ENGRAM_TRY(given, resolve_root(session));
    }
    if (task_.empty() && !pid_) {
      return is_known ? kernel::space_of(session, given) : stated_space(session, given, console);
    }
    if (const auto windows = session.windows_kernel()) return space_of_process(**windows, session);
    ENGRAM_TRY(auto* const linux_kernel, session.linux_kernel());
    if (!task_.empty()) {
      ENGRAM_TRY(const std::uint64_t address, resolve(task_, session));
      const auto task = linux_kernel->tasks().at(VirtAddr(address));
      if (!task) return fail("read: --task {}: there is no task at {:#x}", task_, address);
      return space_of(*linux_kernel, task->address);
    }
    const kernel::Tasks& tasks = linux_kernel->tasks();
    for (const kernel::Task& task : tasks.of_both_sources()) {
      if (tasks.pid(task.address) == *pid_) return space_of(*linux_kernel, task.address);
    }
    return fail("read: --pid {}: there is no such task", *pid_);
  }

  /// The physical address of --dtb; a symbol's is where the kernel has it.
  Result<PhysAddr> resolve_root(kernel::Session& session) const {
    ENGRAM_TRY(const AddressText text, parse_address(root_));
    ENGRAM_TRY(const std::uint64_t address, resolve(root_, session));
    if (text.symbol.empty()) return PhysAddr(address);
    ENGRAM_TRY(const auto space, kernel::space_of(session, std::nullopt));
    const auto place = space.translate(VirtAddr(address));
    if (!place) return fail("read: --dtb {}: {}", root_, paging::to_string(place.error()));
    return place->physical;
  }

  /// Of a machine whose kernel is not found or not read, as its headers say.
  Result<paging::AddressSpace> stated_space(kernel::Session& session, std::optional<PhysAddr> root,
                                            const Console& console) const {
    const image::Facts& facts = session.image().facts();
    const bool is_foreign = kernel::foreign_kernel(facts).has_value();
    if (!root && !is_foreign) return tl::unexpected(session.linux_kernel().error());
    const auto stated = kernel::stated_paging(facts);
    console.warning(
        about(image_.path,
              fmt::format("no kernel says how it is paged: {} with {} levels ({})",
                          to_string(stated.mode.architecture), stated.mode.levels, stated.source)));
    return kernel::stated_space(session.image(), root);
  }

  /// The process of Windows that is wanted. Errors: there is none; it has no page tables.
  Result<paging::AddressSpace> space_of_process(kernel::WindowsKernel& kernel,
                                                kernel::Session& session) const {
    const auto& processes = kernel.processes();
    ENGRAM_TRY(const auto* list, processes.list());
    std::optional<VirtAddr> wanted;
    if (!task_.empty()) {
      ENGRAM_TRY(const std::uint64_t address, resolve(task_, session));
      wanted = VirtAddr(address);
    }
    for (const VirtAddr process : *list) {
      const bool is_it =
          wanted ? process == *wanted : processes.id(process) == static_cast<std::uint64_t>(*pid_);
      if (!is_it) continue;
      const auto root = processes.root(process);
      if (root) return kernel::space_of(session, *root);
      return fail("read: the process at {:#x} has no page tables", process.value);
    }
    return wanted ? fail("read: --task {}: there is no process at {:#x}", task_, wanted->value)
                  : fail("read: --pid {}: there is no such process", *pid_);
  }

  static Result<paging::AddressSpace> space_of(kernel::LinuxKernel& kernel, VirtAddr task) {
    const kernel::Tasks& tasks = kernel.tasks();
    const auto mm = tasks.mm(task);
    const auto root = mm ? tasks.page_table(*mm) : std::nullopt;
    if (root) return kernel.space_at(*root);
    return fail("read: task {:#x} ({}) has no memory of its own: a kernel thread or a zombie",
                task.value, tasks.comm(task).value_or("its name cannot be read"));
  }

  /// The address that a text names. Errors: it names none; no kernel, or no such symbol in it.
  Result<std::uint64_t> resolve(const std::string& text, kernel::Session& session) const {
    ENGRAM_TRY(const AddressText address, parse_address(text));
    std::uint64_t base = address.number;
    if (!address.symbol.empty()) {
      if (!is_virtual()) {
        return fail("read: {}: a symbol is a virtual address: --virt is expected with it", text);
      }
      ENGRAM_TRY(auto* const kernel, session.linux_kernel());
      const auto found = kernel->address_of(address.symbol);
      if (!found) return fail("read: {}: the kernel has no symbol of this name", address.symbol);
      base = found->value;
    }
    const auto sum = checked_add(base, address.offset);
    if (!sum) return fail("read: {}: behind the last address", text);
    return *sum;
  }

  /// How many bytes were there (in the raw form: up to the first gap).
  Result<std::uint64_t> write(const ByteSource& source, std::uint64_t from, std::uint64_t length,
                              output::FileSink& sink, GapReport& gaps) const {
    if (raw_) return write_raw(source, from, length, sink, gaps);
    if (!format_.empty()) return write_rows(source, from, length, sink);
    Hexdump dump(sink, from);
    const ByteVisitor visitor{[&dump](std::uint64_t, Bytes bytes) { return dump.add(bytes); },
                              [&](const Gap& gap) {
                                gaps.add(gap);
                                return dump.add_gap(gap.size);
                              }};
    ENGRAM_TRY(const std::uint64_t there, visit_bytes(source, from, length, visitor));
    ENGRAM_CHECK(dump.finish());
    ENGRAM_CHECK(sink.flush());
    return there;
  }

  static Result<std::uint64_t> write_raw(const ByteSource& source, std::uint64_t from,
                                         std::uint64_t length, output::FileSink& sink,
                                         GapReport& gaps) {
    std::uint64_t written = 0;
    bool at_gap = false;
    const ByteVisitor visitor{
        [&](std::uint64_t, Bytes bytes) -> Result<void> {
          if (at_gap) return fail("a gap");
          written += bytes.size();
          return sink.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        },
        [&](const Gap& gap) -> Result<void> {
          at_gap = true;
          gaps.add(gap);
          return fail("a gap");
        }};
    const auto visited = visit_bytes(source, from, length, visitor);
    if (!visited && !at_gap) return visited;
    ENGRAM_CHECK(sink.flush());
    return written;
  }

  Result<std::uint64_t> write_rows(const ByteSource& source, std::uint64_t from,
                                   std::uint64_t length, output::FileSink& sink) const {
    ENGRAM_TRY(const auto writer, output::make_writer(format_, sink));
    const std::array<sql::ResultColumn, 4> columns{{{"address", tables::Type::pointer},
                                                    {"size", tables::Type::integer},
                                                    {"bytes", tables::Type::blob},
                                                    {"problem", tables::Type::text}}};
    ENGRAM_CHECK(writer->begin(columns));
    const auto row = [&](std::uint64_t address, std::uint64_t size, tables::Value bytes,
                         tables::Value problem) {
      const std::array<tables::Value, 4> values{tables::cell(address), tables::cell(size),
                                                std::move(bytes), std::move(problem)};
      return writer->row(values);
    };
    const ByteVisitor visitor{
        [&](std::uint64_t address, Bytes bytes) {
          return row(address, bytes.size(), tables::Blob(bytes.begin(), bytes.end()),
                     tables::Null{});
        },
        [&](const Gap& gap) { return row(gap.address, gap.size, tables::Null{}, gap.reason); }};
    ENGRAM_TRY(const std::uint64_t there, visit_bytes(source, from, length, visitor));
    ENGRAM_CHECK(writer->end());
    return there;
  }

  ImageSource image_;
  std::string address_;
  bool virtual_ = false, raw_ = false;
  bool hexdump_ = false;  // what is done anyway
  std::string root_, task_;
  std::optional<std::int32_t> pid_;
  std::string length_ = "128";
  std::string format_;
};

}  // namespace

std::unique_ptr<Command> make_read_command() {
  return std::make_unique<ReadCommand>();
}

}  // namespace engram::cli
