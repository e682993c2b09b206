# Asio, Beast and JSON with their bodies in one library each, so that no other file compiles them.
# Whoever includes <boost/asio...> links quorate_asio (os, edge); whoever parses HTTP or JSON links
# quorate_beast or quorate_json. The definitions must be the same in every file of the program.
find_package(OpenSSL REQUIRED)

add_library(quorate_asio STATIC ${CMAKE_SOURCE_DIR}/cmake/boost/asio.cc)
target_compile_definitions(quorate_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION
                                               BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(quorate_asio PUBLIC OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
if(QUORATE_SANITIZE STREQUAL "thread")
  # Asio has fences, which the thread sanitizer does not follow; its locks say the same.
  target_compile_options(quorate_asio PUBLIC -Wno-tsan)
endif()

add_library(quorate_beast STATIC ${CMAKE_SOURCE_DIR}/cmake/boost/beast.cc)
target_compile_definitions(quorate_beast PUBLIC BOOST_BEAST_SEPARATE_COMPILATION)
target_link_libraries(quorate_beast PUBLIC quorate_asio)

add_library(quorate_json STATIC ${CMAKE_SOURCE_DIR}/cmake/boost/json.cc)
# The bodies come from json.cc, not from the distribution's shared library.
target_compile_definitions(quorate_json PUBLIC BOOST_JSON_STATIC_LINK BOOST_CONTAINER_STATIC_LINK)
foreach(library quorate_asio quorate_beast quorate_json)
  set_target_properties(${library} PROPERTIES CXX_CLANG_TIDY "")
endforeach()
