# peerlane_room(NAME [EMBEDDED] [DEPENDS room...] [LIBRARIES target...])
#
# One directory is one library `peerlane_NAME`: every *.cc in it but the *_test.cc, which become one GoogleTest program
# `NAME_test` with the ctest label `unit`. EMBEDDED: other programs load it too, as part of a shared library.
function(peerlane_room name)
  cmake_parse_arguments(ROOM "EMBEDDED" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/(main|plugin)\\.cc$")

  if(sources)
    set(scope PUBLIC)
    add_library(peerlane_${name} STATIC ${sources})
  else()
    set(scope INTERFACE)
    add_library(peerlane_${name} INTERFACE)
  endif()
  list(TRANSFORM ROOM_DEPENDS PREPEND peerlane_)
  target_link_libraries(peerlane_${name} ${scope} peerlane_options ${ROOM_DEPENDS} ${ROOM_LIBRARIES})

  if(ROOM_EMBEDDED AND sources)
    peerlane_embedded(peerlane_${name})
    peerlane_precompile(peerlane_${name} embedded)
  elseif(sources)
    peerlane_precompile(peerlane_${name} program)
  endif()

  if(PEERLANE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE peerlane_${name} peerlane_test_options GTest::gtest GTest::gmock
      GTest::gtest_main)
    peerlane_precompile(${name}_test test)
    add_test(NAME unit.${name} COMMAND ${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
