# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0

# Settings that every target of the project shares; not exported.
add_library(engram_settings INTERFACE)
target_compile_features(engram_settings INTERFACE cxx_std_20)
target_compile_options(engram_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  $<$<BOOL:${ENGRAM_WERROR}>:-Werror>)
if(ENGRAM_SANITIZE)
  # Every finding ends the program: a test that only prints one would pass.
  target_compile_options(engram_settings INTERFACE
    -fsanitize=${ENGRAM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(engram_settings INTERFACE -fsanitize=${ENGRAM_SANITIZE})
endif()
# g++ 12 warns of overlapping copies in std::string at -O3 where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(engram_settings INTERFACE -Wno-restrict)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(ENGRAM_CCACHE ccache)
if(ENGRAM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ENGRAM_CCACHE})
endif()

set_property(GLOBAL PROPERTY ENGRAM_LAYERS "")

# engram_chosen_files(LIST): takes out of a list of files what the options leave out.
function(engram_chosen_files list)
  if(NOT ENGRAM_XEN)
    list(FILTER ${list} EXCLUDE REGEX "/(test_)?xen[a-z_]*\\.(cc|h)$")
  endif()
  set(${list} "${${list}}" PARENT_SCOPE)
endfunction()

# engram_layer(NAME PUBLIC libs... PRIVATE libs...): the library of src/NAME, one file a noun, tests beside the source.
function(engram_layer name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  set(dir "${CMAKE_CURRENT_SOURCE_DIR}/src/${name}")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${dir}/*.cc")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${dir}/*.h")
  list(FILTER headers EXCLUDE REGEX "(/test_[a-z_]*|_test)\\.h$")  # what only tests use is not installed
  engram_chosen_files(sources)
  engram_chosen_files(headers)
  add_library(engram_${name} STATIC ${sources})
  add_library(engram::${name} ALIAS engram_${name})
  set_target_properties(engram_${name} PROPERTIES EXPORT_NAME ${name})
  target_sources(engram_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/src" FILES ${headers})
  target_compile_features(engram_${name} PUBLIC cxx_std_20)
  target_link_libraries(engram_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:engram_settings>)
  set_property(GLOBAL APPEND PROPERTY ENGRAM_LAYERS ${name})
endfunction()

# engram_program(NAME FOLDER): the program made of src/FOLDER; everything but main.cc is a library, so that tests reach it.
function(engram_program name folder)
  find_package(CLI11 REQUIRED)
  find_package(tomlplusplus REQUIRED)
  pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/${folder}/*.cc")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  add_library(engram_${folder} STATIC ${sources})
  target_link_libraries(engram_${folder} PUBLIC engram::output CLI11::CLI11 PkgConfig::libedit
    tomlplusplus::tomlplusplus engram_settings)
  target_include_directories(engram_${folder} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/src")
  add_executable(${name} "src/${folder}/main.cc")
  target_link_libraries(${name} PRIVATE engram_${folder})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# The libraries as an installable package: find_package(engram) gives engram::base ... engram::output.
function(engram_install)
  get_property(layers GLOBAL PROPERTY ENGRAM_LAYERS)
  list(TRANSFORM layers PREPEND engram_ OUTPUT_VARIABLE targets)
  add_library(engram_all INTERFACE)
  add_library(engram::engram ALIAS engram_all)
  set_target_properties(engram_all PROPERTIES EXPORT_NAME engram)
  target_link_libraries(engram_all INTERFACE ${targets})
  install(TARGETS ${targets} engram_all EXPORT engram-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/engram)
  install(EXPORT engram-targets NAMESPACE engram:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/engram)
  include(CMakePackageConfigHelpers)
  configure_package_config_file("${CMAKE_CURRENT_SOURCE_DIR}/cmake/engram-config.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/engram-config.cmake"
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/engram)
  write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/engram-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/engram-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/engram-config-version.cmake"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/engram)
endfunction()

# One test program a layer, from the *_test.cc files beside its sources.
function(engram_tests)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  get_property(layers GLOBAL PROPERTY ENGRAM_LAYERS)
  foreach(layer ${layers} cli)
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/${layer}/*_test.cc")
    engram_chosen_files(tests)
    if(NOT tests)
      continue()
    endif()
    add_executable(${layer}_test ${tests})
    target_link_libraries(${layer}_test PRIVATE engram_${layer} engram_settings GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${layer}_test TEST_PREFIX "${layer}." DISCOVERY_MODE PRE_TEST)
  endforeach()
endfunction()
