// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module_parameter.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/module.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kCountLimit = 4096;     // of one module's; the largest have some 100
constexpr std::uint64_t kBuiltInLimit = 65536;  // Debian's kernels have some 300
constexpr std::uint32_t kElementLimit = 4096;
constexpr std::size_t kNameLimit = 512;
constexpr std::size_t kTextLimit = kPageSize;  // what fits into a file of sysfs
constexpr std::size_t kAllTextLimit = kMiB;    // of all of one module's; Debian's have some 200
constexpr std::string_view kArray = "array", kString = "string";

template <class T>
std::optional<std::string> number(const Reader& reader, VirtAddr at, std::string_view what,
                                  fmt::format_string<const T&> format) {
  const auto value = reader.space().load<T>(at);
  if (value) return fmt::format(format, *value);
  reader.report(what, at, paging::to_string(value.error()));
  return std::nullopt;
}

template <bool inverted>
std::optional<std::string> yes_or_no(const Reader& reader, VirtAddr at, std::string_view what) {
  const auto value = reader.space().load<std::uint8_t>(at);
  if (value) return (*value != 0) != inverted ? "Y" : "N";
  reader.report(what, at, paging::to_string(value.error()));
  return std::nullopt;
}

std::optional<std::string> text_behind(const Reader& reader, VirtAddr at, std::string_view what) {
  const auto text = reader.pointer_at(at, what);
  if (!text) return std::nullopt;
  return *text ? reader.text_at(*text, kTextLimit, what) : std::string("(null)");
}

/// How kernel/params.c shows a value: the function of struct kernel_param_ops tells. Many modules
/// bring operations along that check what is set, and show it by one of these.
struct Kind {
  std::string_view getter, type;
  std::optional<std::string> (*show)(const Reader& reader, VirtAddr at, std::string_view what);
};

template <class T>
std::optional<std::string> decimal(const Reader& reader, VirtAddr at, std::string_view what) {
  return number<T>(reader, at, what, "{}");
}
std::optional<std::string> hexadecimal(const Reader& reader, VirtAddr at, std::string_view what) {
  return number<std::uint32_t>(reader, at, what, "{:#08x}");
}

constexpr Kind kKinds[] = {
    {"param_get_byte", "byte", decimal<std::uint8_t>},
    {"param_get_short", "short", decimal<std::int16_t>},
    {"param_get_ushort", "ushort", decimal<std::uint16_t>},
    {"param_get_int", "int", decimal<std::int32_t>},
    {"param_get_uint", "uint", decimal<std::uint32_t>},
    {"param_get_long", "long", decimal<std::int64_t>},
    {"param_get_ulong", "ulong", decimal<std::uint64_t>},
    {"param_get_ullong", "ullong", decimal<std::uint64_t>},
    {"param_get_hexint", "hexint", hexadecimal},
    {"param_get_bool", "bool", yes_or_no<false>},
    {"param_get_invbool", "invbool", yes_or_no<true>},
    {"param_get_charp", "charp", text_behind},
    {"param_get_string", kString, nullptr},
    {"param_array_get", kArray, nullptr},
};

const Kind* kind_of_type(std::string_view type) {
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& one) { return one.type == type; });
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace

