// SPDX-License-Identifier: Apache-2.0
// Few: a vector that keeps its first N elements in itself. For lists that nearly always hold one or
// two elements, and of which so many are made that the heap would be most of their cost.
//
// A move of one that has not left its inside moves the elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace quorate {

template <class T, size_t N>
class Few {
  static_assert(N > 0 && std::is_nothrow_move_constructible_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  Few() noexcept {}
  Few(std::initializer_list<T> values) : Few(values.begin(), values.end()) {}
  template <std::forward_iterator It>
  Few(It first, It last) {
    append(first, last);
  }
  Few(const Few& other) { append(other.begin(), other.end()); }
  Few(Few&& other) noexcept { take(other); }
  Few& operator=(const Few& other) {
    if (this != &other) {
      assign(other.begin(), other.end());
    }
    return *this;
  }
  Few& operator=(Few&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }
  ~Few() { release(); }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t capacity() const { return capacity_; }
  [[nodiscard]] T* data() { return is_inside() ? inside() : outside_; }
  [[nodiscard]] const T* data() const { return is_inside() ? inside() : outside_; }
  iterator begin() { return data(); }
  iterator end() { return data() + size_; }
  const_iterator begin() const { return data(); }
  const_iterator end() const { return data() + size_; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return data()[0]; }
  const T& front() const { return data()[0]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  // A reference into this list is no good argument: making room ends it.
  template <class... Arguments>
  T& emplace_back(Arguments&&... arguments) {
    if (size_ == capacity_) {
      reserve(size_t{capacity_} * 2);
    }
    T* const place =
        ::new (static_cast<void*>(data() + size_)) T(std::forward<Arguments>(arguments)...);
    ++size_;
    return *place;
  }
  void push_back(T value) { emplace_back(std::move(value)); }
  template <std::forward_iterator It>
  void append(It first, It last) {
    const auto count = static_cast<size_t>(std::distance(first, last));
    if (size_ + count > capacity_) {
      reserve(std::max(size_ + count, size_t{capacity_} * 2));
    }
    std::uninitialized_copy(first, last, data() + size_);
    size_ += static_cast<uint32_t>(count);
  }
  template <std::forward_iterator It>
  void assign(It first, It last) {
    clear();
    append(first, last);
  }
  void reserve(size_t count) {
    if (count <= capacity_) {
      return;
    }
    ASSERT(count <= UINT32_MAX);
    T* const room = std::allocator<T>().allocate(count);
    std::uninitialized_move(begin(), end(), room);
    std::destroy(begin(), end());
    give_back();
    outside_ = room;
    capacity_ = static_cast<uint32_t>(count);
  }
  // Keeps the first `count`, and the room.
  void cut(size_t count) {
    if (count < size_) {
      std::destroy(begin() + count, end());
      size_ = static_cast<uint32_t>(count);
    }
  }
  void clear() { cut(0); }

  bool operator==(const Few& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  [[nodiscard]] bool is_inside() const { return capacity_ == N; }
  T* inside() { return std::launder(reinterpret_cast<T*>(bytes_)); }
  [[nodiscard]] const T* inside() const { return std::launder(reinterpret_cast<const T*>(bytes_)); }
  void give_back() {
    if (!is_inside()) {
      std::allocator<T>().deallocate(outside_, capacity_);
      capacity_ = N;
    }
  }
  // After: empty, and inside.
  void release() {
    clear();
    give_back();
  }
  // Before: empty, and inside.
  void take(Few& other) {
    if (other.is_inside()) {
      std::uninitialized_move(other.begin(), other.end(), inside());
      size_ = other.size_;
      other.clear();
      return;
    }
    outside_ = other.outside_;
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, static_cast<uint32_t>(N));
  }

  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  union {
    T* outside_;
    alignas(T) std::byte bytes_[N * sizeof(T)];
  };
};

}  // namespace quorate
