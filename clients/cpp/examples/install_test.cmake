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
file(REMOVE_RECURSE ${WORK})
