// SPDX-License-Identifier: Apache-2.0
#include "server/access/root_token.h"

#include <sys/stat.h>

#include <fstream>

namespace quorate::server {
namespace {

constexpr size_t kTokenBytesMin = 32;
constexpr size_t kTokenBytesMax = 1024;

}  // namespace

Result<std::string> read_root_token(const std::string& path) {
  if (path.empty()) {
    return std::string();
  }
  const auto wrong = [&path](const std::string& what) {
    return Status(Code::kInvalidArgument, "access.root_token_file: " + path + " " + what);
  };
  std::ifstream file(path);
  struct stat about {};
  if (!file || ::stat(path.c_str(), &about) != 0) {
    return wrong("cannot be read");
  }
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return wrong("may be read by others: chmod 600 it");
  }
  std::string token;
  std::getline(file, token);
  if (token.size() < kTokenBytesMin || token.size() > kTokenBytesMax) {
    return wrong("must hold a line of 32 to 1024 characters");
  }
  return token;
}

}  // namespace quorate::server
