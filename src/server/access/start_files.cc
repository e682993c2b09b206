// SPDX-License-Identifier: Apache-2.0
#include "server/access/start_files.h"

#include <unistd.h>

#include <filesystem>

#include "edge/tls.h"
#include "os/tls.h"
#include "server/access/root_token.h"

namespace quorate::server {
namespace {

// The directory need not be there yet; then the nearest one above it must let it be made.
Status check_directory(const std::string& data) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(data, error);
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) {
    path = path.parent_path();
  }
  const auto wrong = [&](const std::string& what) {
    return Status(Code::kInvalidArgument, "data: " + path.string() + " " + what);
  };
  if (!std::filesystem::is_directory(path, error)) {
    return wrong("is no directory");
  }
  return ::access(path.c_str(), W_OK | X_OK) == 0 ? Status::success() : wrong("cannot be written");
}

}  // namespace

Status check_files(const StartFiles& files) {
  std::string problems;
  const auto look = [&problems](const Status& status, const std::string& prefix) {
    if (!status.ok()) {
      problems += (problems.empty() ? "" : "\n") + prefix + status.message();
    }
  };
  look(check_directory(files.data), "");
  if (!files.certificate.empty()) {
    const Status between = os::make_tls({files.authority, files.certificate, files.key}).status();
    look(between, "tls: ");
    if (between.ok()) {
      look(edge::load_tls({files.certificate, files.key, files.authority}).status(), "tls: ");
    }
  }
  if (files.root_token.has_value()) {
    look(read_root_token(*files.root_token).status(), "");
  }
  return problems.empty() ? Status::success() : Status(Code::kInvalidArgument, problems);
}

}  // namespace quorate::server
