// SPDX-License-Identifier: Apache-2.0
// quorate certs: the cluster's own certificates.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>

#include "cli/arguments.h"
#include "cli/session.h"
#include "server/access/certificates.h"
#include "server/commands.h"

namespace quorate::server {
namespace {

constexpr std::string_view kHelp = R"(quorate certs COMMAND

Makes certificates for a cluster with an authority of its own.

  node N... [--hosts HOST,...]   certificates of nodes, for servers and between nodes
  client NAME...                 certificates of clients, for tls.clients = required
  show                           what the directory holds

  --dir DIR     where they are (certs); the authority is made there when it is missing
  --hosts       names and addresses by which clients reach the nodes (localhost,127.0.0.1)

For three nodes on three machines:
  quorate certs node 1 --hosts db1.example,10.0.0.1     and so on for 2 and 3
  each node gets ca.pem, node-N.pem and node-N.key; ca.key stays where it is safe
  quorate server --node 1 --tls-directory certs ...
  quorate kv get greeting --tls-authority certs/ca.pem
Exit codes: 0 done; 1 failed; 2 wrong usage.
)";

constexpr cli::Flag kFlags[] = {{"--dir", "DIR", ""}, {"--hosts", "HOST,...", ""}};

int usage(const std::string& text) {
  std::cerr << "quorate: " << text << "\nSee: quorate help certs\n";
  return 2;
}

int failed(const Status& status) {
  std::cerr << "quorate: " << status.message() << "\n";
  return 1;
}

bool is_number(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

// It becomes a file's name.
bool is_name(const std::string& text) {
  return text.size() <= 64 && !text.empty() && text[0] != '.' &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             ".-_@") == std::string::npos;
}

int show(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".pem") {
      files.push_back(entry.path().filename());
    }
  }
  if (error) {
    return failed(Status(Code::kNotFound, directory + ": " + error.message()));
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    const Result<std::string> text = describe_certificate(directory + "/" + file);
    std::cout << file << "  " << (text.ok() ? *text : text.status().message()) << "\n";
  }
  return 0;
}

int make(const std::string& directory, const CertificateRequest& request) {
  Status status = ensure_authority(directory);
  status = status.ok() ? make_certificate(directory, request) : status;
  if (!status.ok()) {
    return failed(status);
  }
  const std::string stem = directory + "/" + request.file;
  std::cout << "made " << stem << ".pem and " << stem << ".key\n";
  return 0;
}

}  // namespace

int certs_main(const Words& words) {
  const bool helps =
      !words.empty() && (words[0] == "help" || words[0] == "--help" || words[0] == "-h");
  if (words.empty() || helps) {
    (words.empty() ? std::cerr : std::cout) << kHelp;
    return words.empty() ? 2 : 0;
  }
  const Result<cli::Arguments> arguments =
      cli::parse_arguments({words.begin() + 1, words.end()}, kFlags, {});
  if (!arguments.ok()) {
    return usage(arguments.status().message());
  }
  const std::string directory = arguments->value("--dir").value_or("certs");
  if (words[0] == "show") {
    return arguments->words.empty() ? show(directory) : usage("certs show takes no words");
  }
  const bool nodes = words[0] == "node";
  if (!nodes && words[0] != "client") {
    return usage("no such command: certs " + words[0]);
  }
  if (arguments->words.empty()) {
    return usage(nodes ? "certs node: which number?" : "certs client: which name?");
  }
  for (const std::string& word : arguments->words) {
    if (nodes ? !is_number(word) : !is_name(word)) {
      return usage("'" + word + "' is no " + (nodes ? "node's number" : "name for a client"));
    }
  }
  const std::vector<std::string> hosts =
      cli::split_nodes(arguments->value("--hosts").value_or("localhost,127.0.0.1"));
  for (const std::string& word : arguments->words) {
    const std::string stem = (nodes ? "node-" : "client-") + word;
    const CertificateRequest request = {stem, nodes ? stem : word,
                                        nodes ? hosts : std::vector<std::string>(), nodes};
    if (const int code = make(directory, request); code != 0) {
      return code;
    }
  }
  return 0;
}

}  // namespace quorate::server
