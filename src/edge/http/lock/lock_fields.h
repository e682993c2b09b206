// SPDX-License-Identifier: Apache-2.0
// LockFields: a JSON object of a request, read field by field. The first thing that is wrong is
// kept and told by status(), so that a row reads all that it wants and asks once. Views that it
// gives are good as long as it is. Internal to the folder.
#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>

#include "edge/http/arguments.h"
#include "service/lock/api.h"

namespace quorate::edge::http {

class LockFields {
 public:
  // The body of a request, which has no other fields than these (each also as "..._base64").
  LockFields(const Request& request, std::initializer_list<std::string_view> known);
  // An object within another one.
  LockFields(const boost::json::value& value, std::initializer_list<std::string_view> known);

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] bool has(std::string_view name) const;
  // Empty if it is not there.
  [[nodiscard]] std::string_view bytes(std::string_view name);
  [[nodiscard]] Duration duration(std::string_view name, Duration otherwise);
  [[nodiscard]] uint64_t number(std::string_view name, uint64_t otherwise);
  [[nodiscard]] bool flag(std::string_view name);
  // mode, permits and limit of an item, by name.
  [[nodiscard]] service::lock::Acquire::Item item(std::string_view name);
  // Null unless it is there and a list.
  [[nodiscard]] const boost::json::array* list(std::string_view name);

 private:
  void take(Result<boost::json::object> object, std::initializer_list<std::string_view> known);
  void note(const Status& status);

  boost::json::object object_;
  Arena arena_;
  Status status_;
};

// The query parameter "domain"; the first domain if there is none.
[[nodiscard]] Result<service::lock::DomainId> read_domain(const Request& request);

[[nodiscard]] Result<service::lock::WriteOptions> read_lock_write(const Request& request);
[[nodiscard]] Result<service::lock::ReadOptions> read_lock_read(const Request& request);

}  // namespace quorate::edge::http
