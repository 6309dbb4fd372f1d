# Compiler and linker flags that every room shares.

add_library(peerlane_options INTERFACE)
target_include_directories(peerlane_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(peerlane_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Wnull-dereference -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough
  -fno-omit-frame-pointer)
if(PEERLANE_WERROR)
  target_compile_options(peerlane_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees these where there are none, in inlined library code and coroutine frames; clang checks them as well.
  target_compile_options(peerlane_options INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized -Wno-array-bounds
    -Wno-stringop-overflow -Wno-stringop-overread)
endif()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(peerlane_options INTERFACE -march=x86-64-v2)
endif()

if(PEERLANE_SANITIZE)
  target_compile_options(peerlane_options INTERFACE -fsanitize=${PEERLANE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(peerlane_options INTERFACE -fsanitize=${PEERLANE_SANITIZE})
  if(PEERLANE_SANITIZE MATCHES "undefined")
    # The vptr check opens a pipe to look at memory, and takes what it cannot look at for an invalid object: wrong
    # where a test runs out of descriptors.
    target_compile_options(peerlane_options INTERFACE -fno-sanitize=vptr)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # A third of what g++ takes to compile. AddressSanitizer stops at null pointers anyhow; the fuzzers, built with
      # clang, check both.
      target_compile_options(peerlane_options INTERFACE -fno-sanitize=null,alignment)
    endif()
  endif()
  if(PEERLANE_SANITIZE MATCHES "thread")
    # TSan does not model std::atomic_thread_fence; g++ warns at each use.
    target_compile_options(peerlane_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
endif()
if(PEERLANE_FUZZ)
  target_compile_options(peerlane_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Unit tests spend their time in the rooms' code, not in their own, and are half of what there is to compile.
add_library(peerlane_test_options INTERFACE)
target_compile_options(peerlane_test_options INTERFACE -O0)

# What other programs load: position independent, and none of its names in theirs.
function(peerlane_embedded target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()
