// SPDX-License-Identifier: Apache-2.0
#include "server/access/secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <charconv>
#include <vector>

#include "base/assert.h"
#include "base/text.h"

namespace quorate::server {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr uint64_t kMemoryMax = 64 * 1024 * 1024;

struct Cost {
  uint64_t log2_n = 14;
  uint64_t r = 8;
  uint64_t p = 1;
};

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string scrypt(std::string_view password, std::string_view salt, const Cost& cost) {
  std::string out(kHashBytes, '\0');
  const int done = EVP_PBE_scrypt(password.data(), password.size(), bytes_of(salt), salt.size(),
                                  uint64_t{1} << cost.log2_n, cost.r, cost.p, kMemoryMax,
                                  reinterpret_cast<unsigned char*>(out.data()), out.size());
  return done == 1 ? out : "";
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (size_t at = text.find(by); at != std::string_view::npos; at = text.find(by)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.push_back(text);
  return parts;
}

bool read_number(std::string_view text, uint64_t most, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 && number <= most;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(bytes), bytes.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string random_bytes(size_t size) {
  std::string out(size, '\0');
  const int done = RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size));
  ASSERT(done == 1, "the system has no randomness");
  return out;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string hash_token(std::string_view secret) { return "sha256$" + hex(sha256(secret)); }

Result<std::string> hash_password(std::string_view password) {
  const Cost cost;
  const std::string salt = random_bytes(kSaltBytes);
  const std::string hash = scrypt(password, salt, cost);
  if (hash.empty()) {
    return Status(Code::kInternal, "a password could not be hashed");
  }
  return "scrypt$" + std::to_string(cost.log2_n) + "$" + std::to_string(cost.r) + "$" +
         std::to_string(cost.p) + "$" + base64_encode(salt) + "$" + base64_encode(hash);
}

bool password_matches(std::string_view password, std::string_view hash) {
  const std::vector<std::string_view> parts = split(hash, '$');
  Cost cost;
  const bool readable = parts.size() == 6 && parts[0] == "scrypt" &&
                        read_number(parts[1], 20, cost.log2_n) &&
                        read_number(parts[2], 32, cost.r) && read_number(parts[3], 16, cost.p);
  if (!readable) {
    return false;
  }
  const auto salt = base64_decode(parts[4]);
  const auto expected = base64_decode(parts[5]);
  if (!salt || !expected || expected->size() != kHashBytes) {
    return false;
  }
  const std::string got = scrypt(password, *salt, cost);
  return !got.empty() && equal_in_constant_time(got, *expected);
}

}  // namespace quorate::server
