// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/pdb_file.h"

#include <algorithm>
#include <optional>

#include "types/msf_file.h"
#include "types/pdb_layout.h"
#include "types/pdb_types.h"

namespace engram::types {
namespace {

using namespace pdb;

/// From a place in a section to the distance from the program's base.
class Sections {
 public:
  static Result<Sections> read(const MsfFile& file, const std::vector<std::byte>& debug,
                               const DebugHeader& header);

  [[nodiscard]] std::optional<std::uint32_t> address(const SymbolRecord& symbol) const {
    if (symbol.section == 0 || symbol.section > sections_.size()) return std::nullopt;
    const std::uint32_t linked = sections_[symbol.section - 1U].address + symbol.offset;
    if (moved_.empty()) return linked;
    const auto behind =
        std::upper_bound(moved_.begin(), moved_.end(), linked,
                         [](std::uint32_t at, const Moved& entry) { return at < entry.from; });
    if (behind == moved_.begin() || (behind - 1)->to == 0) return std::nullopt;
    return (behind - 1)->to + (linked - (behind - 1)->from);
  }

 private:
  std::vector<Section> sections_;
  std::vector<Moved> moved_;
};

template <class T>
Result<std::vector<T>> read_array(const MsfFile& file, std::uint16_t stream) {
  std::vector<T> all;
  if (stream == kNoStream) return all;
  ENGRAM_TRY(const auto bytes, file.stream(stream));
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    all.push_back(load_unaligned<T>(bytes.data() + at));
  }
  return all;
}

Result<Sections> Sections::read(const MsfFile& file, const std::vector<std::byte>& debug,
                                const DebugHeader& header) {
  std::uint64_t at = sizeof(DebugHeader);
  for (const std::uint64_t size :
       {header.modules_size, header.contributions_size, header.section_map_size,
        header.sources_size, header.servers_size, header.edit_size}) {
    at += size;
  }
  const auto stream = [&](std::size_t index) {
    const bool has = (index + 1) * sizeof(std::uint16_t) <= header.streams_size;
    return has ? load<std::uint16_t>(debug, at + index * sizeof(std::uint16_t)).value_or(kNoStream)
               : kNoStream;
  };
  Sections found;
  ENGRAM_TRY(found.moved_, read_array<Moved>(file, stream(kFromSourceIndex)));
  const bool was_moved = !found.moved_.empty() && stream(kOriginalSectionsIndex) != kNoStream;
  ENGRAM_TRY(found.sections_, read_array<Section>(file, stream(was_moved ? kOriginalSectionsIndex
                                                                         : kSectionsIndex)));
  return found;
}

void read_symbols(Bytes stream, const Sections& sections, SymbolFile& to) {
  for (std::size_t at = 0; at + 4 <= stream.size();) {
    const auto length = *load<std::uint16_t>(stream, at);
    const auto kind = *load<std::uint16_t>(stream, at + 2);
    const auto body = slice(stream, at + 2, length);
    if (!body || length < 2) return;
    at += 2 + std::size_t{length};
    const auto symbol = load<SymbolRecord>(*body, 2);
    if (!symbol || (kind != kPublic && kind != kGlobalData && kind != kLocalData)) continue;
    const auto name = text_until_nul(body->subspan(2 + sizeof(SymbolRecord)));
    if (const auto address = sections.address(*symbol)) {
      to.addresses.try_emplace(std::string(name), *address);
    }
  }
}

}  // namespace

bool is_pdb(Bytes file) {
  return MsfFile::is_one(file);
}

Result<SymbolFile> read_pdb(Bytes bytes) {
  ENGRAM_TRY(const MsfFile file, MsfFile::open(bytes));
  ENGRAM_TRY(const auto info, file.stream(kInfoStream));
  const auto head = load<InfoHeader>(info, 0);
  if (!head) return fail("pdb: the stream about the file has {} bytes", info.size());
  SymbolFile found;
  found.format = "PDB";
  found.pdb = PdbIdentity{"", guid_digits(head->guid), head->age};
  ENGRAM_TRY(const auto types, file.stream(kTypeStream));
  ENGRAM_TRY(auto converted, types_as_btf(types));
  found.btf = std::move(converted.btf);
  found.notes = std::move(converted.notes);
  ENGRAM_TRY(const auto debug, file.stream(kDebugStream));
  const auto header = load<DebugHeader>(debug, 0);
  if (!header) return found;
  // The age that the program names: the other one counts all writes to the file.
  found.pdb->age = header->age;
  ENGRAM_TRY(const auto sections, Sections::read(file, debug, *header));
  if (header->symbols_stream == kNoStream) return found;
  ENGRAM_TRY(const auto symbols, file.stream(header->symbols_stream));
  read_symbols(symbols, sections, found);
  return found;
}

}  // namespace engram::types
