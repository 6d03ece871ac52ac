# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0

# cmake -DVIEWS=folder -DOUTPUT=file.cc -P embed_views.cmake: the folder's .sql files as C++.
file(GLOB views "${VIEWS}/*.sql")
list(SORT views)
list(LENGTH views count)
set(entries "")
foreach(view IN LISTS views)
  get_filename_component(name "${view}" NAME_WE)
  file(READ "${view}" sql)
  string(APPEND entries "    {\"${name}\", R\"__view(${sql})__view\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by cmake/embed_views.cmake.
#include \"sql/views.h\"

#include <array>

namespace engram::sql {

std::span<const ViewSource> embedded_views() {
  static constexpr std::array<ViewSource, ${count}> kViews{{
${entries}  }};
  return kViews;
}

}  // namespace engram::sql
")
