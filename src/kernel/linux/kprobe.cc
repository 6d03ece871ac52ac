// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kprobe.h"

#include <fmt/core.h>

#include <utility>

#include "kernel/linux/containers.h"
#include "kernel/linux/hash_chains.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kTableSize = 64;  // KPROBE_TABLE_SIZE, kernel/kprobes.c
constexpr std::size_t kProbeLimit = 1U << 20U;
constexpr std::size_t kNameLimit = 512;

}  // namespace

Kprobes::Kprobes(LinuxKernel& kernel)
    : reader_(kernel.reader()),
      table_(kernel.symbols().address_of("kprobe_table")),
      aggregate_handler_(kernel.symbols().address_of("aggr_pre_handler")),
      return_pre_handler_(kernel.symbols().address_of("pre_handler_kretprobe")) {
  auto& diagnostics = reader_.diagnostics();
  const Layout probe(kernel.types(), diagnostics, "kprobe");
  list_ = probe.offset_of("list");
  place_ = probe.field<VirtAddr>("addr");
  symbol_name_ = probe.field<VirtAddr>("symbol_name");
  offset_ = probe.field<std::uint32_t>("offset");
  flags_ = probe.field<std::uint32_t>("flags");
  pre_handler_ = probe.field<VirtAddr>("pre_handler");
  post_handler_ = probe.field<VirtAddr>("post_handler");
  missed_ = probe.field<std::uint64_t>("nmissed");
  // CONFIG_KRETPROBES
  const auto returning = Layout::of_optional(kernel.types(), diagnostics, "kretprobe");
  in_return_probe_ = returning.optional_offset_of("kp");
  return_handler_ = returning.optional_field<VirtAddr>("handler");
}

// show_kprobe_addr() in kernel/kprobes.c. The probe's first member is its place in the table.
Result<std::vector<Kprobe>> Kprobes::list() const {
  if (!table_) return fail("the kernel has no symbol kprobe_table: it is built without probes");
  std::vector<Kprobe> found;
  bool is_full = false;
  HashChains chains(reader_, "kprobe_table");
  chains.table(*table_, kTableSize, sizeof(std::uint64_t), [&](VirtAddr probe) {
    if (found.size() == kProbeLimit) {
      if (!std::exchange(is_full, true)) {
        reader_.report("kprobe_table", probe, fmt::format("more than {} probes", kProbeLimit));
      }
      return;
    }
    if (!aggregate_handler_ || !list_ || reader_.get(probe, pre_handler_) != aggregate_handler_) {
      found.push_back({probe, std::nullopt});
      return;
    }
    for (const auto one :
         walk_list(reader_, probe + *list_, *list_, "kprobe.list", kProbeLimit - found.size())) {
      found.push_back({one, probe});
    }
  });
  return found;
}

std::optional<VirtAddr> Kprobes::place(VirtAddr probe) const {
  return reader_.follow(probe, place_);
}
std::optional<std::string> Kprobes::symbol_name(VirtAddr probe) const {
  const auto text = reader_.follow(probe, symbol_name_);
  return text ? reader_.text_at(*text, kNameLimit, symbol_name_.name) : std::nullopt;
}
std::optional<std::uint32_t> Kprobes::offset(VirtAddr probe) const {
  return reader_.get(probe, offset_);
}
std::optional<std::uint32_t> Kprobes::flags(VirtAddr probe) const {
  return reader_.get(probe, flags_);
}
std::optional<VirtAddr> Kprobes::pre_handler(VirtAddr probe) const {
  return reader_.follow(probe, pre_handler_);
}
std::optional<VirtAddr> Kprobes::post_handler(VirtAddr probe) const {
  return reader_.follow(probe, post_handler_);
}

std::optional<bool> Kprobes::is_return_probe(VirtAddr probe) const {
  const auto handler = reader_.get(probe, pre_handler_);
  if (!handler) return std::nullopt;
  return return_pre_handler_ && *handler == *return_pre_handler_;
}
std::optional<VirtAddr> Kprobes::return_handler(VirtAddr probe) const {
  if (!is_return_probe(probe).value_or(false) || !in_return_probe_) return std::nullopt;
  return reader_.follow(probe - *in_return_probe_, return_handler_);
}
std::optional<std::uint64_t> Kprobes::missed(VirtAddr probe) const {
  return reader_.get(probe, missed_);
}

}  // namespace engram::kernel
