// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "image/formats.h"

namespace engram::image::foreign {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view magic;  // the first bytes of the file
  const char* name;
  // Of a file that is packed as a whole: what unpacks it to standard output.
  const char* unpack = nullptr;
};

// Formats that may hold a memory image but have no reader: without this table they would pass for
// raw.
constexpr Signature kSignatures[] = {
    {"MDMP"sv, "a Windows minidump of a process"},
    {"HIBR"sv, "a Windows hibernation file"},
    {"hibr"sv, "a Windows hibernation file"},
    {"WAKE"sv, "a Windows hibernation file"},
    {"wake"sv, "a Windows hibernation file"},
    {"QFI\xFB"sv, "a qcow2 disk image"},
    {"KDMV"sv, "a VMDK disk image"},
    {"COWD"sv, "a VMDK disk image"},
    {"# Disk DescriptorFile"sv, "a VMDK disk descriptor"},
    {"vhdxfile"sv, "a VHDX disk image"},
    {"conectix"sv, "a VHD disk image"},
    {"EVF\x09\x0D\x0A\xFF\0"sv, "an EWF (EnCase) image"},
    // The next three are unpacked (packed_file.h), but not twice.
    {"\x1F\x8B\x08"sv, "a gzip file in a packed file", "gzip -dc"},
    {"\xFD"
     "7zXZ\0"sv,
     "an xz file in a packed file", "xz -dc"},
    {"\x28\xB5\x2F\xFD"sv, "a zstd file in a packed file", "zstd -dc"},
    {"BZh"sv, "a bzip2 file", "bzip2 -dc"},
    {"\x04\x22\x4D\x18"sv, "an lz4 file", "lz4 -dc"},
    {"\x89LZO\0"sv, "an lzop file", "lzop -dc"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive"},
    {"PK\x03\x04"sv, "a zip archive"},
    {"Rar!\x1A\x07"sv, "a rar archive"},
    {"SQLite format 3\0"sv, "an SQLite database"},
};

const Signature* find(Bytes head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  const auto* const found = std::find_if(
      std::begin(kSignatures), std::end(kSignatures),
      [text](const Signature& s) { return text.substr(0, s.magic.size()) == s.magic; });
  return found == std::end(kSignatures) ? nullptr : found;
}

}  // namespace

bool sniff(Bytes head) {
  return find(head) != nullptr;
}

Result<Contents> open(FileView file) {
  const Signature* const signature = find(file.copy(FileOffset(0), kHeadSize));
  if (signature == nullptr) return fail("the file changed while it was opened");
  if (signature->unpack == nullptr) {
    return fail(
        "{}: this format is not read; raw, LiME, AVML, ELF core, kdump, Windows crash dump, QEMU "
        "migration stream, libvirt save file and VMware snapshot are",
        signature->name);
  }
  return fail("{}: unpack it first: {} FILE > IMAGE", signature->name, signature->unpack);
}

}  // namespace engram::image::foreign
