// SPDX-License-Identifier: Apache-2.0
// The bodies of Boost.JSON, compiled once for the whole program (see cmake/boost.cmake).
#include <boost/json/src.hpp>
