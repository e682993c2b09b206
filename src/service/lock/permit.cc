// SPDX-License-Identifier: Apache-2.0
#include "service/lock/permit.h"

#include "service/machine.h"

namespace quorate::service::lock {
namespace {

class Ask {
 public:
  explicit Ask(const Caller& caller) : caller_(caller) {}

  [[nodiscard]] Status status() const {
    return allowed_ ? Status::success()
                    : Status(Code::kPermissionDenied,
                             caller_.name() + " may not do this with these locks and owners");
  }

  void operator()(const Open& command) { need(rights::kWrite, command.who); }
  void operator()(const Renew& command) { need(rights::kWrite, command.who); }
  void operator()(const Close& command) { need(rights::kWrite, command.who); }
  void operator()(const Acquire& command) {
    need(rights::kWrite, command.who);
    for (const Acquire::Item& item : command.items) {
      need(rights::kWrite, command.who.domain, item.name);
    }
  }
  void operator()(const Upgrade& command) { need(command.who, command.name); }
  void operator()(const Downgrade& command) { need(command.who, command.name); }
  void operator()(const Release& command) { need(command.who, command.name); }
  void operator()(const Cancel& command) { need(rights::kWrite, command.who); }
  void operator()(const Break& command) { need(rights::kAdmin, command.domain, command.name); }
  // The leader's own.
  void operator()(const ExpireDue&) { allowed_ = false; }
  void operator()(const Resolve&) { allowed_ = false; }

  void operator()(const WaitOf& query) { need(rights::kRead, query.who); }
  void operator()(const Info& query) { need(rights::kRead, query.domain, query.name); }
  // Whoever may read a prefix may read every name that begins with it.
  void operator()(const List& query) { need(rights::kRead, query.domain, query.prefix); }
  void operator()(const OwnerOf& query) { need(rights::kRead, query.who); }
  // Of a whole group, in numbers only: they name nobody.
  void operator()(const Stats&) {}
  // It renews leases.
  void operator()(const Heartbeat& query) {
    for (const OwnerRef& who : query.owners) {
      need(rights::kWrite, who);
    }
  }
  // A node's own question: it names owners of all domains.
  void operator()(const Edges&) { allowed_ = false; }

 private:
  void need(uint8_t wanted, DomainId domain, std::string_view name) {
    const Caller::Place place = {static_cast<uint8_t>(ServiceId::kLock), domain.value()};
    allowed_ = allowed_ && caller_.may(wanted, place, name);
  }
  void need(uint8_t wanted, const OwnerRef& who) { need(wanted, who.domain, who.owner); }
  void need(const OwnerRef& who, std::string_view name) {
    need(rights::kWrite, who);
    need(rights::kWrite, who.domain, name);
  }

  const Caller& caller_;
  bool allowed_ = true;
};

template <class Fields>
Status ask_for(const Caller* caller, const Fields& fields) {
  if (caller == nullptr) {
    return Status::success();
  }
  Ask ask(*caller);
  std::visit([&ask](const auto& verb) { ask(verb); }, fields);
  return ask.status();
}

}  // namespace

Status permit(const Caller* caller, const Command& command) { return ask_for(caller, command); }
Status permit(const Caller* caller, const Query& query) { return ask_for(caller, query); }

}  // namespace quorate::service::lock
