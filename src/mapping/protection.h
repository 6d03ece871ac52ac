// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What may be done with the bytes of a mapping: as a value, and as a type.

#include <cstdint>
#include <type_traits>

namespace engram::mapping {

/// Flags.
enum class Prot : std::uint8_t { none = 0, read = 1, write = 2, exec = 4 };

constexpr Prot operator|(Prot a, Prot b) {
  return static_cast<Prot>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Prot operator&(Prot a, Prot b) {
  return static_cast<Prot>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
/// Whether `have` has every right of `wanted`.
constexpr bool allows(Prot have, Prot wanted) {
  return (have & wanted) == wanted;
}

/// Whether writes reach the file and other mappings of it, or stay with this one.
enum class Share : std::uint8_t { private_, shared };

/// A protection as a type.
template <Prot p>
struct Access {
  static constexpr Prot kProt = p;
};
using NoAccess = Access<Prot::none>;
using ReadOnly = Access<Prot::read>;
using ReadWrite = Access<Prot::read | Prot::write>;
using ReadExec = Access<Prot::read | Prot::exec>;
using ReadWriteExec = Access<Prot::read | Prot::write | Prot::exec>;

/// Bytes that may be touched, as far as the access allows it.
struct Committed {};
/// Address space: no bytes until parts of it are committed.
struct Reserved {};

template <class A>
concept AnyAccess = std::is_same_v<A, NoAccess> || std::is_same_v<A, ReadOnly> ||
    std::is_same_v<A, ReadWrite> || std::is_same_v<A, ReadExec> || std::is_same_v<A, ReadWriteExec>;
template <class A>
concept Readable = AnyAccess<A> && allows(A::kProt, Prot::read);
template <class A>
concept Writable = AnyAccess<A> && allows(A::kProt, Prot::write);
template <class S>
concept AnyState = std::is_same_v<S, Committed> || std::is_same_v<S, Reserved>;

/// Writable and executable at once: a hole in a program's defences that only a just-in-time
/// compiler needs. To make one of these is to ask for it.
struct JitToken {
  explicit JitToken() = default;
};

/// Whether an access may be asked for: ReadWriteExec only where there was a JitToken.
template <class A, bool jit>
concept AllowedAccess = AnyAccess<A> &&(jit || !std::is_same_v<A, ReadWriteExec>);

constexpr bool needs_jit(Prot prot) {
  return allows(prot, Prot::write | Prot::exec);
}
/// Whether it is one of the five accesses.
constexpr bool is_access(Prot prot) {
  return prot == NoAccess::kProt || prot == ReadOnly::kProt || prot == ReadWrite::kProt ||
         prot == ReadExec::kProt || prot == ReadWriteExec::kProt;
}

}  // namespace engram::mapping
