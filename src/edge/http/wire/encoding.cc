// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/encoding.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "base/assert.h"

namespace quorate::edge::http {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the greatest window, with the frame of gzip
constexpr int kMemoryLevel = 8;           // that of zlib itself
constexpr size_t kStepBytes = 64 * 1024;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool same_word(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// "q=0.5": in thousandths; 1,000 where nothing is said, or nothing that can be read.
int weight_of(std::string_view parameters) {
  constexpr int kWhole = 1'000;
  std::string_view text = trimmed(parameters);
  if (!text.starts_with("q=") && !text.starts_with("Q=")) {
    return kWhole;
  }
  text.remove_prefix(2);
  int weight = text.starts_with("0") ? 0 : kWhole;
  int unit = 100;
  for (size_t at = 2; weight < kWhole && at < text.size() && unit > 0; ++at, unit /= 10) {
    weight += text[at] >= '0' && text[at] <= '9' ? (text[at] - '0') * unit : 0;
  }
  return weight;
}

Bytef* bytes_of(const char* text) {
  // zlib's input is not const for historical reasons; it is not written to.
  return reinterpret_cast<Bytef*>(const_cast<char*>(text));
}

Status too_large(size_t bytes_max) {
  return Status(Code::kTooLarge,
                "the body is over " + std::to_string(bytes_max) + " bytes when it is unpacked");
}

class Inflater {
 public:
  Inflater() {
    const int error = inflateInit2(&stream_, kGzipWindowBits);
    ASSERT(error == Z_OK, "out of memory");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Result<std::string> run(std::string_view packed, size_t bytes_max) {
    stream_.next_in = bytes_of(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());
    std::string body;
    for (;;) {
      const size_t before = body.size();
      // One byte more than allowed tells too much from just enough.
      body.resize(std::min(before + kStepBytes, bytes_max + 1));
      stream_.next_out = bytes_of(body.data() + before);
      stream_.avail_out = static_cast<uInt>(body.size() - before);
      const int said = inflate(&stream_, Z_NO_FLUSH);
      body.resize(body.size() - stream_.avail_out);
      if (body.size() > bytes_max) {
        return too_large(bytes_max);
      }
      if (said == Z_STREAM_END && stream_.avail_in == 0) {
        return body;
      }
      const bool goes_on = said == Z_OK && (stream_.avail_in > 0 || stream_.avail_out == 0);
      if (said == Z_STREAM_END ? inflateReset(&stream_) != Z_OK : !goes_on) {
        return Status(Code::kInvalidArgument, "the body is not whole gzip");
      }
    }
  }

 private:
  z_stream stream_ = {};
};

bool gzip(std::string_view body, std::string& packed) {
  ASSERT(body.size() <= UINT_MAX);
  z_stream stream = {};
  const int error = deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindowBits, kMemoryLevel,
                                 Z_DEFAULT_STRATEGY);
  ASSERT(error == Z_OK, "out of memory");
  packed.resize(body.size() - body.size() / 8);
  stream.next_in = bytes_of(body.data());
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = bytes_of(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool fits = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return fits;
}

// ---- zstd --------------------------------------------------------------------------------------

constexpr int kZstdLevel = 1;
constexpr int kZstdWindowBitsMax = 23;  // what RFC 9659 has a decoder support, and no more

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

bool zstd(std::string_view body, std::string& packed) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  ASSERT(context != nullptr, "out of memory");
  packed.resize(body.size() - body.size() / 8);
  // There is an error if it does not fit, which is all that it may be.
  const size_t size = ZSTD_compressCCtx(context.get(), packed.data(), packed.size(), body.data(),
                                        body.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) {
    return false;
  }
  packed.resize(size);
  return true;
}

Result<std::string> unzstd(std::string_view packed, size_t bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  ASSERT(context != nullptr, "out of memory");
  (void)ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowBitsMax);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string body;
  for (;;) {
    const size_t before = body.size();
    body.resize(std::min(before + kStepBytes, bytes_max + 1));
    ZSTD_outBuffer out{body.data() + before, body.size() - before, 0};
    const size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    body.resize(before + out.pos);
    if (body.size() > bytes_max) {
      return too_large(bytes_max);
    }
    if (left == 0 && in.pos == in.size) {
      return body;
    }
    // What came is used up, there was room for more, and the frame is not at its end.
    const bool is_cut = in.pos == in.size && out.pos < out.size;
    if (ZSTD_isError(left) != 0 || is_cut) {
      return Status(Code::kInvalidArgument, "the body is not whole zstd");
    }
  }
}

}  // namespace

std::optional<Coding> coding_of(std::string_view content_encoding) {
  if (content_encoding.empty() || same_word(content_encoding, "identity")) {
    return Coding::kIdentity;
  }
  if (same_word(content_encoding, "gzip") || same_word(content_encoding, "x-gzip")) {
    return Coding::kGzip;
  }
  return same_word(content_encoding, "zstd") ? std::optional(Coding::kZstd) : std::nullopt;
}

std::string_view name_of(Coding coding) {
  switch (coding) {
    case Coding::kIdentity: break;
    case Coding::kGzip: return "gzip";
    case Coding::kZstd: return "zstd";
  }
  return "identity";
}

Coding choose_coding(std::string_view accept_encoding) {
  constexpr int kUnsaid = -1;
  int gzip_weight = kUnsaid;
  int zstd_weight = kUnsaid;
  int any_weight = 0;
  for (bool more = true; more;) {
    const size_t comma = accept_encoding.find(',');
    const std::string_view one = accept_encoding.substr(0, comma);
    const size_t mark = one.find(';');
    const std::string_view name = trimmed(one.substr(0, mark));
    const int weight =
        mark == std::string_view::npos ? weight_of({}) : weight_of(one.substr(mark + 1));
    const std::optional<Coding> coding = name.empty() ? std::nullopt : coding_of(name);
    if (coding == Coding::kGzip) {
      gzip_weight = weight;
    } else if (coding == Coding::kZstd) {
      zstd_weight = weight;
    } else if (name == "*") {
      any_weight = weight;
    }
    more = comma != std::string_view::npos;
    accept_encoding.remove_prefix(more ? comma + 1 : 0);
  }
  gzip_weight = gzip_weight == kUnsaid ? any_weight : gzip_weight;
  if (zstd_weight > 0 && zstd_weight >= gzip_weight) {
    return Coding::kZstd;
  }
  return gzip_weight > 0 ? Coding::kGzip : Coding::kIdentity;
}

bool pack(Coding coding, std::string_view body, std::string& packed) {
  switch (coding) {
    case Coding::kIdentity: break;
    case Coding::kGzip: return gzip(body, packed);
    case Coding::kZstd: return zstd(body, packed);
  }
  return false;
}

Result<std::string> unpack(Coding coding, std::string_view packed, size_t bytes_max) {
  ASSERT(packed.size() <= UINT_MAX && bytes_max < UINT_MAX);
  switch (coding) {
    case Coding::kIdentity: break;
    case Coding::kGzip: return Inflater().run(packed, bytes_max);
    case Coding::kZstd: return unzstd(packed, bytes_max);
  }
  return std::string(packed);
}

}  // namespace quorate::edge::http
