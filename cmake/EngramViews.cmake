# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0

# engram_embed_views(TARGET FOLDER): compiles the folder's .sql files into the target.
function(engram_embed_views target folder)
  file(GLOB views CONFIGURE_DEPENDS "${folder}/*.sql")
  set(script "${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_views.cmake")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${target}_views.cc")
  add_custom_command(OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" "-DVIEWS=${folder}" "-DOUTPUT=${output}" -P "${script}"
    DEPENDS ${views} "${script}" VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
