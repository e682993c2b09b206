// SPDX-License-Identifier: Apache-2.0
#include "server/access/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

namespace quorate::server {
namespace {

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Release<X509_free>>;
using Bio = std::unique_ptr<BIO, Release<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Release<X509_EXTENSION_free>>;

Status failed(const std::string& what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return {Code::kInternal, what + ": " + text};
}

Status file_error(const std::string& path) {
  return {errno == EEXIST ? Code::kAlreadyExists : Code::kUnavailable,
          path + ": " + std::strerror(errno)};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// A new file; one that is there is left alone.
Status write_new(const std::string& path, BIO* content, mode_t mode) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(content, &bytes);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) {
    return file_error(path);
  }
  const bool written =
      ::write(file, bytes, static_cast<size_t>(size)) == size && ::fsync(file) == 0;
  const Status status = written ? Status::success() : file_error(path);
  ::close(file);
  return status;
}

Status write_pair(const std::string& stem, X509* certificate, EVP_PKEY* key) {
  const Bio key_text(BIO_new(BIO_s_mem()));
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate) != 1) {
    return failed("writing " + stem);
  }
  RETURN_IF_ERROR(write_new(stem + ".key", key_text.get(), 0600));
  return write_new(stem + ".pem", certificate_text.get(), 0644);
}

Result<Certificate> read_certificate(const std::string& path) {
  const Bio file(BIO_new_file(path.c_str(), "r"));
  Certificate certificate(
      file == nullptr ? nullptr : PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    return failed("reading " + path);
  }
  return certificate;
}

Result<Key> read_key(const std::string& path) {
  const Bio file(BIO_new_file(path.c_str(), "r"));
  Key key(file == nullptr ? nullptr
                          : PEM_read_bio_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) {
    return failed("reading " + path);
  }
  return key;
}

bool add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// A certificate with all but its extensions and signature.
Result<Certificate> draft(EVP_PKEY* key, const std::string& name, int days) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  if (certificate == nullptr || RAND_bytes(serial, sizeof serial) != 1) {
    return failed("a new certificate");
  }
  serial[0] &= 0x7f;  // positive
  BIGNUM* const number = BN_bin2bn(serial, sizeof serial, nullptr);
  const bool numbered = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const bool named =
      X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>("Quorate"), -1, -1, 0) &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  // An hour back, for clocks that are behind.
  const bool dated = X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600) != nullptr &&
                     X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr);
  if (!numbered || !named || !dated || X509_set_version(certificate.get(), 2) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return failed("a new certificate");
  }
  return certificate;
}

// "DNS:node-1,IP:10.0.0.1"
std::string alternatives(const CertificateRequest& request) {
  std::string text = "DNS:" + request.name;
  for (const std::string& host : request.hosts) {
    boost::system::error_code no_address;
    (void)boost::asio::ip::make_address(host, no_address);
    text += (no_address ? ",DNS:" : ",IP:") + host;
  }
  return text;
}

// A host is put into OpenSSL's own little language, so it must be no more than a host.
Status check_host(const std::string& host) {
  const bool plain = !host.empty() && host.size() <= 253 &&
                     host.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789.-_:*") == std::string::npos;
  return plain ? Status::success()
               : Status(Code::kInvalidArgument, "'" + host + "' is no name or address of a host");
}

std::string hosts_of(X509* certificate) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const Bio text(BIO_new(BIO_s_mem()));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    BIO_puts(text.get(), i == 0 ? "" : " ");
    GENERAL_NAME_print(text.get(), sk_GENERAL_NAME_value(names, i));
  }
  GENERAL_NAMES_free(names);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

}  // namespace

Status ensure_authority(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return file_error(directory);
  }
  const std::string stem = directory + "/ca";
  if (exists(stem + ".pem") && exists(stem + ".key")) {
    return Status::success();
  }
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) {
    return failed("a new key");
  }
  const Result<Certificate> certificate = draft(key.get(), "Quorate authority", kAuthorityDays);
  RETURN_IF_ERROR(certificate);
  X509* const x509 = certificate->get();
  X509_set_issuer_name(x509, X509_get_subject_name(x509));
  const bool extended =
      add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(x509, x509, NID_subject_key_identifier, "hash");
  if (!extended || X509_sign(x509, key.get(), EVP_sha256()) == 0) {
    return failed("signing the authority");
  }
  return write_pair(stem, x509, key.get());
}

Status make_certificate(const std::string& directory, const CertificateRequest& request) {
  for (const std::string& host : request.hosts) {
    RETURN_IF_ERROR(check_host(host));
  }
  const std::string stem = directory + "/" + request.file;
  if (exists(stem + ".pem")) {
    return {Code::kAlreadyExists, stem + ".pem is there already; remove it to make it anew"};
  }
  const Result<Certificate> authority = read_certificate(directory + "/ca.pem");
  RETURN_IF_ERROR(authority);
  const Result<Key> authority_key = read_key(directory + "/ca.key");
  RETURN_IF_ERROR(authority_key);
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) {
    return failed("a new key");
  }
  const Result<Certificate> certificate = draft(key.get(), request.name, kCertificateDays);
  RETURN_IF_ERROR(certificate);
  X509* const x509 = certificate->get();
  X509_set_issuer_name(x509, X509_get_subject_name(authority->get()));
  // Nodes are clients of each other too.
  const char* const usage = request.server ? "serverAuth,clientAuth" : "clientAuth";
  const bool extended =
      add_extension(x509, authority->get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(x509, authority->get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(x509, authority->get(), NID_ext_key_usage, usage) &&
      add_extension(x509, authority->get(), NID_authority_key_identifier, "keyid") &&
      add_extension(x509, authority->get(), NID_subject_alt_name, alternatives(request));
  if (!extended || X509_sign(x509, authority_key->get(), EVP_sha256()) == 0) {
    return failed("signing " + request.file);
  }
  return write_pair(stem, x509, key.get());
}

Result<std::string> describe_certificate(const std::string& file) {
  const Result<Certificate> certificate = read_certificate(file);
  RETURN_IF_ERROR(certificate);
  char name[128] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate->get()), NID_commonName, name,
                            sizeof name);
  tm end{};
  ASN1_TIME_to_tm(X509_get0_notAfter(certificate->get()), &end);
  char until[16];
  std::strftime(until, sizeof until, "%Y-%m-%d", &end);
  const std::string hosts = hosts_of(certificate->get());
  return std::string(name) + "  " + (hosts.empty() ? "" : hosts + "  ") + "until " + until;
}

}  // namespace quorate::server