ModuleParameters::ModuleParameters(LinuxKernel& kernel)
    : kernel_(kernel),
      reader_(kernel.reader()),
      built_in_start_(kernel.symbols().address_of("__start___param")),
      built_in_end_(kernel.symbols().address_of("__stop___param")),
      init_start_(kernel.symbols().address_of("__init_begin")),
      init_end_(kernel.symbols().address_of("__init_end")) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const auto module = Layout::of_optional(types, diagnostics, "module");
  first_ = module.field<VirtAddr>("kp");
  count_ = module.field<std::uint32_t>("num_kp");
  const Layout parameter(types, diagnostics, "kernel_param");
  size_ = parameter.size();
  name_ = parameter.field<VirtAddr>("name");
  module_ = parameter.field<VirtAddr>("mod");
  operations_ = parameter.field<VirtAddr>("ops");
  permissions_ = parameter.field<std::uint16_t>("perm");
  argument_ = parameter.field<VirtAddr>("arg");
  get_ = Layout(types, diagnostics, "kernel_param_ops").field<VirtAddr>("get");
  const Layout string(types, diagnostics, "kparam_string");
  string_ = string.field<VirtAddr>("string");
  string_size_ = string.field<std::uint32_t>("maxlen");
  const Layout array(types, diagnostics, "kparam_array");
  array_max_ = array.field<std::uint32_t>("max");
  element_size_ = array.field<std::uint32_t>("elemsize");
  array_count_ = array.field<VirtAddr>("num");
  array_operations_ = array.field<VirtAddr>("ops");
  elements_ = array.field<VirtAddr>("elem");
}

std::vector<VirtAddr> ModuleParameters::array_at(VirtAddr first, std::uint64_t count) const {
  std::vector<VirtAddr> found;
  for (std::uint64_t i = 0; size_ && i < count; ++i) found.push_back(first + i * *size_);
  return found;
}

std::optional<std::vector<VirtAddr>> ModuleParameters::of_module(VirtAddr module) const {
  const auto count = reader_.get(module, count_);
  const auto first = reader_.get(module, first_);
  if (!count || !first) return std::nullopt;
  if (*count > kCountLimit) {
    reader_.report(count_.name, module,
                   fmt::format("{} parameters, at most {} expected", *count, kCountLimit));
    return std::nullopt;
  }
  auto found = array_at(*first, *first ? *count : 0);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (reader_.get(found[i], module_) == module) continue;
    reader_.report(count_.name, module,
                   fmt::format("parameter {} of {}, at 0x{:x}, is none of this module", i,
                               found.size(), found[i].value));
    found.resize(i);
  }
  return found;
}

std::vector<VirtAddr> ModuleParameters::built_in() const {
  if (!built_in_start_ || !built_in_end_ || *built_in_end_ < *built_in_start_ || !size_) return {};
  const std::uint64_t count = (*built_in_end_ - *built_in_start_) / *size_;
  if (count > kBuiltInLimit) {
    reader_.report("__stop___param", *built_in_end_,
                   fmt::format("{} parameters, at most {} expected", count, kBuiltInLimit));
    return {};
  }
  return array_at(*built_in_start_, count);
}

std::optional<std::string> ModuleParameters::name(VirtAddr parameter) const {
  const auto text = reader_.follow(parameter, name_);
  return text ? reader_.text_at(*text, kNameLimit, name_.name) : std::nullopt;
}

std::optional<std::uint16_t> ModuleParameters::permissions(VirtAddr parameter) const {
  return reader_.get(parameter, permissions_);
}

std::optional<std::string> ModuleParameters::getter(VirtAddr parameter) const {
  const auto operations = reader_.follow(parameter, operations_);
  const auto function = operations ? reader_.follow(*operations, get_) : std::nullopt;
  return function ? kernel_.symbolize(*function) : std::nullopt;
}

/// Empty for an unknown one.
std::string_view ModuleParameters::type_behind(VirtAddr operations) const {
  const auto function = reader_.follow(operations, get_);
  const auto symbol = function ? kernel_.symbolize(*function) : std::nullopt;
  if (!symbol) return {};
  for (const auto& kind : kKinds) {
    if (kind.getter == *symbol) return kind.type;
  }
  return {};
}

std::optional<std::string> ModuleParameters::type(VirtAddr parameter) const {
  const auto operations = reader_.follow(parameter, operations_);
  const auto type = operations ? type_behind(*operations) : std::string_view();
  if (type.empty()) return std::nullopt;
  if (type != kArray) return std::string(type);
  const auto array = reader_.follow(parameter, argument_);
  const auto inner = array ? reader_.follow(*array, array_operations_) : std::nullopt;
  const auto element = inner ? type_behind(*inner) : std::string_view();
  return element.empty() ? std::string(kArray) : fmt::format("{} of {}", kArray, element);
}

