// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/table.h"

namespace engram::tables {

const Table& image_header_table() {
  using Entry = std::pair<std::string, std::string>;
  static const DataTable<Entry> table(
      "image_header",
      "What else the image's headers say, in their order; empty for formats that say no more than "
      "image_info and image_ranges have.",
      16,
      {
          {{"name", Type::text, "What it is: `dump_level`, `time` ..."},
           [](const Entry& entry, kernel::Session&) { return cell(entry.first); }},
          {{"value", Type::text, "In words."},
           [](const Entry& entry, kernel::Session&) { return cell(entry.second); }},
      },
      [](kernel::Session& session, std::span<const KeyValue>) -> Result<Rows<Entry>> {
        return rows_of(session.image().facts().header);
      });
  return table;
}

}  // namespace engram::tables
