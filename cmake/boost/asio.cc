// SPDX-License-Identifier: Apache-2.0
// The bodies of Asio, compiled once for the whole program (see cmake/boost.cmake).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
