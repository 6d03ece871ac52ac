// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/convert.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "cli/damage.h"
#include "cli/interrupts.h"
#include "cli/open_image.h"
#include "cli/progress.h"
#include "cli/run_sql.h"
#include "image/write.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/windows/crash_facts.h"

namespace engram::cli {
namespace {

/// Shows how far a writer is, and ends it with Ctrl-C.
class Watcher {
 public:
  explicit Watcher(const Console& console) : console_(console) {}

  [[nodiscard]] image::WriteOptions options() {
    return {[this](const image::WriteState& state) { return go_on(state); }};
  }
  [[nodiscard]] bool interrupted() {
    interrupted_ = interrupted_ || interrupts_.take();
    return interrupted_;
  }

 private:
  bool go_on(const image::WriteState& state) {
    if (step_ != state.step) {
      bar_.emplace(console_,
                   state.step == image::WriteState::Step::checking ? "unpacking" : "writing");
      step_ = state.step;
    }
    bar_->update(state.done, state.all);
    return !interrupted();
  }

  const Console& console_;
  Interrupts interrupts_{Interrupts::Mode::all};
  bool interrupted_ = false;
  std::optional<image::WriteState::Step> step_;
  std::optional<ProgressBar> bar_;
};

std::string in_units(std::uint64_t bytes) {
  if (bytes < kMiB) return fmt::format("{} bytes", bytes);
  const double mebibytes = static_cast<double>(bytes) / static_cast<double>(kMiB);
  return mebibytes < 1024 ? fmt::format("{:.1f} MiB", mebibytes)
                          : fmt::format("{:.1f} GiB", mebibytes / 1024);
}

class ConvertCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command =
        program.add_subcommand("convert", "Write the memory of an image to a file of any format");
    add_image_arguments(*command, image_);
    command->add_option("OUT", out_, "The file to be made; one that exists is never replaced")
        ->required();
    const auto names = image::target_names();
    command->add_option("--to", target_, "The format of OUT")
        ->required()
        ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())))
        ->type_name("FORMAT");
    command->add_flag("--decode-kdbg", decode_,
                      "In a crash dump of Windows: write the debugger's block (KDBG) decoded, as "
                      "WinDbg expects it; everything else is as it is in the image");
    command->footer(
        "\nExamples:\n"
        "  engram convert memory.raw memory.kdump --to kdump-zlib\n"
        "  engram convert windows.raw memory.dmp --to dmp --decode-kdbg");
    return command;
  }

  int run(const Console& console) override {
    if (decode_ && !image::is_crash_dump(target_)) {
      console.error("convert: --decode-kdbg is for crash dumps of Windows: --to dmp is expected");
      return kUsage;
    }
    // Creating it refuses again; but the image may take long to open.
    if (std::error_code error; std::filesystem::exists(out_, error)) {
      return failed(console,
                    fmt::format("{}: there is a file of this name: it is not replaced", out_));
    }
    auto session = open_session(image_, console);
    if (!session) return failed(console, session.error().text);
    const image::Image& image = (*session)->image();
    if (image.facts().triage) {
      return failed(console, about(image_.path,
                                   "a small (triage) dump of Windows has no physical "
                                   "memory that could be converted"));
    }
    const auto facts = complete_facts(**session, console);
    if (!facts) return failed(console, about(image_.path, facts.error().text));
    const auto memory = memory_of(**session);
    if (!memory) return failed(console, about(image_.path, memory.error().text));

    Watcher watcher(console);
    const auto written = write(*memory, *facts, watcher.options());
    if (!written && watcher.interrupted()) {
      console.error(fmt::format("{}: interrupted; the file is removed", out_));
      return kInterrupted;
    }
    if (!written) return failed(console, about(image_.path, written.error().text));
    warn_of_losses(image, *written, console);
    report_page_problems(image, image_.path, console);
    return report(*written, console);
  }

 private:
  static int failed(const Console& console, const std::string& text) {
    console.error(text);
    return kNotAnswered;
  }

  /// What the target should have and this image lacks is asked of the kernel in it. Errors: the
  /// target is a crash dump, and the image holds no Windows.
  Result<image::Facts> complete_facts(kernel::Session& session, const Console& console) const {
    image::Facts facts = session.image().facts();
    if (image::is_crash_dump(target_)) return crash_facts(session, console);
    if (!image::keeps_notes(target_) || facts.vmcoreinfo) return facts;
    const Progress progress(console, "looking for the kernel");
    const auto kernel = session.linux_kernel();
    if (!kernel) return facts;
    facts.vmcoreinfo = (*kernel)->vmcoreinfo();
    facts.architecture = (*kernel)->map().mode.architecture;
    return facts;
  }

  Result<image::Facts> crash_facts(kernel::Session& session, const Console& console) const {
    image::Facts facts = session.image().facts();
    const Progress progress(console, "looking for the kernel");
    if (const auto windows = session.windows_kernel()) {
      facts.crash = kernel::windows::complete_crash_header(**windows);
    } else if (session.linux_kernel()) {
      return fail(
          "{}: a crash dump is of Windows, and the image holds Linux: elf and the kdumps are for "
          "that",
          target_);
    } else if (!facts.crash) {
      return fail("{}: a crash dump is of Windows, which was not found in the image: {}", target_,
                  windows.error().text);
    }
    return facts;
  }

  Result<guest::Memory> memory_of(kernel::Session& session) const {
    if (!decode_) return session.image().memory();
    ENGRAM_TRY(const auto* kernel, session.windows_kernel());
    return kernel::windows::with_decoded_debugger_data(*kernel);
  }

  Result<image::Written> write(const guest::Memory& memory, const image::Facts& facts,
                               const image::WriteOptions& options) const {
    ENGRAM_TRY(auto sink, image::FileSink::create(out_));
    ENGRAM_TRY(const auto written, image::write_image(target_, memory, facts, sink, options));
    ENGRAM_CHECK(sink.finish());
    return written;
  }

  void warn_of_losses(const image::Image& image, const image::Written& written,
                      const Console& console) const {
    if (image.is_live()) {
      console.warning(
          about(image_.path, "if the guest was running, its pages are of different moments"));
    }
    if (written.unreadable > 0) {
      console.warning(about(image_.path, fmt::format("{} bytes cannot be read and are left out",
                                                     written.unreadable)));
    }
    if (written.filled > 0) {
      console.warning(fmt::format("{}: {} bytes that are absent from the image read as zeros", out_,
                                  written.filled));
    }
    const auto losses = image::not_kept(target_, image);
    if (!losses.empty()) {
      console.warning(fmt::format("{}: not kept, because {} has no place for it: {}", out_, target_,
                                  fmt::join(losses, ", ")));
    }
  }

  int report(const image::Written& written, const Console& console) const {
    output::FileSink sink(console.out, "standard output");
    auto done = sink.write(fmt::format("{}: {}, {} of memory in {} range{}\n", out_, target_,
                                       in_units(written.bytes), written.ranges,
                                       written.ranges == 1 ? "" : "s"));
    if (done) done = sink.flush();
    if (done) return kAnswered;
    const RunFailure failure = output_failure(sink, done.error());
    if (!failure.text.empty()) console.error(failure.text);
    return failure.exit_code;
  }

  ImageSource image_;
  std::string out_;
  std::string target_;
  bool decode_ = false;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() {
  return std::make_unique<ConvertCommand>();
}

}  // namespace engram::cli
