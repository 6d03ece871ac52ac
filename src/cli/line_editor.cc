// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cwchar>
#include <filesystem>

#include "output/text.h"

namespace engram::cli {
namespace {

constexpr int kHistorySize = 10'000;
constexpr std::size_t kMostListed = 200;

struct EditLineCloser {
  void operator()(EditLine* editor) const { ::el_end(editor); }
};
struct HistoryCloser {
  void operator()(History* history) const { ::history_end(history); }
};

}  // namespace

struct LineEditor::State {
  Console console;
  Interrupts* interrupts = nullptr;
  Complete complete;
  std::string history_path;
  std::string prompt;
  bool interrupted = false;
  std::unique_ptr<History, HistoryCloser> history;
  std::unique_ptr<EditLine, EditLineCloser> editor;

  static State& of(EditLine* editor) {
    void* state = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &state);
    return *static_cast<State*>(state);
  }
  static char* show_prompt(EditLine* editor) { return of(editor).prompt.data(); }
  static int read_character(EditLine* editor, wchar_t* character);
  static unsigned char complete_word(EditLine* editor, int);
  bool wait_for_input();
  void list(const std::vector<std::string>& candidates) const;
};

/// False if Ctrl-C came first.
bool LineEditor::State::wait_for_input() {
  std::array<pollfd, 2> sources{
      {{::fileno(console.in), POLLIN, 0}, {interrupts->descriptor(), POLLIN, 0}}};
  while (true) {
    const int ready = ::poll(sources.data(), sources.size(), -1);
    if (interrupts->take()) {
      interrupted = true;
      return false;
    }
    if (ready < 0 && errno != EINTR) return true;  // read() will say what is wrong
    if (ready > 0 && sources[0].revents != 0) return true;
  }
}

/// Takes the place of libedit's own function, which swallows the first EINTR. 1, or 0 at the end,
/// or -1.
int LineEditor::State::read_character(EditLine* editor, wchar_t* character) {
  State& state = of(editor);
  std::mbstate_t partial{};
  while (true) {
    if (!state.wait_for_input()) return -1;
    char byte = 0;
    const auto count = ::read(::fileno(state.console.in), &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return static_cast<int>(count);
    const std::size_t length = std::mbrtowc(character, &byte, 1, &partial);
    if (length == static_cast<std::size_t>(-2))
      continue;  // more bytes of this character are to come
    if (length == static_cast<std::size_t>(-1)) {
      partial = {};
      continue;
    }
    return 1;
  }
}

void LineEditor::State::list(const std::vector<std::string>& candidates) const {
  std::string text = "\n";
  std::size_t listed = 0;
  for (const auto& candidate : candidates) {
    if (++listed > kMostListed) break;
    text += candidate + "  ";
  }
  if (listed > kMostListed) text += "...";
  std::fputs((text + "\n").c_str(), console.out);
  std::fflush(console.out);
}

unsigned char LineEditor::State::complete_word(EditLine* editor, int) {
  const State& state = of(editor);
  const LineInfo* info = ::el_line(editor);
  const std::string line(info->buffer, info->cursor);
  const Completion completion = state.complete(line);
  if (completion.candidates.empty()) return CC_REFRESH_BEEP;
  const std::string common = completion.common_beginning();
  if (common.size() >= completion.word.size() && common != completion.word) {
    // The candidate's own case wins over what was typed.
    ::el_deletestr(editor, static_cast<int>(completion.word.size()));
    const bool complete = completion.candidates.size() == 1;
    ::el_insertstr(editor, (complete && common.back() != '(' ? common + ' ' : common).c_str());
    return CC_REFRESH;
  }
  if (completion.candidates.size() == 1) return ::el_insertstr(editor, " "), CC_REFRESH;
  state.list(completion.candidates);
  return CC_REDISPLAY;
}

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<LineEditor>> LineEditor::create(const Console& console,
                                                       Interrupts& interrupts, Complete complete,
                                                       std::string history_path) {
  auto state = std::make_unique<State>();
  state->console = console;
  state->interrupts = &interrupts;
  state->complete = std::move(complete);
  state->history_path = std::move(history_path);
  state->history.reset(::history_init());
  state->editor.reset(::el_init("engram", console.in, console.out, console.err));
  EditLine* editor = state->editor.get();
  if (editor == nullptr || state->history == nullptr) return fail("shell: no line editor");

  HistEvent event;
  ::history(state->history.get(), &event, H_SETSIZE, kHistorySize);
  ::history(state->history.get(), &event, H_SETUNIQUE, 1);
  if (!state->history_path.empty()) {
    ::history(state->history.get(), &event, H_LOAD, state->history_path.c_str());
  }
  ::el_set(editor, EL_CLIENTDATA, state.get());
  ::el_set(editor, EL_PROMPT, &State::show_prompt);
  ::el_set(editor, EL_EDITOR, "emacs");
  ::el_set(editor, EL_HIST, ::history, state->history.get());
  ::el_set(editor, EL_GETCFN, &State::read_character);
  // el_set() would copy the two texts and never free the copies.
  ::el_wset(editor, EL_ADDFN, L"engram-complete", L"Complete a name", &State::complete_word);
  ::el_set(editor, EL_BIND, "^I", "engram-complete", nullptr);
  ::el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  ::el_source(editor, nullptr);  // the user's ~/.editrc
  return std::unique_ptr<LineEditor>(new LineEditor(std::move(state)));
}

LineEditor::~LineEditor() {
  if (state_->history_path.empty()) return;
  std::error_code ignored;
  const std::filesystem::path path(state_->history_path);
  // Only the user may see what was asked: the specification wants 0700, and libedit writes 0600.
  if (std::filesystem::create_directories(path.parent_path(), ignored)) {
    std::filesystem::permissions(path.parent_path(), std::filesystem::perms::owner_all, ignored);
  }
  HistEvent event;
  ::history(state_->history.get(), &event, H_SAVE, state_->history_path.c_str());
}

Line LineEditor::read(const std::string& prompt) {
  EditLine* editor = state_->editor.get();
  state_->prompt = prompt;
  state_->interrupted = false;
  ::el_resize(editor);
  int count = 0;
  const char* text = ::el_gets(editor, &count);
  if (state_->interrupted) {
    ::el_reset(editor);
    std::fputs("^C\n", state_->console.out);
    return {Line::Kind::interrupted, {}};
  }
  if (text == nullptr || count <= 0) {
    std::fputs("\n", state_->console.out);
    return {Line::Kind::end, {}};
  }
  std::string line(text, static_cast<std::size_t>(count));
  if (line.ends_with('\n')) line.pop_back();
  if (line.find_first_not_of(' ') != std::string::npos) {
    HistEvent event;
    ::history(state_->history.get(), &event, H_ENTER, line.c_str());
  }
  return {Line::Kind::text, std::move(line)};
}

std::string default_history_path() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  const auto state = variable("XDG_STATE_HOME");
  // The specification has relative paths ignored.
  if (state.is_absolute()) return state / "engram" / "history";
  const auto home = variable("HOME");
  return home.is_absolute() ? home / ".local" / "state" / "engram" / "history" : "";
}

}  // namespace engram::cli
