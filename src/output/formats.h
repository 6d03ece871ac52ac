// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The makers of the writers, for the list in writer.cc.

#include <memory>
#include <vector>

#include "output/writer.h"

namespace engram::output {

std::unique_ptr<Writer> make_table_writer(Sink& sink, WriterOptions options);
std::unique_ptr<Writer> make_json_writer(Sink& sink, WriterOptions options);
std::unique_ptr<Writer> make_json_lines_writer(Sink& sink, WriterOptions options);
std::unique_ptr<Writer> make_csv_writer(Sink& sink, WriterOptions options);

/// 0x..., for the integers of a column of addresses.
[[nodiscard]] std::string address_text(std::int64_t address);

[[nodiscard]] bool is_address(const sql::ResultColumn& column, const tables::Value& value);

}  // namespace engram::output
