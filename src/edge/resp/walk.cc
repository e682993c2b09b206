// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/walk.h"

#include <algorithm>

namespace quorate::edge::resp {

namespace kv = service::kv;

namespace {

// The least key that is greater.
std::string behind(std::string_view key) { return std::string(key) + '\0'; }

}  // namespace

void Walk::start(kv::Api& kv, Plan plan, OnPage on_page, OnEnd on_end) {
  const std::string end = kv::prefix_end(plan.prefix);
  const Status permitted = kv::permit(plan.caller, kv::Scan{.range = {plan.prefix, end}});
  if (!permitted.ok()) {
    on_end(permitted);
    return;
  }
  std::make_shared<Walk>(kv, std::move(plan), std::move(on_page), std::move(on_end))->go_on();
}

Walk::Walk(kv::Api& kv, Plan plan, OnPage on_page, OnEnd on_end)
    : kv_(kv),
      plan_(std::move(plan)),
      on_page_(std::move(on_page)),
      on_end_(std::move(on_end)),
      group_(plan_.begin),
      begin_(plan_.after.empty() ? plan_.prefix : std::max(plan_.prefix, behind(plan_.after))),
      end_(kv::prefix_end(plan_.prefix)) {}

void Walk::go_on() {
  again_ = true;
  if (asking_) {
    return;
  }
  asking_ = true;
  while (again_) {
    again_ = false;
    ask();
  }
  asking_ = false;
}

void Walk::ask() {
  body_.clear();
  kv::encode(
      kv::Query(kv::Scan{
          .range = {begin_, end_}, .with_values = plan_.with_values, .limit = plan_.page_items}),
      body_);
  kv_.proposer().query(
      {.group = group_, .service = service::ServiceId::kKv, .mode = {}, .body = body_},
      [self = shared_from_this()](const Status& status, std::string_view answer,
                                  const service::Origin& origin) {
        auto done = [&](const Status& whole, const kv::Page& page, const service::Origin&) {
          self->on_answer(whole, page);
        };
        kv::deliver<kv::Page>(done, status, answer, origin);
      });
}

void Walk::on_answer(const Status& status, const kv::Page& page) {
  if (!status.ok()) {
    on_end_(status);
    return;
  }
  const bool wants_more = on_page_(group_, page);
  if (!page.resume.empty()) {
    begin_ = behind(page.resume);
  } else {
    begin_ = plan_.prefix;
    ++group_;
  }
  if (!wants_more || group_ > plan_.last) {
    on_end_(Status());
  } else {
    go_on();
  }
}

}  // namespace quorate::edge::resp
