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
  open.path_ = path;
  open.session_ = std::make_unique<kernel::Session>(std::move(*image));
  auto database =
      sql::Database::create(*open.session_, tables::all_tables(),
                            {sql::session_lookups(*open.session_), sql::embedded_views()});
  if (!database) return fail("{}", about(path, database.error().text));
  open.database_ = std::move(*database);
  return open;
}

void OpenImage::report_damage(const Console& console) const {
  const auto rows = session_->diagnostics().rows();
  // The first rows are the image's own notices, which open() has said.
  std::uint64_t objects = session_->diagnostics().dropped();
  for (std::size_t i = session_->image().notices().size(); i < rows.size(); ++i) {
    if (rows[i].level > Level::warning) continue;
    if (rows[i].level == Level::error || rows[i].component == "image") {
      console.warning(about(path_, rows[i].message));
    } else {
      ++objects;
    }
  }
  if (objects == 0) return;
  console.warning(about(path_, fmt::format("{} object{} could not be read in full: SELECT * FROM "
                                           "diagnostics WHERE level <= 2 says which",
                                           objects, objects == 1 ? "" : "s")));
}

}  // namespace engram::cli
