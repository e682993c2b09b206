# cmake -DBUILD=... -DSOURCE=... -DWORK=... -P install_test.cmake
# Installs the embedded library into an empty prefix, builds the example against it as a stranger
# would, and runs it.
function(must)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
must(${CMAKE_COMMAND} --build ${BUILD} --target quorate-archive)
must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component embedded)
must(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
     -DCMAKE_BUILD_TYPE=Release)
must(${CMAKE_COMMAND} --build ${WORK}/build)
must(${WORK}/build/example-embedded ${WORK}/data)
must(${WORK}/build/example-remote ${WORK}/data-remote)
must(${WORK}/build/example-remote_locks ${WORK}/data-remote-locks)
# What asks pkg-config gets the same program.
find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  set(ENV{PKG_CONFIG_PATH} ${WORK}/prefix/lib/pkgconfig)
  execute_process(COMMAND ${PKG_CONFIG} --cflags --libs quorate OUTPUT_VARIABLE flags
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  must(c++ -std=c++20 -I${SOURCE}/../../.. ${SOURCE}/remote.cc -o ${WORK}/remote ${flags})
  must(${WORK}/remote ${WORK}/data-remote)
endif()
file(REMOVE_RECURSE ${WORK})
