# quorate_folder(NAME <library> [DEPS <libraries>] [LINK <external>] [TEST_DEPS <libraries>])
#
# Makes the folder's *.cc the library quorate_<name>, and its *_test.cc the executable
# <name>_test whose cases are registered with ctest. DEPS name sibling folders ("raft" for
# quorate_raft) and must agree with the layer table; tools/tidy compares both with it. Each header
# is compiled alone by the target `headers`.
function(quorate_folder)
  cmake_parse_arguments(ARG "" "NAME" "DEPS;LINK;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_main|_bench)\\.cc$")
  set(library quorate_${ARG_NAME})
  list(TRANSFORM ARG_DEPS PREPEND quorate_)
  list(TRANSFORM ARG_TEST_DEPS PREPEND quorate_)
  if(sources)
    add_library(${library} STATIC ${sources})
    target_include_directories(${library} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${library} PUBLIC ${ARG_DEPS} ${ARG_LINK})
  else()
    add_library(${library} INTERFACE)
    target_include_directories(${library} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${library} INTERFACE ${ARG_DEPS} ${ARG_LINK})
  endif()
  if(tests)
    add_executable(${ARG_NAME}_test ${tests})
    target_link_libraries(${ARG_NAME}_test PRIVATE ${library} ${ARG_TEST_DEPS} GTest::gtest
                                                   GTest::gtest_main Threads::Threads)
    target_compile_definitions(${ARG_NAME}_test
                               PRIVATE QUORATE_TESTDATA="${CMAKE_CURRENT_SOURCE_DIR}/testdata")
    gtest_discover_tests(${ARG_NAME}_test TEST_PREFIX ${ARG_NAME}. DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 300)
  endif()
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  quorate_check_headers(NAME ${ARG_NAME} HEADERS ${headers}
                        LIBRARIES ${library} ${ARG_TEST_DEPS} GTest::gtest)
endfunction()
