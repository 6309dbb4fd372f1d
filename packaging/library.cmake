# What programs of others are built with: headers, the shared library with the C interface, the initiator's rooms as one
# static library, and how CMake and pkg-config find them. Installed as a whole or as the component `development`.
#
# Not with sanitizers, whose run-time such programs do not have.
include(CMakePackageConfigHelpers)

set(library_rooms base io scsi iscsi transport block initiator)
set(objects ${library_rooms})
list(TRANSFORM objects REPLACE "(.+)" "$<TARGET_OBJECTS:peerlane_\\1>")

add_library(peerlane_package STATIC ${objects})
set_target_properties(peerlane_package PROPERTIES OUTPUT_NAME peerlane_initiator EXPORT_NAME initiator
  LINKER_LANGUAGE CXX)
target_compile_features(peerlane_package INTERFACE cxx_std_23)
target_include_directories(peerlane_package INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/peerlane>)
target_link_libraries(peerlane_package INTERFACE
  fmt::fmt spdlog::spdlog PkgConfig::liburing PkgConfig::isal OpenSSL::Crypto Threads::Threads)
target_include_directories(peerlane_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(peerlane_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Peerlane)
install(TARGETS peerlane_shared peerlane_package EXPORT peerlane_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT peerlane_targets NAMESPACE Peerlane:: FILE PeerlaneTargets.cmake DESTINATION ${peerlane_cmake_dir}
  COMPONENT development)

install(FILES ${CMAKE_SOURCE_DIR}/src/capi/peerlane/peerlane.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/peerlane
  COMPONENT development)
foreach(room ${library_rooms})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/peerlane
    COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN testing EXCLUDE PATTERN "testing.h" EXCLUDE)
endforeach()

configure_package_config_file(PeerlaneConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/PeerlaneConfig.cmake
  INSTALL_DESTINATION ${peerlane_cmake_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/PeerlaneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/PeerlaneConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/PeerlaneConfigVersion.cmake
  DESTINATION ${peerlane_cmake_dir} COMPONENT development)

# pkg-config files name the prefix: they are made when it is known.
foreach(name peerlane peerlane-initiator)
  configure_file(${name}.pc.in ${name}.pc.in @ONLY)
  install(CODE "
    file(READ \"${CMAKE_CURRENT_BINARY_DIR}/${name}.pc.in\" text)
    string(REPLACE \"prefix=${CMAKE_INSTALL_PREFIX}\" \"prefix=\${CMAKE_INSTALL_PREFIX}\" text \"\${text}\")
    file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig/${name}.pc\" \"\${text}\")"
    COMPONENT development)
endforeach()
