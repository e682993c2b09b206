// SPDX-License-Identifier: Apache-2.0
// Registry: which services there are. The composition root (server, simulator, embedded node) fills
// one and gives it to node, so that node knows services by number only.
//
// host<M>() turns a typed machine into Hosted: decode the command, apply, encode the answer. An
// encoded answer of every service opens with its status, so that a refusal looks alike everywhere:
//
//   answer = code u8, then if the code is kOk what the service encodes, else message bytes
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "service/machine.h"

namespace quorate::service {

// What a service writes. Commands and queries are decoded as views into the bytes given; an Answer
// may hold views into the machine, good until its next change, and can be made from a Status.
template <class M>
concept Machine = requires(M machine, const M& seen, const typename M::Command& command,
                           const typename M::Query& query, const typename M::Answer& answer,
                           const Moment& moment, Stamp now, std::string_view bytes,
                           std::string& out, Status status) {
  requires std::constructible_from<typename M::Answer, Status>;
  { M::decode_command(bytes) } -> std::same_as<Result<typename M::Command>>;
  { M::decode_query(bytes) } -> std::same_as<Result<typename M::Query>>;
  { M::encode_answer(answer, out) } -> std::same_as<void>;
  { machine.apply(command, moment) } -> std::same_as<typename M::Answer>;
  { seen.query(query, now) } -> std::same_as<typename M::Answer>;
  { seen.next_due() } -> std::same_as<Stamp>;
  { seen.due_command(now) } -> std::same_as<std::string>;
  { machine.freeze() } -> std::same_as<std::unique_ptr<SnapshotSource>>;
  { machine.restore_begin() } -> std::same_as<void>;
  { machine.restore_piece(bytes) } -> std::same_as<Status>;
  { machine.restore_end() } -> std::same_as<Status>;
  { seen.digest() } -> std::same_as<uint64_t>;
  { seen.check_invariants() } -> std::same_as<void>;
  { seen.memory_bytes() } -> std::same_as<size_t>;
};

// A machine that keeps leases, and whose clients wait for what others do.
template <class M>
concept Leased = requires(const M& seen, const typename M::Query& query, const Heard& heard,
                          Stamp now, std::string_view subject, std::vector<std::string>& subjects) {
  { seen.due_step(now, heard) } -> std::same_as<DueStep>;
  { seen.subjects(query, subjects) } -> std::same_as<void>;
  { seen.has_subject(subject) } -> std::same_as<bool>;
  { seen.news() } -> std::same_as<uint64_t>;
};

// A machine whose most frequent command has a way of its own: false if it is another command, or
// one that is refused for its form, and nothing was done.
template <class M>
concept Quick = requires(M machine, std::string_view command, const Moment& moment,
                         std::string* answer) {
  { machine.apply_quickly(command, moment, answer) } -> std::same_as<bool>;
};

// A machine that can fetch ahead; see Hosted.
template <class M>
concept Prefetching = requires(const M& seen, std::string_view command, uint64_t hint, int step) {
  { seen.prefetch_self(step) } -> std::same_as<void>;
  { seen.prefetch(command) } -> std::same_as<uint64_t>;
  { seen.prefetch_more(hint) } -> std::same_as<void>;
};

// The status that opens every encoded answer.
void encode_status(const Status& status, std::string& out);
// What the code says; kCorrupted if the bytes are not an answer. After: reader stands behind it.
[[nodiscard]] Status decode_status(Reader& reader);

template <Machine M>
class HostedMachine final : public Hosted {
 public:
  template <class... Args>
  explicit HostedMachine(Args&&... args) : machine_(std::forward<Args>(args)...) {}

  void apply(std::string_view command, const Moment& moment, std::string* answer) override {
    if constexpr (Quick<M>) {
      if (machine_.apply_quickly(command, moment, answer)) {
        return;
      }
    }
    const Result<typename M::Command> decoded = M::decode_command(command);
    const auto said = decoded.ok() ? machine_.apply(*decoded, moment)
                                   : typename M::Answer(decoded.status());
    if (answer != nullptr) {
      M::encode_answer(said, *answer);
    }
  }
  void prefetch_self(int step) const override {
    if constexpr (Prefetching<M>) {
      machine_.prefetch_self(step);
    }
  }
  [[nodiscard]] uint64_t prefetch(std::string_view command) const override {
    if constexpr (Prefetching<M>) {
      return machine_.prefetch(command);
    }
    return 0;
  }
  void prefetch_more(uint64_t hint) const override {
    if constexpr (Prefetching<M>) {
      machine_.prefetch_more(hint);
    }
  }
  void query(std::string_view query, Stamp now, std::string& answer) const override {
    const Result<typename M::Query> decoded = M::decode_query(query);
    M::encode_answer(decoded.ok() ? machine_.query(*decoded, now)
                                  : typename M::Answer(decoded.status()),
                     answer);
  }
  [[nodiscard]] Stamp next_due() const override { return machine_.next_due(); }
  [[nodiscard]] std::string due_command(Stamp now) const override {
    return machine_.due_command(now);
  }
  [[nodiscard]] DueStep due_step(Stamp now, const Heard& heard) const override {
    if constexpr (Leased<M>) {
      return machine_.due_step(now, heard);
    }
    return Hosted::due_step(now, heard);
  }
  void subjects(std::string_view query, std::vector<std::string>& out) const override {
    if constexpr (Leased<M>) {
      const Result<typename M::Query> decoded = M::decode_query(query);
      if (decoded.ok()) {
        machine_.subjects(*decoded, out);
      }
    }
  }
  [[nodiscard]] bool has_subject(std::string_view subject) const override {
    if constexpr (Leased<M>) {
      return machine_.has_subject(subject);
    }
    return false;
  }
  [[nodiscard]] uint64_t news() const override {
    if constexpr (Leased<M>) {
      return machine_.news();
    }
    return 0;
  }
  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze() override { return machine_.freeze(); }
  void restore_begin() override { machine_.restore_begin(); }
  [[nodiscard]] Status restore_piece(std::string_view piece) override {
    return machine_.restore_piece(piece);
  }
  [[nodiscard]] Status restore_end() override { return machine_.restore_end(); }
  [[nodiscard]] uint64_t digest() const override { return machine_.digest(); }
  void check_invariants() const override { machine_.check_invariants(); }
  [[nodiscard]] size_t memory_bytes() const override { return machine_.memory_bytes(); }

  [[nodiscard]] const M& machine() const { return machine_; }

 private:
  M machine_;
};

template <Machine M, class... Args>
[[nodiscard]] std::unique_ptr<Hosted> host(Args&&... args) {
  return std::make_unique<HostedMachine<M>>(std::forward<Args>(args)...);
}

// The machine itself, for reads in place without encoding; null if it is another kind of machine.
template <Machine M>
[[nodiscard]] const M* typed(const Hosted* hosted) {
  if (hosted == nullptr || typeid(*hosted) != typeid(HostedMachine<M>)) {
    return nullptr;
  }
  return &static_cast<const HostedMachine<M>*>(hosted)->machine();
}

class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Hosted>()>;

  // Before: `id` is not kNode and was not added.
  void add(ServiceId id, Factory factory);
  [[nodiscard]] bool has(ServiceId id) const;
  // A fresh, empty machine. Before: has(id).
  [[nodiscard]] std::unique_ptr<Hosted> make(ServiceId id) const;

 private:
  std::array<Factory, kServicesMax> factories_;
};

}  // namespace quorate::service
