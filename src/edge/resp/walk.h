// SPDX-License-Identifier: Apache-2.0
// Walk: goes through the keys of some groups, page after page, one group after the other.
//
// Each page is of its own moment; a key that is there all the while is seen once.
#pragma once

#include <memory>
#include <string>

#include "base/function.h"
#include "service/kv/api.h"

namespace quorate::edge::resp {

class Walk : public std::enable_shared_from_this<Walk> {
 public:
  struct Plan {
    GroupId begin{1};
    GroupId last{1};                 // belongs to it
    std::string after;               // in the first group: behind this key
    std::string prefix;              // only keys that begin so
    uint64_t page_items = 0;         // 0: the greatest page
    bool with_values = false;
    const Caller* caller = nullptr;  // asked before start() returns; null: may do everything
  };
  // False ends the walk. The page's views are good during the call.
  using OnPage = UniqueFunction<bool(GroupId, const service::kv::Page&)>;
  using OnEnd = UniqueFunction<void(const Status&)>;

  // Calls back at least on_end, perhaps within the call.
  static void start(service::kv::Api& kv, Plan plan, OnPage on_page, OnEnd on_end);

  // Of the plan's range, in every group.
  Walk(service::kv::Api& kv, Plan plan, OnPage on_page, OnEnd on_end);

 private:
  void go_on();
  void ask();
  void on_answer(const Status& status, const service::kv::Page& page);

  service::kv::Api& kv_;
  const Plan plan_;
  OnPage on_page_;
  OnEnd on_end_;
  GroupId group_;
  std::string begin_;
  std::string end_;
  std::string body_;
  bool asking_ = false;  // an answer may come within the question: no recursion
  bool again_ = false;
};

}  // namespace quorate::edge::resp
