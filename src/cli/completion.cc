// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "cli/dot_command.h"
#include "output/writer.h"
#include "sql/functions.h"

namespace engram::cli {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

bool begins_with(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

class Collector {
 public:
  explicit Collector(std::string_view word) : word_(word) {}
  void add(std::string_view name) {
    if (begins_with(name, word_)) found_.emplace(name);
  }
  Completion done() { return {word_, {found_.begin(), found_.end()}}; }

 private:
  std::string_view word_;
  std::set<std::string> found_;
};

void add_relations(Collector& collector, const std::vector<sql::Relation>& relations) {
  for (const auto& relation : relations) collector.add(relation.name);
}

void add_columns(Collector& collector, const std::vector<sql::Relation>& relations) {
  for (const auto& relation : relations) {
    for (const auto& column : relation.columns) collector.add(column.name);
  }
}

void add_keywords(Collector& collector, bool in_lower_case) {
  for (std::string keyword : sql::keywords()) {
    if (in_lower_case) std::transform(keyword.begin(), keyword.end(), keyword.begin(), lower);
    collector.add(keyword);
  }
}

Completion complete_dot_command(std::string_view line,
                                const std::vector<sql::Relation>& relations) {
  const auto blank = line.find(' ');
  Collector collector(blank == std::string_view::npos ? line : line.substr(line.rfind(' ') + 1));
  const std::string_view command = line.substr(0, blank);
  if (blank == std::string_view::npos) {
    for (const auto* known : dot_commands()) collector.add(known->name);
  } else if (command == ".schema") {
    add_relations(collector, relations);
  } else if (command == ".mode") {
    for (const auto name : output::format_names()) collector.add(name);
  }
  return collector.done();
}

}  // namespace

std::string Completion::common_beginning() const {
  if (candidates.empty()) return {};
  const std::string& first = candidates.front();
  std::size_t length = first.size();
  for (const auto& other : candidates) {
    const auto differs = std::mismatch(first.begin(), first.end(), other.begin(), other.end());
    length = std::min(length, static_cast<std::size_t>(differs.first - first.begin()));
  }
  return first.substr(0, length);
}

Completion complete(std::string_view line, const std::vector<sql::Relation>& relations) {
  if (line.starts_with('.')) return complete_dot_command(line, relations);
  std::size_t begin = line.size();
  while (begin > 0 && is_word(line[begin - 1])) --begin;
  const std::string_view word = line.substr(begin);
  Collector collector(word);
  const bool behind_dot = begin > 0 && line[begin - 1] == '.';
  if (behind_dot) {
    add_columns(collector, relations);
    return collector.done();
  }
  if (word.empty()) return {word, {}};
  add_relations(collector, relations);
  add_columns(collector, relations);
  for (const auto& function : sql::function_docs()) {
    collector.add(function.usage.substr(0, function.usage.find('(') + 1));
  }
  add_keywords(collector, std::islower(static_cast<unsigned char>(word[0])) != 0);
  return collector.done();
}

}  // namespace engram::cli
