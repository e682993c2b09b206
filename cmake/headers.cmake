# quorate_check_headers(NAME <name> LIBRARIES <libraries> HEADERS <files>)
#
# Every header compiles alone: one source per header that includes only it, built by the target
# `headers` (and by the ctest test of that name), and only when the header or what it includes
# has changed. Optimisation and debug information are off: only the front end has work to do.
add_custom_target(headers)

function(quorate_check_headers)
  cmake_parse_arguments(ARG "" "NAME" "LIBRARIES;HEADERS" ${ARGN})
  if(NOT ARG_HEADERS)
    return()
  endif()
  set(sources)
  foreach(header IN LISTS ARG_HEADERS)
    file(RELATIVE_PATH path ${CMAKE_CURRENT_SOURCE_DIR} ${header})
    set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${path}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(headers_${ARG_NAME} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_compile_options(headers_${ARG_NAME} PRIVATE -O0 -g0)
  target_link_libraries(headers_${ARG_NAME} PRIVATE ${ARG_LIBRARIES})
  add_dependencies(headers headers_${ARG_NAME})
endfunction()

function(quorate_test_headers)
  # Ninja must not run twice in one build folder at a time.
  add_test(NAME headers COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target headers)
  set_tests_properties(headers PROPERTIES RUN_SERIAL ON TIMEOUT 600)
endfunction()
