// SPDX-License-Identifier: Apache-2.0
#include "service/kv/permit.h"

#include "service/machine.h"

namespace quorate::service::kv {
namespace {

class Ask {
 public:
  explicit Ask(const Caller& caller) : caller_(caller) {}

  [[nodiscard]] Status status() const {
    return allowed_ ? Status::success()
                    : Status(Code::kPermissionDenied, caller_.name() + " may not " + what_);
  }

  void need(uint8_t wanted, KeyspaceId keyspace, std::string_view key) {
    allowed_ = allowed_ && caller_.may(wanted, place(keyspace), key);
  }
  void need(uint8_t wanted, KeyspaceId keyspace, const Range& range) {
    allowed_ = allowed_ && caller_.may_range(wanted, place(keyspace), range.begin, range.end);
  }

  void operator()(const Get& query) { need(rights::kRead, query.keyspace, query.key); }
  void operator()(const Put& command) { write(command); }
  void operator()(const Delete& command) { write(command); }
  void operator()(const Touch& command) { need(rights::kWrite, command.keyspace, command.key); }
  // Its answer is the number that was there, and one more.
  void operator()(const Increment& command) {
    need(rights::kRead | rights::kWrite, command.keyspace, command.key);
  }
  void operator()(const Append& command) { need(rights::kWrite, command.keyspace, command.key); }
  void operator()(const SetRange& command) { need(rights::kWrite, command.keyspace, command.key); }
  void operator()(const Copy& command) {
    const uint8_t wanted = command.moves ? rights::kRead | rights::kWrite : rights::kRead;
    need(wanted, command.keyspace, command.key);
    need(rights::kWrite, command.keyspace, command.target);
  }
  void operator()(const AddDecimal& command) {
    need(rights::kRead | rights::kWrite, command.keyspace, command.key);
  }
  void operator()(const HashRead& query) { need(rights::kRead, query.keyspace, query.key); }
  // The answer of an addition is what was there, and more.
  void operator()(const HashWrite& command) {
    const bool reveals = command.verb >= HashWrite::Verb::kAdd;
    need(static_cast<uint8_t>(rights::kWrite | (reveals ? rights::kRead : 0)), command.keyspace,
         command.key);
  }
  void operator()(const PutMany& command) {
    for (const PutMany::Item& item : command.items) {
      need(rights::kWrite, command.keyspace, item.key);
    }
  }
  void operator()(const DeleteMany& command) { write_all(command); }
  void operator()(const TouchMany& command) { write_all(command); }
  void operator()(const DeleteRange& command) {
    need(rights::kWrite, command.keyspace, command.range);
  }
  void operator()(const Txn& command) {
    for (const Compare& compare : command.compares) {
      need(rights::kRead, command.keyspace, compare.key);
    }
    for (const auto* ops : {&command.then, &command.otherwise}) {
      for (const Txn::Op& op : *ops) {
        std::visit(*this, op);
      }
    }
  }
  // Who may take a lock may also fence by it.
  void operator()(const Fenced& command) {
    need(command.fence);
    std::visit(*this, command.op);
  }
  void need(const Fence& fence) {
    const Caller::Place place{static_cast<uint8_t>(ServiceId::kLock), fence.domain.value()};
    if (!caller_.may(rights::kWrite, place, fence.lock)) {
      allowed_ = false;
      what_ = "fence by this lock";
    }
  }
  void operator()(const RateLimit& command) {
    need(rights::kWrite, command.keyspace, command.name);
  }
  // The leader's own, and those of who administers the cluster: no caller asks for them here.
  void operator()(const ExpireDue&) { allowed_ = false; }
  void operator()(const Tend&) { allowed_ = false; }
  void operator()(const SetKeyspace&) { allowed_ = false; }
  void operator()(const DropKeyspace&) { allowed_ = false; }
  void operator()(const SetCompression&) { allowed_ = false; }
  // An index speaks of every key of its keyspace, and so does what is found by it.
  void operator()(const CreateIndex& command) { need(rights::kAdmin, command.keyspace, Range{}); }
  void operator()(const DropIndex& command) { need(rights::kAdmin, command.keyspace, Range{}); }
  void operator()(const Find& query) { need(rights::kRead, query.keyspace, Range{}); }
  void operator()(const Indexes& query) { need(rights::kRead, query.keyspace, Range{}); }

  void operator()(const GetMany& query) {
    for (const std::string_view key : query.keys) {
      need(rights::kRead, query.keyspace, key);
    }
  }
  void operator()(const Scan& query) { need(rights::kRead, query.keyspace, query.range); }
  void operator()(const Changes& query) {
    need(rights::kRead, query.keyspace, Range{query.prefix, prefix_end(query.prefix)});
  }
  void operator()(const Dump&) { allowed_ = false; }
  void operator()(const Trail&) { allowed_ = false; }
  void operator()(const Stats& query) { need(rights::kRead, query.keyspace, Range{}); }

 private:
  [[nodiscard]] static Caller::Place place(KeyspaceId keyspace) {
    return {static_cast<uint8_t>(ServiceId::kKv), keyspace.value()};
  }
  template <class Single>
  void write(const Single& command) {
    const bool reveals = command.with_previous || command.condition.kind == Condition::Kind::kValue;
    need(static_cast<uint8_t>(rights::kWrite | (reveals ? rights::kRead : 0)), command.keyspace,
         command.key);
  }
  template <class Many>
  void write_all(const Many& command) {
    for (const std::string_view key : command.keys) {
      need(rights::kWrite, command.keyspace, key);
    }
  }

  const Caller& caller_;
  bool allowed_ = true;
  const char* what_ = "do this with these keys";
};

}  // namespace

Status permit(const Caller* caller, const Command& command) {
  if (caller == nullptr) {
    return Status::success();
  }
  Ask ask(*caller);
  std::visit([&ask](const auto& fields) { ask(fields); }, command);
  return ask.status();
}

Status permit(const Caller* caller, const Fence& fence) {
  if (caller == nullptr) {
    return Status::success();
  }
  Ask ask(*caller);
  ask.need(fence);
  return ask.status();
}

Status permit(const Caller* caller, const Query& query) {
  if (caller == nullptr) {
    return Status::success();
  }
  Ask ask(*caller);
  std::visit([&ask](const auto& fields) { ask(fields); }, query);
  return ask.status();
}

}  // namespace quorate::service::kv
