// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "cli/command.h"
#include "cli/dot_command.h"
#include "kernel/linux/linux_kernel.h"
#include "output/text.h"

namespace engram::cli {

const DotCommand& task_tree_command();

namespace {

struct Options {
  bool threads = false;
  bool real_parent = false;
};

struct Node {
  VirtAddr task;
  std::optional<std::int32_t> pid, tgid;
  bool is_listed = true;  ///< the kernel's own list has it
  bool is_shown = false;  ///< already
  std::vector<std::size_t> children;
};

/// The tasks of an image as a forest: threads below their process, processes below their parent.
class Tree {
 public:
  Tree(const kernel::Tasks& tasks, Options options) : tasks_(tasks), options_(options) {
    for (const auto& task : tasks_.of_both_sources()) add(task);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto parent = parent_of(i);
      (parent ? nodes_[*parent].children : roots_).push_back(i);
    }
    sort(roots_);
    for (auto& node : nodes_) sort(node.children);
  }

  [[nodiscard]] std::string text() {
    std::string text;
    for (const std::size_t root : roots_) append_below(root, text);
    // Parents of each other (a damaged or forged list) hang on no root.
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].is_shown) append_below(i, text);
    }
    return text;
  }

 private:
  struct Place {
    std::size_t node = 0;
    std::size_t depth = 0;
    bool is_last = false;
  };
  static constexpr std::size_t kDeepestIndent = 200;  // below that the branches stand in one column

  void add(const kernel::Task& task) {
    Node node{task.address,
              tasks_.pid(task.address),
              tasks_.tgid(task.address),
              task.source != kernel::TaskSource::pid_ns,
              false,
              {}};
    if (!options_.threads && node.pid && node.tgid && node.pid != node.tgid) return;
    by_address_.emplace(task.address.value, nodes_.size());
    nodes_.push_back(std::move(node));
  }

  [[nodiscard]] std::optional<std::size_t> at(std::optional<VirtAddr> task) const {
    const auto found = task ? by_address_.find(task->value) : by_address_.end();
    return found == by_address_.end() ? std::nullopt : std::optional(found->second);
  }

  /// A process may have been started by any thread of its parent.
  [[nodiscard]] std::optional<std::size_t> parent_of(std::size_t child) const {
    const VirtAddr task = nodes_[child].task;
    const auto leader = tasks_.leader(task);
    if (leader && *leader != task) return at(leader);
    const auto parent = options_.real_parent ? tasks_.real_parent(task) : tasks_.parent(task);
    if (!parent) return std::nullopt;
    const auto found = at(tasks_.leader(*parent));
    return found == child ? std::nullopt : found;
  }

  void sort(std::vector<std::size_t>& children) const {
    const auto key = [&](std::size_t i) {
      const Node& node = nodes_[i];
      return std::tuple(node.pid == node.tgid, node.pid, node.task);
    };
    std::sort(children.begin(), children.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  }

  /// Without recursion: how deep it goes is the image's business.
  void append_below(std::size_t root, std::string& text) {
    std::vector<Place> open{{root, 0, true}};
    std::vector<bool> is_last_at;  // for each depth: no brother follows
    while (!open.empty()) {
      const Place place = open.back();
      open.pop_back();
      Node& node = nodes_[place.node];
      if (std::exchange(node.is_shown, true)) continue;
      is_last_at.resize(place.depth);
      text += branches(is_last_at, place) + label(node) + '\n';
      is_last_at.push_back(place.is_last);
      for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
        open.push_back({*child, place.depth + 1, child == node.children.rbegin()});
      }
    }
  }

  static std::string branches(const std::vector<bool>& is_last_at, const Place& place) {
    if (place.depth == 0) return {};
    std::string text;
    for (std::size_t i = 1; i < std::min(place.depth, kDeepestIndent); ++i) {
      text += is_last_at[i] ? "   " : "│  ";
    }
    return text + (place.is_last ? "└─ " : "├─ ");
  }

  [[nodiscard]] std::string label(const Node& node) const {
    const auto number = [](const std::optional<std::int32_t>& value) {
      return value ? std::to_string(*value) : "?";
    };
    const std::string name = tasks_.comm(node.task).value_or("?");
    std::string text = fmt::format("[{}{}] (0x{:x}) {}", number(node.tgid),
                                   options_.threads ? " " + number(node.pid) : "", node.task.value,
                                   output::terminal_text(name));
    if (!node.is_listed) text += "  (not in the kernel's list of tasks)";
    return text;
  }

  const kernel::Tasks& tasks_;
  Options options_;
  std::vector<Node> nodes_;
  std::unordered_map<std::uint64_t, std::size_t> by_address_;
  std::vector<std::size_t> roots_;
};

DotOutcome run(DotContext& context, const Words& words) {
  Options options;
  CLI::App arguments;
  arguments.add_flag("--show-threads", options.threads, "Threads below their process");
  arguments.add_flag("--use-real-parent", options.real_parent,
                     "Below the process that started it, also while another one traces it");
  ENGRAM_TRY(const bool parsed, parse_words(context, task_tree_command(), arguments, words));
  if (!parsed) return {};
  const auto kernel = context.image.session().linux_kernel();
  if (!kernel) return failed_with(kNotAnswered, "{}", kernel.error().text);
  const auto& tasks = (*kernel)->tasks();
  if (const auto checked = tasks.check(); !checked) {
    return failed_with(kNotAnswered, "{}", checked.error().text);
  }
  std::string text =
      fmt::format("Parents:     {}\nThreads:     {}\nPage table:  0x{:x}\n\n",
                  options.real_parent ? "real_parent" : "parent",
                  options.threads ? "shown" : "not shown", (*kernel)->space().root().value);
  return print(context, text + Tree(tasks, options).text());
}

}  // namespace

const DotCommand& task_tree_command() {
  static constexpr DotCommand kCommand{".task_tree", "[--show-threads] [--use-real-parent]",
                                       "the processes as a tree", run};
  return kCommand;
}

}  // namespace engram::cli
