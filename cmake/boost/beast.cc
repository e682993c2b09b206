// SPDX-License-Identifier: Apache-2.0
// The bodies of Beast, compiled once for the whole program (see cmake/boost.cmake).
#include <boost/beast/src.hpp>
