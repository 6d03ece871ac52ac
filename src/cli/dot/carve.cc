// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/carve.h"

#include <charconv>

#include "cli/command.h"
#include "cli/dot_command.h"
#include "cli/progress.h"
#include "kernel/linux/linux_kernel.h"
#include "output/text.h"

namespace engram::cli {

const DotCommand& carve_command();

namespace {

template <class T>
using Outcome = Result<T, RunFailure>;

/// `base` 16 takes digits with and without 0x; 10 takes hexadecimal ones with it.
Outcome<std::uint64_t> number(const std::string& text, std::string_view what, int base) {
  std::string_view digits = text;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    digits.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc() || rest != end || digits.empty()) {
    return failed_with(kUsage, ".carve: {} {}: expected a {} number below 2^64", what, text,
                       base == 16 ? "hexadecimal" : "decimal or 0x...");
  }
  return value;
}

/// Whose memory is carved.
struct Source {
  PhysAddr root;
  std::string description;
};

Outcome<Source> memory_of(kernel::LinuxKernel& kernel, VirtAddr task) {
  const auto& tasks = kernel.tasks();
  const std::string name = fmt::format("task 0x{:x} ({}, pid {})", task.value,
                                       output::terminal_text(tasks.comm(task).value_or("?")),
                                       tasks.pid(task).value_or(0));
  const auto mm = tasks.mm(task);
  if (!mm && tasks.is_kernel_thread(task).value_or(false)) {
    return Source{kernel.space().root(), name + ", a kernel thread"};
  }
  const auto root = mm ? tasks.page_table(*mm) : std::nullopt;
  if (!root) return failed_with(kNotAnswered, ".carve: {} has no memory of its own", name);
  return Source{*root, name};
}

Outcome<VirtAddr> task_with_pid(kernel::LinuxKernel& kernel, std::int32_t pid) {
  const auto& tasks = kernel.tasks();
  std::vector<VirtAddr> found;
  for (const auto& task : tasks.of_both_sources()) {
    if (tasks.pid(task.address) == pid) found.push_back(task.address);
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) return failed_with(kNotAnswered, ".carve: no task has pid {}", pid);
  return failed_with(kNotAnswered,
                     ".carve: {} tasks have pid {}, 0x{:x} and 0x{:x} among them: "
                     "use --task",
                     found.size(), pid, found[0].value, found[1].value);
}

struct Request {
  std::string task;
  std::optional<std::int32_t> pid;
  std::vector<std::string> words;  ///< [ROOT_PAGE_TABLE] VIRTUAL_ADDRESS SIZE FILE

