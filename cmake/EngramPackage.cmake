# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0

# The man page and the completion of shells, and the Debian package of everything that is installed (make package).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(engram_man "${CMAKE_CURRENT_BINARY_DIR}/engram.1")
add_custom_command(OUTPUT "${engram_man}"
  COMMAND ${Python3_EXECUTABLE} "${CMAKE_CURRENT_SOURCE_DIR}/packaging/man_page.py" $<TARGET_FILE:engram> "${engram_man}"
  DEPENDS engram "${CMAKE_CURRENT_SOURCE_DIR}/packaging/man_page.py" VERBATIM)
add_custom_target(engram_man ALL DEPENDS "${engram_man}")
install(FILES "${engram_man}" DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/packaging/completion.bash"
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME engram)
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "engram contributors")
set(CPACK_PACKAGE_CONTACT "engram contributors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What programs that use the libraries are built with.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libfmt-dev, libexpected-dev, libsqlite3-dev, libbpf-dev")
include(CPack)
