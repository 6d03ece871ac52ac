// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Prints the release of the kernel in an image, asked in SQL.
#include <cstdio>
#include <string>

#include "sql/database.h"

int main(int argc, char** argv) {
  auto image = engram::image::Image::open(argc > 1 ? argv[1] : "");
  if (!image) {
    std::fprintf(stderr, "%s\n", image.error().text.c_str());
    return 1;
  }
  engram::kernel::Session session(std::move(*image));
  auto database = engram::sql::Database::create(session, engram::tables::all_tables());
  if (!database) return 1;
  auto query = (*database)->prepare("SELECT kernel_version FROM os_version");
  if (!query) return 1;
  const auto row = query->step();
  if (!row || !*row) return 1;
  const auto release = query->value(0);
  const auto* text = std::get_if<std::string>(&release);
  std::puts(text != nullptr ? text->c_str() : "?");
  return text != nullptr ? 0 : 1;
}