// Variables that are used only while the code is initialised are freed with it. What lies there now
// is something else.
bool ModuleParameters::is_freed(VirtAddr parameter, VirtAddr variable) const {
  const auto module = reader_.get(parameter, module_);
  if (!module) return true;
  if (*module) {
    if (kernel_.modules().containing(variable)) return false;
    // A module that hides itself is not among those whose memory is known.
    const auto areas = kernel_.modules().memory().allocations(*module);
    return std::none_of(areas.begin(), areas.end(), [&](const ModuleArea& area) {
      return variable >= area.start && variable < area.end();
    });
  }
  return init_start_ && init_end_ && variable >= *init_start_ && variable < *init_end_;
}

std::optional<std::string> ModuleParameters::scalar(std::string_view type, VirtAddr at) const {
  const auto* kind = kind_of_type(type);
  return kind != nullptr && kind->show != nullptr && at ? kind->show(reader_, at, argument_.name)
                                                        : std::nullopt;
}

// param_array_get() in kernel/params.c
std::optional<std::string> ModuleParameters::array(VirtAddr array) const {
  const auto operations = reader_.follow(array, array_operations_);
  const auto size = reader_.get(array, element_size_);
  const auto elements = reader_.follow(array, elements_);
  const auto counter = reader_.get(array, array_count_);
  const auto most = reader_.get(array, array_max_);
  if (!operations || !size || !elements || !counter || !most) return std::nullopt;
  std::uint32_t count = *most;
  if (*counter) {
    const auto now = reader_.space().load<std::uint32_t>(*counter);
    if (!now) {
      reader_.report(array_count_.name, array, paging::to_string(now.error()));
      return std::nullopt;
    }
    count = *now;
  }
  if (count > std::min(*most, kElementLimit)) {
    reader_.report(
        array_count_.name, array,
        fmt::format("{} elements, at most {} expected", count, std::min(*most, kElementLimit)));
    return std::nullopt;
  }
  const auto type = type_behind(*operations);
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto element = scalar(type, *elements + i * *size);
    if (!element) return std::nullopt;
    text += (i == 0 ? "" : ",") + *element;
    if (text.size() > kTextLimit) {
      reader_.report(elements_.name, array,
                     fmt::format("{} bytes of text up to element {} of {}, at most {} expected",
                                 text.size(), i, count, kTextLimit));
      return std::nullopt;
    }
  }
  return text;
}

std::optional<std::string> ModuleParameters::value(VirtAddr parameter) const {
  const auto operations = reader_.follow(parameter, operations_);
  const auto argument = reader_.follow(parameter, argument_);
  if (!operations || !argument || is_freed(parameter, *argument)) return std::nullopt;
  const auto type = type_behind(*operations);
  if (type == kArray) return array(*argument);
  if (type != kString) return scalar(type, *argument);
  const auto size = reader_.get(*argument, string_size_);
  const auto text = reader_.follow(*argument, string_);
  if (!size || !text) return std::nullopt;
  return reader_.text_at(*text, std::min<std::size_t>(*size, kTextLimit), string_.name);
}

std::optional<std::string> ModuleParameters::text(VirtAddr module) const {
  const auto parameters = of_module(module);
  if (!parameters) return std::nullopt;
  std::string text;
  for (const auto parameter : *parameters) {
    const auto value = this->value(parameter);
    const auto bits = permissions(parameter);
    fmt::format_to(std::back_inserter(text), "{}{}{}{} ({})", text.empty() ? "" : ", ",
                   name(parameter).value_or("?"), value ? "=" : "", value.value_or(""),
                   bits ? fmt::format("{:04o}", *bits) : "?");
    if (text.size() > kAllTextLimit) {
      reader_.report(first_.name, module,
                     fmt::format("more than {} bytes of text for {} parameters", kAllTextLimit,
                                 parameters->size()));
      return std::nullopt;
    }
  }
  return text;
}

}  // namespace engram::kernel
