// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>

#include "image/formats.h"

namespace engram::image::foreign {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view magic;  // the first bytes of the file
  const char* name;
};

// Formats that may hold a memory image but have no reader: without this table they would pass for
// raw.
constexpr Signature kSignatures[] = {
    {"AVML"sv, "an AVML compressed image"},
    {"KDUMP   "sv, "a kdump compressed dump"},
    {"DISKDUMP"sv, "a diskdump compressed dump"},
    {"makedumpfile\0"sv, "a flattened kdump (makedumpfile -F)"},
    {"MDMP"sv, "a Windows minidump of a process"},
    {"HIBR"sv, "a Windows hibernation file"},
    {"hibr"sv, "a Windows hibernation file"},
    {"WAKE"sv, "a Windows hibernation file"},
    {"wake"sv, "a Windows hibernation file"},
    {"QEVM"sv, "a QEMU migration stream"},
    {"LibvirtQemudSave"sv, "a libvirt saved machine"},
    {"LibvirtQemudPart"sv, "a libvirt saved machine"},
    {"\xD0\xBE\xD2\xBE"sv, "a VMware snapshot state (the memory is in the .vmem file beside it)"},
    {"\xD1\xBA\xD1\xBA"sv, "a VMware snapshot state (the memory is in the .vmem file beside it)"},
    {"\xD2\xBE\xD2\xBE"sv, "a VMware snapshot state (the memory is in the .vmem file beside it)"},
    {"\xD3\xBE\xD3\xBE"sv, "a VMware snapshot state (the memory is in the .vmem file beside it)"},
    {"QFI\xFB"sv, "a qcow2 disk image"},
    {"KDMV"sv, "a VMDK disk image"},
    {"COWD"sv, "a VMDK disk image"},
    {"# Disk DescriptorFile"sv, "a VMDK disk descriptor"},
    {"vhdxfile"sv, "a VHDX disk image"},
    {"conectix"sv, "a VHD disk image"},
    {"EVF\x09\x0D\x0A\xFF\0"sv, "an EWF (EnCase) image"},
    {"\x1F\x8B\x08"sv, "a gzip file"},
    {"BZh"sv, "a bzip2 file"},
    {"\xFD"
     "7zXZ\0"sv,
     "an xz file"},
    {"\x28\xB5\x2F\xFD"sv, "a zstd file"},
    {"\x04\x22\x4D\x18"sv, "an lz4 file"},
    {"\x89LZO\0"sv, "an lzop file"},
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
  return fail("{}: this format is not read yet; ELF core, LiME, Windows crash dump and raw are",
              signature->name);
}

}  // namespace engram::image::foreign
