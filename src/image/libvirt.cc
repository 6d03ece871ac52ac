// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/magic.h"
#include "image/elf_layout.h"
#include "image/formats.h"
#include "image/migration.h"
#include "image/migration_layout.h"
#include "image/migration_stream.h"

namespace engram::image::libvirt {
namespace {

using migration::LibvirtHeader;

constexpr std::uint64_t kMostXml = 4 * kMiB;
constexpr std::size_t kLongest = 256;  // of what is taken from it

/// What packed the stream, by the header's number. Source: virQEMUSaveFormat.
struct Compression {
  const char* name;
  const char* unpack;  // null: the stream is plain
};
constexpr std::array<Compression, 7> kCompressions = {{{"none", nullptr},
                                                       {"gzip", "gzip -dc"},
                                                       {"bzip2", "bzip2 -dc"},
                                                       {"xz", "xz -dc"},
                                                       {"lzop", "lzop -dc"},
                                                       {"zstd", "zstd -dc"},
                                                       {"none, sparse", nullptr}}};

/// What stands between two pieces of text; empty if they are not there.
std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const auto begin = text.find(before);
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin + before.size());
  return printable(std::as_bytes(std::span(text.substr(0, std::min(text.find(after), kLongest)))));
}

/// Of <type arch='x86_64' machine='pc-i440fx-7.2'>. libvirt writes ' around values.
std::string machine_in(std::string_view xml) {
  return between(between(xml, "<type ", ">"), "machine='", "'");
}

}  // namespace

bool sniff(Bytes head) {
  return begins_with(head, migration::kLibvirtMagic) ||
         begins_with(head, migration::kLibvirtPartMagic);
}

Result<Contents> open(FileView file) {
  const auto header = file.load<LibvirtHeader>(FileOffset(0));
  if (!header) {
    return fail("libvirt: the file has {} bytes, its header alone has {}", file.size(),
                sizeof(LibvirtHeader));
  }
  // The version tells the byte order.
  const elf::ByteOrder order(header->version > 0xFFFF);
  const std::uint32_t version = order(header->version);
  if (version == 0 || version > migration::kLibvirtVersion) {
    return fail("libvirt: version {}, 1 to {} are expected", version, migration::kLibvirtVersion);
  }
  const std::uint64_t data_size = order(header->data_size);
  const std::uint32_t compression = order(header->compression);
  const FileOffset stream(sizeof *header + data_size);
  if (compression >= kCompressions.size()) {
    return fail("libvirt: compression {}, 0 to {} are known", compression,
                kCompressions.size() - 1);
  }
  if (const Compression& packed = kCompressions[compression]; packed.unpack != nullptr) {
    return fail(
        "libvirt: the machine was saved with compression ({}): unpack its stream first: tail -c "
        "+{} FILE | {} > STREAM",
        packed.name, stream.value + 1, packed.unpack);
  }
  const auto bytes = file.copy(FileOffset(sizeof *header), std::min(data_size, kMostXml));
  const std::string_view xml = text_until_nul(bytes);
  if (!migration::is_stream(file.copy(stream, migration::kMagic.size()))) {
    return fail("libvirt: no migration stream at {:#x}, behind {:#x} bytes of description",
                stream.value, data_size);
  }
  Contents contents;
  contents.format = "libvirt";
  auto& facts = contents.facts.header;
  facts.emplace_back("domain", between(xml, "<name>", "</name>"));
  facts.emplace_back("was_running", order(header->was_running) != 0 ? "yes" : "no");
  facts.emplace_back("compression", kCompressions[compression].name);
  if (!begins_with(std::as_bytes(std::span(&*header, 1)), migration::kLibvirtMagic)) {
    contents.notices.push_back(
        {Level::warning, "libvirt: the header says that saving the machine was not completed"});
  }
  return migration::open_at(file, stream, machine_in(xml), std::move(contents));
}

}  // namespace engram::image::libvirt
