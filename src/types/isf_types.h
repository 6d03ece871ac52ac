// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The types of an ISF as BTF, which TypeDb reads: one way to look up members.

#include <rapidjson/document.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/throwing_allocator.h"
#include "types/btf_writer.h"

namespace engram::types::isf {

using Document =
    rapidjson::GenericDocument<rapidjson::UTF8<>, rapidjson::MemoryPoolAllocator<ThrowingAllocator>,
                               ThrowingAllocator>;
using Json = Document::ValueType;

/// A member of an object; null if it is none, or has no such.
inline const Json* member(const Json& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

/// Nothing for null and for what is no text.
inline std::optional<std::string_view> text(const Json* value) {
  if (value == nullptr || !value->IsString()) return std::nullopt;
  return std::string_view(value->GetString(), value->GetStringLength());
}

/// Nothing for null and for what is no number from 0 to 2^64 - 1.
inline std::optional<std::uint64_t> number(const Json* value) {
  if (value == nullptr || !value->IsUint64()) return std::nullopt;
  return value->GetUint64();
}

/// Errors: it has no user_types; pointers are of neither 4 nor 8 bytes.
[[nodiscard]] Result<btf::Converted> types_as_btf(const Json& document);

}  // namespace engram::types::isf
