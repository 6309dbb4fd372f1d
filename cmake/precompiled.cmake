# Headers that are compiled once, not in each source: the standard library's, fmt's and, for unit tests, GoogleTest's.
# Reading them is half of what a source takes to compile. Sources include what they use all the same: the configuration
# "debug" builds without.

option(PEERLANE_PRECOMPILE "Precompile the headers of libraries" ON)

set(precompiled_headers <algorithm> <array> <atomic> <cassert> <charconv> <chrono> <coroutine> <cstddef> <cstdint>
    <cstring> <expected> <functional> <memory> <mutex> <optional> <span> <string> <string_view> <utility> <variant>
    <vector> <fmt/format.h>)

# peerlane_precompile(TARGET KIND): TARGET reads what has been precompiled with its kind's compiler flags.
#   program   rooms that only Peerlane's own programs load
#   embedded  rooms that other programs load too
#   test      unit tests
function(peerlane_precompile target kind)
  if(NOT PEERLANE_PRECOMPILE)
    return()
  endif()
  set(owner peerlane_precompiled_${kind})
  if(NOT TARGET ${owner})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc CONTENT "")
    add_library(${owner} OBJECT ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc)
    target_link_libraries(${owner} PRIVATE peerlane_options fmt::fmt spdlog::spdlog)
    target_precompile_headers(${owner} PRIVATE ${precompiled_headers})
    if(kind STREQUAL embedded)
      peerlane_embedded(${owner})
    elseif(kind STREQUAL test)
      target_link_libraries(${owner} PRIVATE peerlane_test_options GTest::gtest GTest::gmock)
      target_precompile_headers(${owner} PRIVATE <gtest/gtest.h> <gmock/gmock.h>)
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()
