// SPDX-License-Identifier: Apache-2.0
// UniqueFunction: a callable that is moved, never copied, and stores captures of up to 48 bytes in
// place. Completions capture move-only things, and the hot path makes one per command.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace quorate {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT: as std::function

  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
  UniqueFunction(F&& callable) {  // NOLINT: as std::function
    using Held = std::decay_t<F>;
    if constexpr (fits<Held>) {
      new (&storage_) Held(std::forward<F>(callable));
      table_ = &kInPlace<Held>;
    } else {
      *reinterpret_cast<Held**>(&storage_) = new Held(std::forward<F>(callable));
      table_ = &kOnHeap<Held>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~UniqueFunction() { reset(); }

  explicit operator bool() const { return table_ != nullptr; }

  R operator()(Args... args) {
    ASSERT(table_ != nullptr, "called an empty function");
    return table_->call(&storage_, std::forward<Args>(args)...);
  }

  void reset() {
    if (table_ != nullptr) {
      std::exchange(table_, nullptr)->destroy(&storage_);
    }
  }

 private:
  static constexpr size_t kInPlaceBytes = 48;
  struct Table {
    R (*call)(void*, Args&&...);
    void (*move)(void* from, void* to);
    void (*destroy)(void*);
  };

  template <class Held>
  static constexpr bool fits = sizeof(Held) <= kInPlaceBytes &&
                               alignof(Held) <= alignof(std::max_align_t) &&
                               std::is_nothrow_move_constructible_v<Held>;

  template <class Held>
  static constexpr Table kInPlace = {
      [](void* at, Args&&... args) -> R {
        return (*static_cast<Held*>(at))(std::forward<Args>(args)...);
      },
      [](void* from, void* to) {
        new (to) Held(std::move(*static_cast<Held*>(from)));
        static_cast<Held*>(from)->~Held();
      },
      [](void* at) { static_cast<Held*>(at)->~Held(); }};

  template <class Held>
  static constexpr Table kOnHeap = {
      [](void* at, Args&&... args) -> R {
        return (**static_cast<Held**>(at))(std::forward<Args>(args)...);
      },
      [](void* from, void* to) { *static_cast<Held**>(to) = *static_cast<Held**>(from); },
      [](void* at) { delete *static_cast<Held**>(at); }};

  void take(UniqueFunction& other) {
    if (other.table_ != nullptr) {
      other.table_->move(&other.storage_, &storage_);
      table_ = std::exchange(other.table_, nullptr);
    }
  }

  alignas(std::max_align_t) std::byte storage_[kInPlaceBytes];
  const Table* table_ = nullptr;
};

}  // namespace quorate
