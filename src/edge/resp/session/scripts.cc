// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/session/scripts.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {
namespace {

// A known script has a dozen lines; what is longer is none.
constexpr size_t kTextBytesMax = 4 * 1024;
// Spellings of the same few scripts.
constexpr size_t kLoadedMax = 1'000;

struct Known {
  std::string_view digest;  // of its words, with a blank between them
  Script script;
};
constexpr Known kKnown[] = {
    {"6013ae0c95eeba7b3e33a88fc8d25a77f4b550fe", Script::kDeleteIfValue},   // redis-py releases
    {"d8a398966e7abc78a880ed5663c322deb19842b9", Script::kProlongIfValue},  // redis-py extends
    {"c71cad0a6ec0d7d5ebef9ee0a7da090bd349b10e", Script::kExpireIfValue},   // redis-py reacquires
    {"8f4d42e76cbb4fad0f45e575441b8a269ebc173c",
     Script::kDeleteIfValue},  // as the pages of Redis delete
    {"dc8ad6110baa7f60ed379b4db40a165d3c7e1ae1", Script::kExpireIfValue},         // and prolong
    {"92501c2233520d90f49109a7bf0c4a1fc04a2a46", Script::kExpireIfValueSeconds},  // by seconds
};

bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || byte == '_';
}
bool is_blank(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == ';'; }

// The word that begins at `at`, which is moved behind it. A text in quotes is a word; false if it
// does not end.
bool next_word(std::string_view text, size_t& at, std::string& word) {
  const size_t begin = at;
  const char first = text[at];
  if (first == '\'' || first == '"') {
    const size_t end = text.find(first, at + 1);
    if (end == std::string_view::npos) {
      return false;
    }
    word = '"' + std::string(text.substr(at + 1, end - at - 1)) + '"';
    at = end + 1;
    return true;
  }
  if (is_name_byte(first)) {
    while (at < text.size() && is_name_byte(text[at])) {
      ++at;
    }
  } else {
    const bool is_pair = text.substr(at + 1, 1) == "=" && (first == '=' || first == '~');
    at += is_pair ? 2 : 1;
  }
  word = text.substr(begin, at - begin);
  return true;
}

// The words with a blank between them; empty if it cannot be read.
std::string words_of(std::string_view text) {
  std::string all;
  std::string word;
  bool names_command = false;  // behind "call ("
  std::string before;
  for (size_t at = 0; at < text.size();) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    if (text.substr(at, 2) == "--") {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (!next_word(text, at, word)) {
      return {};
    }
    all += all.empty() ? "" : " ";
    all += names_command ? lower_case(word) : word;
    names_command = word == "(" && before == "call";
    before = word;
  }
  return all;
}

}  // namespace

size_t arguments_of(Script script) {
  switch (script) {
    case Script::kDeleteIfValue: return 1;
    case Script::kExpireIfValue:
    case Script::kExpireIfValueSeconds: return 2;
    case Script::kProlongIfValue: return 3;
  }
  return 0;
}

std::string digest_of(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), bytes.data(), &size, EVP_sha1(), nullptr);
  std::string digest;
  for (unsigned at = 0; at < size; ++at) {
    digest += kHex[bytes[at] >> 4];
    digest += kHex[bytes[at] & 15];
  }
  return digest;
}

std::optional<Script> recognise(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return std::nullopt;
  }
  const std::string digest = digest_of(words_of(text));
  for (const Known& known : kKnown) {
    if (known.digest == digest) {
      return known.script;
    }
  }
  return std::nullopt;
}

std::string Scripts::load(std::string_view text, Script script) {
  if (loaded_.size() >= kLoadedMax) {
    loaded_.clear();  // whoever misses one loads it again
  }
  std::string digest = digest_of(text);
  loaded_.emplace(digest, script);
  return digest;
}

std::optional<Script> Scripts::find(std::string_view digest) const {
  const auto found = loaded_.find(lower_case(digest));
  return found == loaded_.end() ? std::nullopt : std::optional<Script>(found->second);
}

}  // namespace quorate::edge::resp
