// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/foreign.h"

#include <fmt/core.h>

#include <bit>
#include <charconv>

#include "kernel/linux/kernel_map.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kCr4Pae = 1U << 5U, kCr4La57 = 1U << 12U;  // SDM volume 3, 2.5

/// A number of VMCOREINFO: arm64's are decimal or hexadecimal with 0x, symbols without.
std::optional<std::uint64_t> number(const image::Facts& facts, std::string_view key, int base) {
  if (!facts.vmcoreinfo) return std::nullopt;
  auto text = vmcoreinfo_value(*facts.vmcoreinfo, key);
  if (!text) return std::nullopt;
  if (text->starts_with("0x")) {
    text->remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), value, base);
  if (result.ec != std::errc() || result.ptr != text->data() + text->size()) return std::nullopt;
  return value;
}

/// VMCOREINFO of arm64 alone has this (arch/arm64/kernel/vmcore_info.c, crash_core.c before 6.9).
std::optional<std::uint64_t> image_offset(const image::Facts& facts) {
  return number(facts, "NUMBER(kimage_voffset)", 10);
}

struct Stated {
  Architecture architecture = Architecture::unknown;
  std::string source;
};

Stated architecture_of(const image::Facts& facts) {
  if (facts.architecture != Architecture::unknown) return {facts.architecture, "its header"};
  if (image_offset(facts)) return {Architecture::arm64, "kimage_voffset in VMCOREINFO"};
  return {};
}

const image::CpuRegisters::Control* control_of(const image::Facts& facts) {
  return facts.cpus.empty() || !facts.cpus[0].control ? nullptr : &*facts.cpus[0].control;
}

StatedPaging arm64_paging(const image::Facts& facts) {
  constexpr unsigned kUsualPage = 12, kUsualBits = 48;
  StatedPaging found;
  unsigned page_bits = kUsualPage;
  const auto page = number(facts, "PAGESIZE", 10);
  if (page && std::has_single_bit(*page))
    page_bits = static_cast<unsigned>(std::countr_zero(*page));
  // T1SZ is what the processor was told; VA_BITS is what the kernel was built for, which may be 52
  // on a processor that has 48.
  const auto t1sz = number(facts, "NUMBER(TCR_EL1_T1SZ)", 10);
  const auto built = number(facts, "NUMBER(VA_BITS)", 10);
  const std::uint64_t bits = t1sz && *t1sz < 64 ? 64 - *t1sz : built.value_or(kUsualBits);
  found.mode = paging::arm64_mode(page_bits, static_cast<unsigned>(bits));
  if (found.mode.levels == 0) found.mode = paging::arm64_mode(kUsualPage, kUsualBits);
  found.source = fmt::format("pages of {} KiB ({}), addresses of {} bits ({})",
                             (std::uint64_t{1} << found.mode.page_bits) / kKiB,
                             page ? "VMCOREINFO" : "assumed", found.mode.address_bits,
                             t1sz || built ? "VMCOREINFO" : "assumed");
  // The kernel image, with swapper_pg_dir in it, is mapped at this distance.
  const auto table = number(facts, "SYMBOL(swapper_pg_dir)", 16);
  const auto offset = image_offset(facts);
  if (!table || !offset) return found;
  found.root = PhysAddr(*table - *offset);
  // A kernel with pages of 64 KiB that was built for 52 bits and runs with 48 uses the last 64 of
  // the 1024 entries (TTBR1_BADDR_4852_OFFSET in arch/arm64/include/asm/pgtable-hwdef.h).
  constexpr std::uint64_t kOffset = std::uint64_t{1024 - 64} * 8;
  const bool is_narrowed = built == 52U && found.mode == paging::arm64_mode(16, 48);
  if (is_narrowed) found.root = *found.root + kOffset;
  return found;
}

StatedPaging x86_paging(const image::Facts& facts) {
  constexpr unsigned kPae = 3, kNoPae = 2;
  const auto* control = control_of(facts);
  bool has_pae = true;
  std::string source = "PAE is assumed";
  if (control != nullptr && control->cr4 != 0) {
    has_pae = (control->cr4 & kCr4Pae) != 0;
    source = "CR4";
  } else if (facts.vmcoreinfo) {
    has_pae = vmcoreinfo_value(*facts.vmcoreinfo, "CONFIG_X86_PAE") ==
              std::optional<std::string_view>("y");
    source = "VMCOREINFO";
  }
  return {{Architecture::x86, has_pae ? kPae : kNoPae}, std::move(source), std::nullopt};
}

}  // namespace

std::optional<std::string> foreign_kernel(const image::Facts& facts) {
  if (facts.crash) return std::nullopt;
  const Stated stated = architecture_of(facts);
  if (stated.architecture != Architecture::arm64 && stated.architecture != Architecture::x86) {
    return std::nullopt;
  }
  return fmt::format(
      "the image is of an {} machine ({}), and kernel objects of that architecture are not read "
      "yet; "
      "its virtual memory is, behind a root of page tables: engram read --virt --dtb ROOT, "
      "translate(address, root), read_bytes(address, size, root)",
      to_string(stated.architecture), stated.source);
}

StatedPaging stated_paging(const image::Facts& facts) {
  switch (architecture_of(facts).architecture) {
    case Architecture::arm64:
      return arm64_paging(facts);
    case Architecture::x86:
      return x86_paging(facts);
    case Architecture::x86_64:
    case Architecture::unknown:
      break;
  }
  const auto* control = control_of(facts);
  if (control == nullptr) return {{Architecture::x86_64, 4}, "assumed", std::nullopt};
  return {{Architecture::x86_64, (control->cr4 & kCr4La57) != 0 ? 5U : 4U}, "CR4", std::nullopt};
}

Result<paging::AddressSpace> stated_space(const image::Image& image, std::optional<PhysAddr> root) {
  const StatedPaging stated = stated_paging(image.facts());
  if (!root && !stated.root) {
    return fail(
        "{} with {} levels of page tables ({}): nothing says where the kernel's root is, and "
        "none is given",
        to_string(stated.mode.architecture), stated.mode.levels, stated.source);
  }
  const PhysAddr lower = root ? *root : *stated.root;
  const PhysAddr upper = stated.root ? *stated.root : *root;
  return paging::AddressSpace(image.memory(), stated.mode, {lower, upper});
}

}  // namespace engram::kernel
