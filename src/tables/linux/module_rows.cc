// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/module_rows.h"

namespace engram::tables {

Result<std::vector<kernel::Module>> modules_once(kernel::Session& session,
                                                 std::span<const KeyValue> values,
                                                 std::size_t key) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& modules = kernel->modules();
  for (const auto& value : values) {
    if (value.column != key) continue;
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr) return std::vector<kernel::Module>();
    const auto module = modules.at(VirtAddr(static_cast<std::uint64_t>(*number)));
    return module ? std::vector{*module} : std::vector<kernel::Module>();
  }
  ENGRAM_TRY(const auto* all, modules.all());
  return *all;
}

Value module_name(kernel::Session& session, std::optional<VirtAddr> module) {
  return module ? cell(modules_of(session).name(*module)) : Null{};
}

Value module_name_at(kernel::Session& session, std::optional<VirtAddr> address) {
  return address ? module_name(session, modules_of(session).containing(*address)) : Null{};
}

Value symbol_at(kernel::Session& session, std::optional<VirtAddr> address) {
  return address ? cell((*session.linux_kernel())->symbolize(*address)) : Null{};
}

}  // namespace engram::tables
