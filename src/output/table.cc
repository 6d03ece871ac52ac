// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "output/formats.h"
#include "output/text.h"

namespace engram::output {
namespace {

// Rows that decide about the widths: what is held back before the first line is written.
constexpr std::size_t kHeldRows = 1000;
constexpr std::size_t kHeldBytes = 4 * kMiB;
// One huge cell must not make every other row as wide: beyond this a cell just sticks out.
constexpr std::size_t kWidestPadding = 200;
// Texts are not cut below this, however narrow the terminal is.
constexpr std::size_t kNarrowest = 8;
constexpr std::string_view kGap = "  ";

struct Cell {
  std::string text;
  bool is_number = false;
  bool is_null = false;
};

struct Show {
  std::string operator()(tables::Null) const { return "NULL"; }
  std::string operator()(std::int64_t integer) const { return std::to_string(integer); }
  std::string operator()(double real) const { return real_text(real); }
  std::string operator()(const std::string& text) const { return terminal_text(text); }
  std::string operator()(const tables::Blob& blob) const { return hex_digits(blob); }
};

bool holds_numbers(const sql::ResultColumn& column) {
  using tables::Type;
  return column.type == Type::integer || column.type == Type::pointer || column.type == Type::real;
}

struct Layout {
  std::string name;
  bool to_the_right = false;
  std::size_t width = 0;
};

class TableWriter final : public Writer {
 public:
  TableWriter(Sink& sink, WriterOptions options) : sink_(sink), options_(options) {}

  Result<void> begin(std::span<const sql::ResultColumn> columns) override {
    declared_.assign(columns.begin(), columns.end());
    layout_.clear();
    for (const auto& column : columns) layout_.push_back({terminal_text(column.name)});
    held_.clear();
    held_bytes_ = 0;
    streaming_ = false;
    return {};
  }

  Result<void> row(std::span<const tables::Value> values) override {
    std::vector<Cell> cells;
    for (std::size_t i = 0; i < values.size(); ++i) cells.push_back(cell(i, values[i]));
    if (streaming_) return write_row(cells);
    for (const auto& cell : cells) held_bytes_ += sizeof(Cell) + cell.text.size();
    held_.push_back(std::move(cells));
    if (held_.size() < kHeldRows && held_bytes_ < kHeldBytes) return {};
    return release();
  }

  Result<void> end() override {
    if (!streaming_) ENGRAM_CHECK(release());
    return sink_.flush();
  }
  Result<void> cut() override { return end(); }

 private:
  Cell cell(std::size_t column, const tables::Value& value) const {
    const bool is_number =
        std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
    return {cell_text(declared_[column], value), is_number,
            std::holds_alternative<tables::Null>(value)};
  }

  /// Decides about the layout, and writes the header and what was held back.
  Result<void> release() {
    lay_out();
    if (!first_) ENGRAM_CHECK(sink_.write("\n"));
    first_ = false;
    std::vector<Cell> names;
    std::vector<Cell> rules;
    for (const auto& column : layout_) {
      names.push_back({column.name, false, false});
      rules.push_back({std::string(column.width, '-'), false, false});
    }
    ENGRAM_CHECK(write_row(names));
    ENGRAM_CHECK(write_row(rules));
    for (const auto& cells : held_) ENGRAM_CHECK(write_row(cells));
    held_.clear();
    streaming_ = true;
    return {};
  }

  void lay_out() {
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      Layout& column = layout_[i];
      bool has_number = false;
      bool has_text = false;
      column.width = display_width(column.name);
      for (const auto& cells : held_) {
        column.width = std::max(column.width, display_width(cells[i].text));
        has_number = has_number || cells[i].is_number;
        has_text = has_text || !(cells[i].is_number || cells[i].is_null);
      }
      column.to_the_right = !has_text && (has_number || holds_numbers(declared_[i]));
      column.width = std::min(column.width, options_.width > 0 ? options_.width : kWidestPadding);
    }
    if (options_.width > 0) shrink();
  }

  /// Takes from the widest texts until a row fits the terminal. Numbers are never cut.
  void shrink() {
    std::size_t total = kGap.size() * (layout_.empty() ? 0 : layout_.size() - 1);
    for (const auto& column : layout_) total += column.width;
    while (total > options_.width) {
      Layout* widest = nullptr;
      for (auto& column : layout_) {
        if (column.to_the_right || column.width <= kNarrowest) continue;
        if (widest == nullptr || column.width > widest->width) widest = &column;
      }
      if (widest == nullptr) return;
      --widest->width;
      --total;
    }
  }

  Result<void> write_row(std::span<const Cell> cells) {
    std::string line;
    std::size_t padding = 0;  // owed by the cells so far: none is written behind the last text
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const Layout& column = layout_[i];
      if (i != 0) padding += kGap.size();
      const bool cut = options_.width > 0 && !cells[i].is_number && !cells[i].is_null;
      const std::string text = cut ? shortened(cells[i].text, column.width) : cells[i].text;
      const std::size_t width = display_width(text);
      const std::size_t missing = column.width > width ? column.width - width : 0;
      if (column.to_the_right) padding += missing;
      if (!text.empty()) {
        line.append(padding, ' ').append(text);
        padding = 0;
      }
      if (!column.to_the_right) padding += missing;
    }
    return sink_.write(line + "\n");
  }

  Sink& sink_;
  WriterOptions options_;
  std::vector<sql::ResultColumn> declared_;
  std::vector<Layout> layout_;
  std::vector<std::vector<Cell>> held_;
  std::size_t held_bytes_ = 0;
  bool streaming_ = false;
  bool first_ = true;
};

}  // namespace

std::string cell_text(const sql::ResultColumn& column, const tables::Value& value) {
  if (is_address(column, value)) return address_text(std::get<std::int64_t>(value));
  return std::visit(Show{}, value);
}

std::unique_ptr<Writer> make_table_writer(Sink& sink, WriterOptions options) {
  return std::make_unique<TableWriter>(sink, options);
}

}  // namespace engram::output
