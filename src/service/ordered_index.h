// SPDX-License-Identifier: Apache-2.0
// OrderedIndex: entries in the order of their keys; a B+-tree that takes eight bytes per entry.
//
// Keys stay in their entries. A node keeps of each key its reference and its `head`: the four bytes
// that follow what all keys of the node have in common. A search thus runs inside the node, and
// looks at an entry only where heads are equal. What is common follows from the fences, the
// separators left and right of the node: every key between two strings shares their common prefix,
// so that it need not be compared, and changes only when the node is split or merged. A node at an
// end of the tree lacks a fence: there it is what the keys that stand in it have in common, a key
// that is searched is held against that first, and a new key may shorten it.
//
//   inner   [ sep 1 | sep 2 | ... ]         separators are entries of their own, without a record,
//          /        |        \              as short as will tell the two sides apart
//   leaf [k k k]<->[k k k]<->[k k k]
//
//   1. In a node heads and keys ascend strictly; child i holds keys k with sep(i) <= k < sep(i+1).
//   2. node.prefix is the length of the common prefix of its fences; where one is missing, at most
//      that of the node's own keys.
//   3. A node has room for one more whenever an insert begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "service/entries.h"

namespace quorate::service {

class OrderedIndex {
  static constexpr size_t kSlots = 64;
  struct Node {
    uint16_t count = 0;
    uint16_t prefix = 0;
    bool is_leaf = true;
    bool is_open = true;  // lacks a fence
    uint32_t heads[kSlots];
    Ref refs[kSlots];
  };
  struct Leaf;

 public:
  // `entries` must outlive the index; separators live in it too.
  explicit OrderedIndex(Entries& entries) : entries_(entries) {}
  OrderedIndex(const OrderedIndex&) = delete;
  OrderedIndex& operator=(const OrderedIndex&) = delete;
  ~OrderedIndex() { clear(); }

  // A position between changes: any insert, erase or clear ends it.
  class Cursor {
   public:
    Cursor() = default;
    [[nodiscard]] bool valid() const { return leaf_ != nullptr; }
    [[nodiscard]] Ref ref() const { return leaf_->refs[at_]; }
    void next();
    void previous();

   private:
    friend class OrderedIndex;
    Cursor(const Leaf* leaf, size_t at) : leaf_(leaf), at_(at) {}
    void skip_forward();
    const Leaf* leaf_ = nullptr;
    size_t at_ = 0;
  };

  // Before: no entry of this key is there.
  void insert(Ref ref);
  // Before: it is there. Its entry is still readable.
  void erase(Ref ref);
  // The root, and some time later what a search in it, if it is a leaf, looks at.
  void prefetch() const { fetch_ahead(root_); }
  void prefetch_leaf() const {
    if (root_ != nullptr && root_->is_leaf) {
      fetch_ahead(root_->heads, root_->count * sizeof(uint32_t));
      fetch_ahead(root_->refs, root_->count * sizeof(Ref));
    }
  }
  // And later yet, the entry that every search is held against first.
  void prefetch_first() const {
    if (root_ != nullptr && root_->is_leaf && root_->count > 0) {
      entries_.prefetch(root_->refs[0]);
    }
  }
  // The same key in another block. Before: both blocks are readable.
  void replace(Ref from, Ref to);
  // Frees no entries but the separators.
  void clear();

  [[nodiscard]] Cursor first() const;
  [[nodiscard]] Cursor last() const;
  // The first entry whose key is not less than `key`.
  [[nodiscard]] Cursor at_or_after(std::string_view key) const;
  // The last entry whose key is less than `key`.
  [[nodiscard]] Cursor before(std::string_view key) const;

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t memory_bytes() const;
  void check_invariants() const;

 private:
  // Below this a node looks for a neighbour to merge with; the sum must stay below the other.
  static constexpr size_t kMergeBelow = kSlots / 4;
  static constexpr size_t kMergedMax = kSlots * 3 / 4;

  struct Leaf : Node {
    Leaf* previous = nullptr;
    Leaf* next = nullptr;
  };
  struct Inner : Node {
    Node* children[kSlots + 1];
  };
  struct Fences {
    std::optional<std::string_view> low;
    std::optional<std::string_view> high;
  };
  struct Split {
    Ref separator = Slab::kNone;  // kNone: the node was not split
    Node* right = nullptr;
  };

  static uint32_t head_of(std::string_view key, size_t prefix);
  static bool is_open(const Fences& fences);
  static Leaf* leaf(Node* node) { return static_cast<Leaf*>(node); }
  static Inner* inner(Node* node) { return static_cast<Inner*>(node); }
  static const Inner* inner(const Node* node) { return static_cast<const Inner*>(node); }

  [[nodiscard]] size_t lower_bound(const Node& node, std::string_view key) const;
  [[nodiscard]] size_t child_of(const Inner& node, std::string_view key) const;
  [[nodiscard]] Fences fences_of(const Inner& node, size_t child, const Fences& fences) const;
  [[nodiscard]] const Leaf* leaf_of(std::string_view key) const;

  static void open_slot(Node& node, size_t at, uint32_t head, Ref ref);
  static void close_slot(Node& node, size_t at);
  void set_prefix(Node& node, size_t prefix);
  [[nodiscard]] size_t common_prefix_of(const Node& node) const;
  [[nodiscard]] size_t prefix_of(const Node& node, const Fences& fences) const;
  // The fences of the node are new; its heads are right for the prefix that it says it has.
  void fence(Node& node, const Fences& fences);
  // The key is about to come in.
  void fit_prefix(Node& node, std::string_view key);

  void add_separator(Inner& node, size_t at, Ref separator);
  Split insert_into(Node& node, Ref ref, const Fences& fences);
  Split split_leaf(Leaf& left, bool at_end, const Fences& fences);
  Split split_inner(Inner& left, bool at_end, const Fences& fences);
  Ref make_separator(std::string_view left, std::string_view right);

  void erase_from(Node& node, std::string_view key, const Fences& fences);
  void merge_child(Inner& parent, size_t child, const Fences& fences);
  void merge_leaves(Leaf& left, Leaf& right);
  void merge_inners(Inner& left, Inner& right, Ref separator);

  void free_node(Node* node);
  size_t check_node(const Node& node, const Fences& fences, size_t depth) const;

  Entries& entries_;
  Node* root_ = nullptr;
  size_t size_ = 0;
  size_t leaf_count_ = 0;
  size_t inner_count_ = 0;
};

}  // namespace quorate::service