  [[nodiscard]] bool names_task() const { return pid.has_value() || !task.empty(); }
};

Outcome<Source> source_of(kernel::LinuxKernel& kernel, const Request& request) {
  if (request.pid) {
    ENGRAM_TRY(const VirtAddr task, task_with_pid(kernel, *request.pid));
    return memory_of(kernel, task);
  }
  if (!request.task.empty()) {
    ENGRAM_TRY(const std::uint64_t address, number(request.task, "--task", 16));
    const auto task = kernel.tasks().at(VirtAddr(address));
    if (!task) return failed_with(kNotAnswered, ".carve: there is no task at 0x{:x}", address);
    return memory_of(kernel, task->address);
  }
  ENGRAM_TRY(const std::uint64_t root, number(request.words[0], "ROOT_PAGE_TABLE", 16));
  return Source{PhysAddr(root), fmt::format("page table 0x{:x}", root)};
}

std::string summary(const Carved& carved, const Source& source, VirtAddr start, std::uint64_t size,
                    const std::string& path) {
  std::string text = fmt::format(
      "memory of   {}\nrange       0x{:x} to 0x{:x}, {} bytes\nfile        {}\ncopied      {} "
      "bytes\n"
      "zeros for   {} bytes that are not there\n\n",
      source.description, start.value, (start + (size - 1)).value, size,
      output::terminal_text(path), carved.copied, size - carved.copied);
  text += fmt::format("{:<18}  {:<18}  {:>12}  what\n", "first", "last", "bytes");
  for (const auto& part : carved.parts) {
    text += fmt::format("0x{:016x}  0x{:016x}  {:>12}  {}\n", part.start.value,
                        (part.start + (part.size - 1)).value, part.size, to_string(part.kind));
  }
  if (carved.further_parts != 0) text += fmt::format("and {} more\n", carved.further_parts);
  return text;
}

DotOutcome carve_to(DotContext& context, const Request& request) {
  const std::size_t first = request.names_task() ? 0 : 1;
  ENGRAM_TRY(const std::uint64_t start, number(request.words[first], "VIRTUAL_ADDRESS", 16));
  ENGRAM_TRY(const std::uint64_t size, number(request.words[first + 1], "SIZE", 10));
  const std::string& path = request.words[first + 2];
  if (size == 0) return failed_with(kUsage, ".carve: SIZE 0: expected at least 1");
  if (size - 1 > ~start) {
    return failed_with(kUsage, ".carve: {} bytes at 0x{:x} end behind the last address", size,
                       start);
  }
  const auto kernel = context.image.session().linux_kernel();
  if (!kernel) return failed_with(kNotAnswered, "{}", kernel.error().text);
  ENGRAM_TRY(const Source source, source_of(**kernel, request));

  const auto not_written = [](const Error& error) {
    return tl::unexpected(RunFailure{kNotAnswered, ".carve: " + error.text, true});
  };
  auto file = image::FileSink::create(path);
  if (!file) return not_written(file.error());
  const auto space = (*kernel)->space_at(source.root);
  const auto is_interrupted = [&] { return context.interrupts.take(); };
  const auto carved = [&] {
    const Progress progress(context.console, "carving");
    return carve(space, VirtAddr(start), size, *file, is_interrupted);
  }();
  if (!carved) return not_written(carved.error());
  if (!*carved) return tl::unexpected(interrupted());
  if ((*carved)->copied == 0) {
    return failed_with(kNotAnswered, ".carve: {} has nothing from 0x{:x} on for {} bytes: {}",
                       source.description, start, size, to_string((*carved)->parts[0].kind));
  }
  if (const auto done = file->finish(); !done) return not_written(done.error());
  return print(context, summary(**carved, source, VirtAddr(start), size, path));
}

DotOutcome run(DotContext& context, const Words& words) {
  Request request;
  CLI::App arguments;
  auto* task = arguments.add_option("--task", request.task, "The memory of the task at ADDRESS")
                   ->type_name("ADDRESS");
  arguments.add_option("--pid", request.pid, "The memory of the task with this number")
      ->type_name("N")
      ->excludes(task);
  arguments
      .add_option("WHAT", request.words,
                  "ROOT_PAGE_TABLE, unless a task is named: physical address, hexadecimal; "
                  "VIRTUAL_ADDRESS: hexadecimal; SIZE: bytes, decimal or 0x...; FILE: a new one")
      ->required();
  ENGRAM_TRY(const bool parsed, parse_words(context, carve_command(), arguments, words));
  if (!parsed) return {};
  const std::size_t expected = request.names_task() ? 3 : 4;
  if (request.words.size() != expected) {
    return failed_with(kUsage, ".carve: {} words, expected {}: {}VIRTUAL_ADDRESS SIZE FILE",
                       request.words.size(), expected,
                       request.names_task() ? "" : "ROOT_PAGE_TABLE ");
  }
  return carve_to(context, request);
}

}  // namespace

const DotCommand& carve_command() {
  static constexpr DotCommand kCommand{
      ".carve", "ROOT_PAGE_TABLE|--task ADDRESS|--pid N VIRTUAL_ADDRESS SIZE FILE",
      "write a range of virtual memory into a new file", run};
  return kCommand;
}

}  // namespace engram::cli
