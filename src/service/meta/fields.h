// SPDX-License-Identifier: Apache-2.0
// Put and Take: one list of fields per struct gives both its encoder and its decoder, so that the
// two cannot drift apart. A struct names its fields once:
//
//   template <class Self, class Io>
//   static void fields(Self& self, Io& io) { io(self.id, self.name); }
//
// Bytes: integers and identifiers as varints, enumerators and booleans as one byte, strings as
// length and bytes, a vector as count and items, a variant as its position (u8, from 1) and the
// alternative. Fields are only ever appended to a struct together with a new format version.
//
// Take trusts nothing: an unknown enumerator, a count or length beyond the input, or a number too
// wide for its field fails for good. A vector grows only while there is input left to fill it, so
// that what is allocated stays proportional to what was received.
#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/codec.h"

namespace quorate::service::meta {

// Specialised for every enumeration that is encoded: the values that may be read.
template <class E>
struct Known;

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
struct IsStrong : std::false_type {};
template <class Tag, class Rep>
struct IsStrong<Strong<Tag, Rep>> : std::true_type {};

template <class T>
struct IsVariant : std::false_type {};
template <class... T>
struct IsVariant<std::variant<T...>> : std::true_type {};

}  // namespace detail

class Put {
 public:
  explicit Put(std::string& out) : writer_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      writer_.boolean(value);
    } else if constexpr (std::is_enum_v<T>) {
      writer_.u8(static_cast<uint8_t>(value));
    } else if constexpr (std::unsigned_integral<T>) {
      writer_.varint(value);
    } else if constexpr (detail::IsStrong<T>::value) {
      writer_.id(value);
    } else if constexpr (std::is_same_v<T, Stamp>) {
      writer_.stamp(value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      writer_.bytes(value);
    } else if constexpr (detail::IsVector<T>::value) {
      writer_.varint(value.size());
      for (const auto& item : value) {
        put(item);
      }
    } else if constexpr (detail::IsVariant<T>::value) {
      writer_.u8(static_cast<uint8_t>(value.index() + 1));
      std::visit([this](const auto& alternative) { put(alternative); }, value);
    } else {
      T::fields(value, *this);
    }
  }

  Writer writer_;
};

class Take {
 public:
  explicit Take(std::string_view in) : reader_(in) {}

  template <class... T>
  void operator()(T&... values) {
    (take(values), ...);
  }
  [[nodiscard]] bool ok() const { return reader_.ok(); }
  [[nodiscard]] bool done() const { return reader_.done(); }

 private:
  template <class T>
  void take(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = reader_.boolean();
    } else if constexpr (std::is_enum_v<T>) {
      take_enumerator(value);
    } else if constexpr (std::unsigned_integral<T>) {
      const uint64_t wide = reader_.varint();
      value = static_cast<T>(wide);
      if (value != wide) {
        reader_.fail();
      }
    } else if constexpr (detail::IsStrong<T>::value) {
      value = reader_.id<T>();
    } else if constexpr (std::is_same_v<T, Stamp>) {
      value = reader_.stamp();
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = reader_.bytes();
    } else if constexpr (detail::IsVector<T>::value) {
      take_vector(value);
    } else if constexpr (detail::IsVariant<T>::value) {
      take_variant(value, reader_.u8(), std::make_index_sequence<std::variant_size_v<T>>());
    } else {
      T::fields(value, *this);
    }
  }

  template <class E>
  void take_enumerator(E& value) {
    const uint8_t number = reader_.u8();
    if (number < static_cast<uint8_t>(Known<E>::kFirst) ||
        number > static_cast<uint8_t>(Known<E>::kLast)) {
      reader_.fail();
      return;
    }
    value = static_cast<E>(number);
  }

  template <class T>
  void take_vector(std::vector<T>& values) {
    values.clear();
    for (uint64_t left = reader_.count(1); left > 0 && reader_.ok(); --left) {
      take(values.emplace_back());
    }
  }

  template <class V, size_t... kPosition>
  void take_variant(V& value, uint8_t tag, std::index_sequence<kPosition...>) {
    const bool found =
        ((tag == kPosition + 1 && (take(value.template emplace<kPosition>()), true)) || ...);
    if (!found) {
      reader_.fail();
    }
  }

  Reader reader_;
};

// The version stands first. A reader knows every version up to its own.
inline constexpr uint8_t kFormatVersion = 1;

template <class T>
void encode(const T& value, std::string& out) {
  Put put(out);
  put(kFormatVersion, value);
}

// False if the bytes are not exactly one T; `value` is then unspecified.
template <class T>
[[nodiscard]] bool decode(std::string_view bytes, T& value) {
  Take take(bytes);
  uint8_t version = 0;
  take(version);
  if (!take.ok() || version != kFormatVersion) {
    return false;
  }
  take(value);
  return take.done();
}

}  // namespace quorate::service::meta
