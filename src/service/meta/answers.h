// SPDX-License-Identifier: Apache-2.0
// The queries and answers of the meta group, and their bytes. Positions in the variants are on the
// wire: append only.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "service/meta/types.h"

namespace quorate::service::meta {

// ---- queries ------------------------------------------------------------------------------------

// The whole map, unless the asker has this generation already.
struct GetMap {
  uint64_t known_generation = 0;

  bool operator==(const GetMap&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.known_generation);
  }
};

struct GetObject {
  ServiceId kind = ServiceId::kKv;
  std::string name;

  bool operator==(const GetObject&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name);
  }
};

// In order of name, those after `after`.
struct ListObjects {
  ServiceId kind = ServiceId::kKv;
  std::string after;
  uint32_t limit = 100;

  bool operator==(const ListObjects&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.after, self.limit);
  }
};

struct GetPrincipal {
  PrincipalKind kind = PrincipalKind::kUser;
  std::string name;

  bool operator==(const GetPrincipal&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name);
  }
};

struct ListPrincipals {
  PrincipalKind kind = PrincipalKind::kUser;
  std::string after;
  uint32_t limit = 100;

  bool operator==(const ListPrincipals&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.after, self.limit);
  }
};

using Query = std::variant<GetMap, GetObject, ListObjects, GetPrincipal, ListPrincipals>;

// ---- answers ------------------------------------------------------------------------------------

struct Done {
  uint64_t generation = 0;

  bool operator==(const Done&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.generation);
  }
};

struct Added {
  NodeId node;
  uint64_t cluster_id = 0;
  uint64_t generation = 0;

  bool operator==(const Added&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.cluster_id, self.generation);
  }
};

// Placement changed: this many replicas and leaders have to move.
struct Placed {
  uint64_t replicas_moved = 0;
  uint64_t leaders_moved = 0;
  uint64_t generation = 0;

  bool operator==(const Placed&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.replicas_moved, self.leaders_moved, self.generation);
  }
};

struct ObjectFound {
  Object object;

  bool operator==(const ObjectFound&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.object);
  }
};

struct ObjectList {
  std::vector<Object> objects;
  bool more = false;

  bool operator==(const ObjectList&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.objects, self.more);
  }
};

struct PrincipalFound {
  Principal principal;

  bool operator==(const PrincipalFound&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.principal);
  }
};

struct PrincipalList {
  std::vector<Principal> principals;
  bool more = false;

  bool operator==(const PrincipalList&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.principals, self.more);
  }
};

struct MapUnchanged {
  uint64_t generation = 0;

  bool operator==(const MapUnchanged&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.generation);
  }
};

struct MapFound {
  Map map;

  bool operator==(const MapFound&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.map);
  }
};

using Success = std::variant<Done, Added, Placed, ObjectFound, ObjectList, PrincipalFound,
                             PrincipalList, MapUnchanged, MapFound>;

// A refusal is the Status.
using Answer = Result<Success>;

[[nodiscard]] std::string encode_query(const Query& query);
[[nodiscard]] Result<Query> decode_query(std::string_view bytes);
// Status first, as every service's answer has it (registry.h); then, if ok, the success.
void encode_answer(const Answer& answer, std::string& out);
// kCorrupted if the bytes are not an answer.
[[nodiscard]] Answer decode_answer(std::string_view bytes);

}  // namespace quorate::service::meta
