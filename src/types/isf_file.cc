// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/isf_file.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

#include "types/isf_types.h"

namespace engram::types {
namespace {

using isf::Json;

/// What stands at the end of a path of names; null if a part of it is not there.
const Json* find(const Json& from, std::initializer_list<const char*> path) {
  const Json* at = &from;
  for (const char* name : path) {
    at = at->IsObject() ? isf::member(*at, name) : nullptr;
    if (at == nullptr) return nullptr;
  }
  return at;
}

/// Up to the first character that base64 has not.
std::string from_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char one : text) {
    const auto digit = kDigits.find(one);
    if (digit == std::string_view::npos) break;
    bits = (bits << 6U | static_cast<std::uint32_t>(digit)) & 0xFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFFU);
  }
  return bytes;
}

std::optional<PdbIdentity> identity_of(const Json& document) {
  const Json* pdb = find(document, {"metadata", "windows", "pdb"});
  if (pdb == nullptr) return std::nullopt;
  const auto guid = isf::text(isf::member(*pdb, "GUID"));
  const auto age = isf::number(isf::member(*pdb, "age"));
  if (!guid || !age || *age > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  PdbIdentity found{std::string(isf::text(isf::member(*pdb, "database")).value_or("")),
                    std::string(*guid), static_cast<std::uint32_t>(*age)};
  for (char& digit : found.guid)
    digit = static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
  return found;
}

/// The text of linux_banner without the newline that ends it.
std::string banner_of(const Json& document) {
  const auto data = isf::text(find(document, {"symbols", "linux_banner", "constant_data"}));
  std::string banner = data ? from_base64(*data) : std::string();
  banner.resize(std::min(banner.find_first_of(std::string_view("\n\0", 2)), banner.size()));
  return banner;
}

}  // namespace

Result<SymbolFile> read_isf(std::vector<std::byte> text) {
  text.push_back(std::byte{0});
  isf::Document document;
  // Not recursive: nested as deep as the text allows, it would use up the stack.
  constexpr unsigned kHow = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag;
  document.ParseInsitu<kHow>(reinterpret_cast<char*>(text.data()));
  if (document.HasParseError()) {
    return fail("isf: no JSON at offset {:#x}: {}", document.GetErrorOffset(),
                rapidjson::GetParseError_En(document.GetParseError()));
  }
  SymbolFile found;
  found.format = "ISF";
  ENGRAM_TRY(auto converted, isf::types_as_btf(document));
  found.btf = std::move(converted.btf);
  found.notes = std::move(converted.notes);
  found.pdb = identity_of(document);
  found.banner = banner_of(document);
  const Json* symbols = find(document, {"symbols"});
  if (symbols == nullptr || !symbols->IsObject()) return found;
  for (const auto& symbol : symbols->GetObject()) {
    const auto address =
        symbol.value.IsObject() ? isf::number(isf::member(symbol.value, "address")) : std::nullopt;
    if (address) found.addresses.try_emplace(std::string(*isf::text(&symbol.name)), *address);
  }
  return found;
}

}  // namespace engram::types
