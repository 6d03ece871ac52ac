// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/open_image.h"

#include "sql/session_lookups.h"
#include "tables/table.h"

namespace engram::cli {

std::string about(const std::string& path, const std::string& text) {
  return text.find(path) != std::string::npos ? text : path + ": " + text;
}

Result<OpenImage> OpenImage::open(const std::string& path, const Console& console) {
  auto image = image::Image::open(path);
  if (!image) return fail("{}", about(path, image.error().text));
  for (const auto& notice : image->notices()) {
    if (notice.level <= Level::warning) console.warning(about(path, notice.text));
  }
  OpenImage open;
  open.session_ = std::make_unique<kernel::Session>(std::move(*image));
  auto database =
      sql::Database::create(*open.session_, tables::all_tables(),
                            {sql::session_lookups(*open.session_), sql::embedded_views()});
  if (!database) return fail("{}", about(path, database.error().text));
  open.database_ = std::move(*database);
  return open;
}

}  // namespace engram::cli
