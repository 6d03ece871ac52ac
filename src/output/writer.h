// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writers: result sets in, text for people and programs out.
//
// In:     columns and rows of result sets, one set after the other.
// Out:    text in one of the formats of format_names(), into a Sink.
// Owner:  a Writer borrows its Sink.
// Errors: those of the Sink.
//
// In all formats:
//   addresses   integers of POINTER columns are 0x and lower-case hexadecimal digits, unsigned
//   blobs       lower-case hexadecimal digits
//   reals       the shortest decimal that reads back as the same number
//
//   table   for people. Columns are aligned, numbers to the right; NULL is the word NULL. One row
//   is one
//           line: control characters, escape sequences and bytes that are not UTF-8 are escaped
//           (\n, \x1b). On a terminal long texts are cut with an ellipsis to fit its width;
//           elsewhere nothing is cut. The widths are those of the first rows. An empty line stands
//           between two result sets.
//   json    one array of objects for each result set; members in the order of the columns, a name
//   that
//           occurs twice is written twice. Addresses and blobs are strings, NULL is null. A byte
//           that is not UTF-8 becomes U+FFFD (hex() in SQL has the exact bytes). An infinity is
//           9e999.
//   jsonl   the same objects, one a line.
//   csv     RFC 4180: a header, lines that end with CR LF. NULL is an empty field and the empty
//   text is
//           "". Text is exact, whatever bytes it holds, but on a terminal control characters are
//           escaped as in table. An empty line stands between two result sets.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "output/sink.h"
#include "sql/database.h"

namespace engram::output {

class Writer {
 public:
  virtual ~Writer() = default;
  /// A result set begins. The columns need not live longer than the call.
  virtual Result<void> begin(std::span<const sql::ResultColumn> columns) = 0;
  /// One value a column.
  virtual Result<void> row(std::span<const tables::Value> values) = 0;
  /// The result set is complete; hands everything to the sink, and flushes it.
  virtual Result<void> end() = 0;
  /// In place of end(): an error ended the result set. Rows that are held back are written; a json
  /// array stays without its end, so that nobody takes it for complete.
  virtual Result<void> cut() = 0;
};

struct WriterOptions {
  std::size_t width = 0;  ///< of the terminal, in columns; 0: none, so that nothing is cut
};

/// A cell as the table format shows it.
[[nodiscard]] std::string cell_text(const sql::ResultColumn& column, const tables::Value& value);

/// The names for make_writer().
[[nodiscard]] std::span<const std::string_view> format_names();

/// Errors: no format of that name (says which there are).
Result<std::unique_ptr<Writer>> make_writer(std::string_view format, Sink& sink,
                                            WriterOptions options = {});

}  // namespace engram::output
