// SPDX-License-Identifier: Apache-2.0
// Commands on keys: served here, or sent to the group that owns them.
#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "edge/resp/session/client.h"
#include "service/value/hash_value.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

kv::OpAnswer answer_of(const kv::Item& item) {
  if (item.found()) {
    return kv::Found{item};
  }
  return Status(Code::kNotFound, "no such key");
}

// Ends a command that has one operation, or many that are told as one.
struct Finish {
  std::shared_ptr<Connection> connection;
  Ticket ticket;
  Form form;

  template <class T>
  void operator()(const Status& status, const T& answer, const service::Origin&) {
    connection->finish(ticket, [&](Reply& reply) { tell(status, answer, reply); });
  }

 private:
  [[nodiscard]] Stamp now() const;

  template <class T>
  void tell(const Status& status, const T& answer, Reply& reply) {
    if constexpr (std::is_same_v<T, kv::TxnDone>) {
      status.ok() ? form.tell({form, answer.answers, now()}, reply) : tell_refusal(status, reply);
    } else if constexpr (std::is_same_v<T, kv::Items>) {
      std::vector<kv::OpAnswer> answers;
      for (const kv::Item& item : answer.items) {
        answers.push_back(answer_of(item));
      }
      status.ok() ? form.tell({form, answers, now()}, reply) : tell_failure(status, reply);
    } else if constexpr (std::is_same_v<T, kv::Stored>) {
      status.ok() ? form.tell({form, {}, {}}, reply) : tell_failure(status, reply);
    } else {
      const kv::OpAnswer one = status.ok() ? kv::OpAnswer(answer) : kv::OpAnswer(status);
      form.tell({form, {&one, 1}, now()}, reply);
    }
  }
};

Stamp Finish::now() const {
  auto* const client = static_cast<Client*>(connection->session());
  return client->context().clock.wall();
}

size_t bytes_of(const kv::OpAnswer& answer) {
  const auto* const found = std::get_if<kv::Found>(&answer);
  return found == nullptr ? 0 : found->item.value.size();
}

bool is_plain_put(const kv::Txn::Op& op) {
  const auto* const put = std::get_if<kv::Put>(&op);
  return put != nullptr && put->condition.kind == kv::Condition::Kind::kNone && !put->with_previous;
}

template <class Op>
std::string check_value(const Op& op) {
  if constexpr (requires { op.value; }) {
    if (op.value.size() > limits::kValueBytesMax) {
      return "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    }
    if (std::is_same_v<Op, kv::Put> && service::is_hash(op.value)) {
      return "ERR a string may not begin as what hashes are kept as";
    }
  } else if constexpr (requires { op.words; }) {
    if (const Status status = kv::validate(op); !status.ok()) {
      return std::string(row_of(status.code()).resp) + " " + status.message();
    }
  }
  return {};
}

}  // namespace

std::string_view key_of(const kv::Txn::Op& op) {
  return std::visit([](const auto& fields) { return fields.key; }, op);
}

bool reads_only(const Ops& ops) {
  return std::all_of(ops.begin(), ops.end(), [](const kv::Txn::Op& op) {
    return std::holds_alternative<kv::Get>(op) || std::holds_alternative<kv::HashRead>(op);
  });
}

std::string check(const Ops& ops) {
  if (ops.size() > limits::kBatchItemsMax) {
    return "TOOLARGE a command takes at most " + std::to_string(limits::kBatchItemsMax) + " keys";
  }
  for (const kv::Txn::Op& op : ops) {
    const std::string_view key = key_of(op);
    if (key.empty()) {
      return "ERR a key is not empty";
    }
    if (key.size() > limits::kKeyBytesMax) {
      return "TOOLARGE a key is over " + std::to_string(limits::kKeyBytesMax) + " bytes";
    }
    if (const auto* const copy = std::get_if<kv::Copy>(&op);
        copy != nullptr && (copy->target.empty() || copy->target.size() > limits::kKeyBytesMax)) {
      return "ERR a key is not empty and not over " + std::to_string(limits::kKeyBytesMax) +
             " bytes";
    }
    if (std::string error = std::visit([](const auto& it) { return check_value(it); }, op);
        !error.empty()) {
      return error;
    }
  }
  return {};
}

std::optional<GroupId> common_group(const kv::Api& kv, const Ops& ops) {
  const GroupId group = kv.group_of(key_of(ops.front()));
  for (size_t at = 0; at < ops.size(); ++at) {
    const auto* const copy = std::get_if<kv::Copy>(&ops[at]);
    const bool is_elsewhere = (at > 0 && kv.group_of(key_of(ops[at])) != group) ||
                              (copy != nullptr && kv.group_of(copy->target) != group);
    if (is_elsewhere) {
      return std::nullopt;
    }
  }
  return group;
}

Session::Taken Client::on_keys(Table::Entry& entry, Arguments arguments) {
  ops_.clear();
  Task task{ops_, context_.chance()};
  std::string error = entry.row->build(arguments, task);
  if (error.empty()) {
    error = check(ops_);
  }
  if (!error.empty()) {
    refuse(error);
    return Taken::kYes;
  }
  ASSERT(!ops_.empty() && task.form.tell != nullptr);
  const std::optional<GroupId> group = common_group(context_.kv, ops_);
  if (!group.has_value()) {
    refuse(kCrossSlot);
    return Taken::kYes;
  }
  const bool is_read = reads_only(ops_) && fence_.none();
  return is_read ? read(entry, *group, task.form) : write(entry, *group, task.form);
}

// ---- reads --------------------------------------------------------------------------------------

