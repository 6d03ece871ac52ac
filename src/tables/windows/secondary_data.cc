// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "image/crash_header.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using image::SecondaryData;

struct KnownTag {
  std::string_view guid, owner;
};

constexpr KnownTag kKnownTags[] = {
#define TAG(guid, owner) {guid, owner},
#include "tables/windows/secondary_tags.def"
#undef TAG
};

Value owner(const SecondaryData& data, kernel::Session&) {
  for (const KnownTag& known : kKnownTags) {
    if (known.guid == data.tag) return cell(known.owner);
  }
  return Null{};
}

}  // namespace

const Table& secondary_data_table() {
  static const DataTable<SecondaryData> table(
      "secondary_data",
      "Windows only: what drivers, and Windows itself, left in a crash dump behind the memory (the "
      "data of bug check callbacks, which WinDbg lists with .enumtag); no rows if there is none.",
      16,
      {
          {{"tag", Type::text, "GUID that says what it is."},
           [](const SecondaryData& data, kernel::Session&) { return cell(data.tag); }},
          {{"owner", Type::text,
            "Driver and variable that have this GUID; NULL for one that engram does not know."},
           owner},
          {{"offset", Type::integer, "Where it begins in the file."},
           [](const SecondaryData& data, kernel::Session&) { return cell(data.at.value); }},
          {{"size", Type::integer, "Bytes."},
           [](const SecondaryData& data, kernel::Session&) { return cell(data.size); }},
      },
      [](kernel::Session& session, std::span<const KeyValue>) -> Result<Rows<SecondaryData>> {
        const auto& crash = session.image().facts().crash;
        if (!crash) {
          return fail("secondary_data: the image (format {}) is no Windows crash dump",
                      session.image().format());
        }
        return rows_of(crash->secondary_data);
      });
  return table;
}

}  // namespace engram::tables
