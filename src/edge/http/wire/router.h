// SPDX-License-Identifier: Apache-2.0
// Router: a table of method and path pattern to handler, which is also the API's documentation.
//
// A pattern is literal segments and parameters: "/cluster/nodes/{id}". One parameter of a pattern
// may take several segments, "{key...}", slashes included. Literal segments win over parameters,
// whatever the order of the rows. A handler never blocks.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "edge/http/wire/message.h"
#include "edge/http/wire/url.h"

namespace quorate::edge::http {

enum class In : uint8_t { kPath, kQuery, kHeader };

struct Parameter {
  std::string_view name;
  In in;
  std::string_view type;  // of JSON schema
  std::string_view text;
};

// Who may come in, where access is controlled. What a caller may touch behind the door is asked
// again for each name, by the service.
enum class Access : uint8_t { kKnown, kAnyone, kAdmin };

enum class Body : uint8_t { kNone, kRaw, kJson };

// What a person needs to know of a row; all views are literals.
struct RouteText {
  Method method;
  std::string_view pattern;
  std::string_view group = {};  // heading in the docs
  std::string_view summary = {};
  std::span<const Parameter> parameters = {};
  Body body = Body::kNone;
  std::string_view body_example = {};
  std::string_view answer_example = {};
  Access access = Access::kKnown;
  // Fields of a JSON body that its example does not show, as an object; null: of any kind.
  std::string_view body_more = {};
  bool answers_raw = false;  // the value itself, unless JSON is asked for
};

class Router {
 public:
  using Handler = UniqueFunction<void(const Request&, Responder)>;

  struct Route {
    RouteText text;
    std::vector<std::string_view> segments;
    size_t leading = 0;       // literal segments before the first parameter
    bool takes_many = false;  // one of its parameters does
    Handler handler;
  };
  struct Match {
    Route* route = nullptr;       // null: no row fits
    std::vector<Method> allowed;  // the methods that this path knows; empty: no such path
    std::vector<std::pair<std::string_view, std::string>> parameters;
    bool bad_encoding = false;
  };

  // Before: no row has the same method and pattern; routes are added before the server starts.
  void add(const RouteText& text, Handler handler);
  // HEAD finds the row of GET.
  [[nodiscard]] Match find(Method method, const Target& target);
  [[nodiscard]] const std::deque<Route>& routes() const { return routes_; }

 private:
  std::deque<Route> routes_;
};

}  // namespace quorate::edge::http