// `query` is one of those that only read.
template <class Op>
kv::OpAnswer Client::look(const kv::State& state, const Op& query, Stamp now) const {
  if (Status refusal = kv::permit(caller(), query); !refusal.ok()) {
    return refusal;
  }
  if constexpr (std::is_same_v<Op, kv::Get>) {
    return answer_of(answers_.empty() ? state.get(query.keyspace, query.key, now)
                                      : state.get_more(query, now));
  } else if constexpr (std::is_same_v<Op, kv::HashRead>) {
    return state.read_hash(query, now);
  } else {
    ASSERT(false, "a write is not read");
    return {};
  }
}

// Fills answers_ from this node's own machine, if it may speak for its group now and they are not
// too large for one answer.
bool Client::read_here(GroupId group, Stamp& now) {
  const service::LocalRead here =
      context_.kv.proposer().read_here(group, service::ServiceId::kKv, {});
  const kv::State* const state = service::typed<kv::State>(here.machine);
  if (state == nullptr) {
    return false;
  }
  answers_.clear();
  size_t bytes = 0;
  for (const kv::Txn::Op& op : ops_) {
    std::visit([&](const auto& query) { answers_.push_back(look(*state, query, here.now)); }, op);
    bytes += bytes_of(answers_.back());
    if (bytes > limits::kRequestBytesMax) {
      return false;  // whoever is asked for all of them at once refuses it
    }
  }
  now = here.now;
  ++context_.reads_here;
  return true;
}

Session::Taken Client::read(Table::Entry& entry, GroupId group, const Form& form) {
  if (connection_.in_flight() > 0 && running_ != Running::kReads) {
    return Taken::kLater;
  }
  running_ = Running::kReads;
  Stamp now;
  if (read_here(group, now)) {
    answer([&](Reply& reply) { form.tell({form, answers_, now}, reply); });
  } else {
    read_elsewhere(connection_.begin(entry.seconds), form);
  }
  return Taken::kYes;
}

void Client::read_elsewhere(Ticket ticket, const Form& form) {
  Finish finish{connection_.shared_from_this(), ticket, form};
  if (ops_.size() == 1) {
    if (const auto* const query = std::get_if<kv::HashRead>(&ops_.front())) {
      context_.kv.hash_read(*query, {.caller = caller()}, std::move(finish));
    } else {
      context_.kv.get(std::get<kv::Get>(ops_.front()), {.caller = caller()}, std::move(finish));
    }
    return;
  }
  kv::GetMany many;
  many.with_values = false;
  for (const kv::Txn::Op& op : ops_) {
    const kv::Get& get = std::get<kv::Get>(op);
    many.with_values = many.with_values || get.with_value;
    many.keys.push_back(get.key);
  }
  context_.kv.get_many(many, {.caller = caller()}, std::move(finish));
}

// ---- writes -------------------------------------------------------------------------------------

// False while a write to a slot of these keys is on its way to another node.
bool Client::may_send(GroupId group) {
  if (connection_.in_flight() == 0) {
    for (const uint16_t slot : forwarded_list_) {
      forwarded_->reset(slot);
    }
    forwarded_list_.clear();
  }
  const bool leads = context_.topology.leads(group);
  if (leads && forwarded_list_.empty()) {
    return true;
  }
  if (forwarded_ == nullptr) {
    forwarded_ = std::make_unique<Slots>();
  }
  for (const kv::Txn::Op& op : ops_) {
    if (forwarded_->test(slot_of(key_of(op)))) {
      return false;
    }
  }
  for (size_t at = 0; at < ops_.size() && !leads; ++at) {
    const uint16_t slot = slot_of(key_of(ops_[at]));
    if (!forwarded_->test(slot)) {
      forwarded_->set(slot);
      forwarded_list_.push_back(slot);
    }
  }
  return true;
}

Session::Taken Client::write(Table::Entry& entry, GroupId group, const Form& form) {
  const bool waits = connection_.in_flight() > 0 && running_ != Running::kWrites;
  if (waits || !may_send(group)) {
    return Taken::kLater;
  }
  running_ = Running::kWrites;
  send(connection_.begin(entry.seconds), group, form);
  return Taken::kYes;
}

void Client::send(Ticket ticket, GroupId group, const Form& form) {
  Finish finish{connection_.shared_from_this(), ticket, form};
  const kv::WriteOptions options{.key = once_, .fence = fence_, .caller = caller()};
  kv::Api& kv = context_.kv;
  // Under a fence also a read is a command of the log, and what is refused is told apart.
  const bool is_fenced = !fence_.none();
  if (ops_.size() == 1 && !is_fenced) {
    std::visit(
        [&](const auto& command) {
          if constexpr (requires { kv.write(command, options, std::move(finish)); }) {
            kv.write_to(group, command, options, std::move(finish));
          } else {
            ASSERT(false, "a read is not written");
          }
        },
        ops_.front());
    return;
  }
  if (!is_fenced && std::all_of(ops_.begin(), ops_.end(), is_plain_put)) {
    kv::PutMany many;
    many.items.reserve(ops_.size());
    for (const kv::Txn::Op& op : ops_) {
      const kv::Put& put = std::get<kv::Put>(op);
      many.items.push_back({put.key, put.value, put.lifetime});
    }
    kv.put_many(many, options, std::move(finish));
    return;
  }
  kv::Txn txn;
  txn.then.swap(ops_);
  kv.txn(txn, options, std::move(finish));
  ops_.swap(txn.then);
}

}  // namespace quorate::edge::resp
