// SPDX-License-Identifier: Apache-2.0
#include "service/ordered_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace quorate::service {
namespace {

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t at = 0;
  while (at < size && a[at] == b[at]) {
    ++at;
  }
  return at;
}

}  // namespace

// Short keys are padded with zeros: equal heads say nothing, unequal heads decide.
uint32_t OrderedIndex::head_of(std::string_view key, size_t prefix) {
  uint32_t word = 0;
  if (key.size() >= prefix + sizeof(word)) {
    std::memcpy(&word, key.data() + prefix, sizeof(word));
  } else if (key.size() > prefix) {
    std::memcpy(&word, key.data() + prefix, key.size() - prefix);
  }
  return __builtin_bswap32(word);
}

bool OrderedIndex::is_open(const Fences& fences) {
  return !fences.low.has_value() || !fences.high.has_value();
}

// Keys ascend, so what the first and the last have in common all have.
size_t OrderedIndex::common_prefix_of(const Node& node) const {
  return node.count == 0
             ? 0
             : common_prefix(entries_.key(node.refs[0]), entries_.key(node.refs[node.count - 1]));
}

size_t OrderedIndex::prefix_of(const Node& node, const Fences& fences) const {
  return is_open(fences) ? common_prefix_of(node) : common_prefix(*fences.low, *fences.high);
}

void OrderedIndex::fence(Node& node, const Fences& fences) {
  node.is_open = is_open(fences);
  if (const size_t prefix = prefix_of(node, fences); prefix != node.prefix) {
    set_prefix(node, prefix);
  }
}

void OrderedIndex::fit_prefix(Node& node, std::string_view key) {
  if (!node.is_open) {
    return;
  }
  if (node.count == 0) {
    node.prefix = static_cast<uint16_t>(key.size());
    return;
  }
  const size_t prefix = common_prefix(entries_.key(node.refs[0]), key);
  if (prefix < node.prefix) {
    set_prefix(node, prefix);
  }
}

size_t OrderedIndex::lower_bound(const Node& node, std::string_view key) const {
  if (node.is_open && node.prefix > 0 && node.count > 0) {
    const std::string_view common = entries_.key(node.refs[0]).substr(0, node.prefix);
    if (const int order = key.substr(0, node.prefix).compare(common); order != 0) {
      return order < 0 ? 0 : node.count;
    }
  }
  const uint32_t head = head_of(key, node.prefix);
  size_t low = 0;
  for (size_t left = node.count; left > 0;) {
    const size_t half = left / 2;
    const bool less = node.heads[low + half] < head;
    low = less ? low + half + 1 : low;
    left = less ? left - half - 1 : half;
  }
  size_t high = low;
  while (high < node.count && node.heads[high] == head) {
    ++high;
  }
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (entries_.key(node.refs[middle]) < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// A key equal to a separator belongs to its right.
size_t OrderedIndex::child_of(const Inner& node, std::string_view key) const {
  const size_t at = lower_bound(node, key);
  const bool equal = at < node.count && node.heads[at] == head_of(key, node.prefix) &&
                     entries_.key(node.refs[at]) == key;
  return equal ? at + 1 : at;
}

OrderedIndex::Fences OrderedIndex::fences_of(const Inner& node, size_t child,
                                             const Fences& fences) const {
  Fences inside = fences;
  if (child > 0) {
    inside.low = entries_.key(node.refs[child - 1]);
  }
  if (child < node.count) {
    inside.high = entries_.key(node.refs[child]);
  }
  return inside;
}

const OrderedIndex::Leaf* OrderedIndex::leaf_of(std::string_view key) const {
  const Node* node = root_;
  while (node != nullptr && !node->is_leaf) {
    node = inner(node)->children[child_of(*inner(node), key)];
  }
  return static_cast<const Leaf*>(node);
}

void OrderedIndex::open_slot(Node& node, size_t at, uint32_t head, Ref ref) {
  ASSERT(node.count < kSlots && at <= node.count);
  const size_t after = node.count - at;
  std::memmove(node.heads + at + 1, node.heads + at, after * sizeof(uint32_t));
  std::memmove(node.refs + at + 1, node.refs + at, after * sizeof(Ref));
  node.heads[at] = head;
  node.refs[at] = ref;
  ++node.count;
}

void OrderedIndex::close_slot(Node& node, size_t at) {
  ASSERT(at < node.count);
  const size_t after = node.count - at - 1;
  std::memmove(node.heads + at, node.heads + at + 1, after * sizeof(uint32_t));
  std::memmove(node.refs + at, node.refs + at + 1, after * sizeof(Ref));
  --node.count;
}

void OrderedIndex::set_prefix(Node& node, size_t prefix) {
  node.prefix = static_cast<uint16_t>(prefix);
  for (size_t at = 0; at < node.count; ++at) {
    entries_.prefetch(node.refs[at]);
  }
  for (size_t at = 0; at < node.count; ++at) {
    node.heads[at] = head_of(entries_.key(node.refs[at]), prefix);
  }
}

void OrderedIndex::insert(Ref ref) {
  if (root_ == nullptr) {
    root_ = new Leaf;
    ++leaf_count_;
  }
  const Split split = insert_into(*root_, ref, Fences{});
  ++size_;
  if (split.separator != Slab::kNone) {
    auto* const top = new Inner;
    ++inner_count_;
    top->is_leaf = false;
    top->children[0] = root_;
    top->children[1] = split.right;
    add_separator(*top, 0, split.separator);
    root_ = top;
  }
}

OrderedIndex::Split OrderedIndex::insert_into(Node& node, Ref ref, const Fences& fences) {
  const std::string_view key = entries_.key(ref);
  if (node.is_leaf) {
    fit_prefix(node, key);
    const size_t at = lower_bound(node, key);
    open_slot(node, at, head_of(key, node.prefix), ref);
    if (node.count < kSlots) {
      return {};
    }
    return split_leaf(*leaf(&node), at + 1 == node.count && leaf(&node)->next == nullptr, fences);
  }
  Inner& here = *inner(&node);
  const size_t child = child_of(here, key);
  const Split below = insert_into(*here.children[child], ref, fences_of(here, child, fences));
  if (below.separator == Slab::kNone) {
    return {};
  }
  std::memmove(here.children + child + 2, here.children + child + 1,
               (here.count - child) * sizeof(Node*));
  here.children[child + 1] = below.right;
  add_separator(here, child, below.separator);
  if (here.count < kSlots) {
    return {};
  }
  return split_inner(here, child + 1 == here.count && !fences.high.has_value(), fences);
}

void OrderedIndex::add_separator(Inner& node, size_t at, Ref separator) {
  const std::string_view key = entries_.key(separator);
  fit_prefix(node, key);
  open_slot(node, at, head_of(key, node.prefix), separator);
}

// The shortest string above `left` and not above `right`.
Ref OrderedIndex::make_separator(std::string_view left, std::string_view right) {
  const std::string_view shortest = right.substr(0, common_prefix(left, right) + 1);
  ASSERT(left < shortest && shortest <= right);
  return entries_.make(shortest, {});
}

// Keys that come in ascending order leave full leaves behind: the last leaf is cut at its end.
OrderedIndex::Split OrderedIndex::split_leaf(Leaf& left, bool at_end, const Fences& fences) {
  const size_t middle = at_end ? kSlots - 1 : kSlots / 2;
  auto* const right = new Leaf;
  ++leaf_count_;
  right->count = static_cast<uint16_t>(kSlots - middle);
  std::memcpy(right->refs, left.refs + middle, right->count * sizeof(Ref));
  std::memcpy(right->heads, left.heads + middle, right->count * sizeof(uint32_t));
  right->prefix = left.prefix;
  left.count = static_cast<uint16_t>(middle);
  right->next = left.next;
  right->previous = &left;
  if (right->next != nullptr) {
    right->next->previous = right;
  }
  left.next = right;
  const Ref separator =
      make_separator(entries_.key(left.refs[middle - 1]), entries_.key(right->refs[0]));
  fence(left, {fences.low, entries_.key(separator)});
  fence(*right, {entries_.key(separator), fences.high});
  return {separator, right};
}

OrderedIndex::Split OrderedIndex::split_inner(Inner& left, bool at_end, const Fences& fences) {
  const size_t middle = at_end ? kSlots - 2 : kSlots / 2;
  auto* const right = new Inner;
  ++inner_count_;
  right->is_leaf = false;
  right->count = static_cast<uint16_t>(kSlots - middle - 1);
  std::memcpy(right->refs, left.refs + middle + 1, right->count * sizeof(Ref));
  std::memcpy(right->children, left.children + middle + 1, (right->count + 1u) * sizeof(Node*));
  std::memcpy(right->heads, left.heads + middle + 1, right->count * sizeof(uint32_t));
  right->prefix = left.prefix;
  left.count = static_cast<uint16_t>(middle);
  const Ref separator = left.refs[middle];
  fence(left, {fences.low, entries_.key(separator)});
  fence(*right, {entries_.key(separator), fences.high});
  return {separator, right};
}

void OrderedIndex::erase(Ref ref) {
  ASSERT(root_ != nullptr && size_ > 0);
  erase_from(*root_, entries_.key(ref), Fences{});
  --size_;
  while (!root_->is_leaf && root_->count == 0) {
    Inner* const top = inner(root_);
    root_ = top->children[0];
    delete top;
    --inner_count_;
  }
}

void OrderedIndex::erase_from(Node& node, std::string_view key, const Fences& fences) {
  if (node.is_leaf) {
    const size_t at = lower_bound(node, key);
    ASSERT(at < node.count && entries_.key(node.refs[at]) == key, "erased what is not there");
    close_slot(node, at);
    return;
  }
  Inner& here = *inner(&node);
  const size_t child = child_of(here, key);
  erase_from(*here.children[child], key, fences_of(here, child, fences));
  if (here.children[child]->count < kMergeBelow && here.count > 0) {
    merge_child(here, child, fences);
  }
}

// Joins the child with a neighbour if both together leave room to grow.
void OrderedIndex::merge_child(Inner& parent, size_t child, const Fences& fences) {
  const size_t first = child == parent.count ? child - 1 : child;
  Node* const left = parent.children[first];
  Node* const right = parent.children[first + 1];
  const size_t sum = left->count + right->count + (left->is_leaf ? 0u : 1u);
  const bool has_empty = left->count == 0 || right->count == 0;
  if (sum > kMergedMax && !(has_empty && sum < kSlots)) {
    return;
  }
  const Ref separator = parent.refs[first];
  if (left->is_leaf) {
    merge_leaves(*leaf(left), *leaf(right));
    entries_.free(separator);
  } else {
    merge_inners(*inner(left), *inner(right), separator);
  }
  close_slot(parent, first);
  std::memmove(parent.children + first + 1, parent.children + first + 2,
               (parent.count - first) * sizeof(Node*));
  const Fences around = fences_of(parent, first, fences);
  left->is_open = is_open(around);
  set_prefix(*left, prefix_of(*left, around));
}

void OrderedIndex::merge_leaves(Leaf& left, Leaf& right) {
  std::memcpy(left.refs + left.count, right.refs, right.count * sizeof(Ref));
  left.count = static_cast<uint16_t>(left.count + right.count);
  left.next = right.next;
  if (left.next != nullptr) {
    left.next->previous = &left;
  }
  delete &right;
  --leaf_count_;
}

void OrderedIndex::merge_inners(Inner& left, Inner& right, Ref separator) {
  left.refs[left.count] = separator;
  std::memcpy(left.refs + left.count + 1, right.refs, right.count * sizeof(Ref));
  std::memcpy(left.children + left.count + 1, right.children, (right.count + 1u) * sizeof(Node*));
  left.count = static_cast<uint16_t>(left.count + right.count + 1);
  delete &right;
  --inner_count_;
}

void OrderedIndex::replace(Ref from, Ref to) {
  const std::string_view key = entries_.key(to);
  auto* const here = const_cast<Leaf*>(leaf_of(key));
  ASSERT(here != nullptr);
  const size_t at = lower_bound(*here, key);
  ASSERT(at < here->count && here->refs[at] == from, "replaced what is not there");
  here->refs[at] = to;
}

void OrderedIndex::clear() {
  if (root_ != nullptr) {
    free_node(root_);
  }
  root_ = nullptr;
  size_ = 0;
  leaf_count_ = 0;
  inner_count_ = 0;
}

void OrderedIndex::free_node(Node* node) {
  if (node->is_leaf) {
    delete leaf(node);
    return;
  }
  Inner* const here = inner(node);
  for (size_t child = 0; child <= here->count; ++child) {
    free_node(here->children[child]);
  }
  for (size_t at = 0; at < here->count; ++at) {
    entries_.free(here->refs[at]);
  }
  delete here;
}

void OrderedIndex::Cursor::skip_forward() {
  while (leaf_ != nullptr && at_ >= leaf_->count) {
    leaf_ = leaf_->next;
    at_ = 0;
  }
}

void OrderedIndex::Cursor::next() {
  ASSERT(valid());
  ++at_;
  skip_forward();
}

void OrderedIndex::Cursor::previous() {
  ASSERT(valid());
  while (leaf_ != nullptr && at_ == 0) {
    leaf_ = leaf_->previous;
    at_ = leaf_ == nullptr ? 0 : leaf_->count;
  }
  if (leaf_ != nullptr) {
    --at_;
  }
}

OrderedIndex::Cursor OrderedIndex::first() const {
  const Node* node = root_;
  while (node != nullptr && !node->is_leaf) {
    node = inner(node)->children[0];
  }
  Cursor cursor(static_cast<const Leaf*>(node), 0);
  cursor.skip_forward();
  return cursor;
}

OrderedIndex::Cursor OrderedIndex::last() const {
  const Node* node = root_;
  while (node != nullptr && !node->is_leaf) {
    node = inner(node)->children[node->count];
  }
  if (node == nullptr) {
    return {};
  }
  Cursor cursor(static_cast<const Leaf*>(node), node->count);
  cursor.previous();
  return cursor;
}

OrderedIndex::Cursor OrderedIndex::at_or_after(std::string_view key) const {
  const Leaf* const here = leaf_of(key);
  if (here == nullptr) {
    return {};
  }
  Cursor cursor(here, lower_bound(*here, key));
  cursor.skip_forward();
  return cursor;
}

OrderedIndex::Cursor OrderedIndex::before(std::string_view key) const {
  const Leaf* const here = leaf_of(key);
  if (here == nullptr) {
    return {};
  }
  Cursor cursor(here, lower_bound(*here, key));
  cursor.previous();
  return cursor;
}

size_t OrderedIndex::memory_bytes() const {
  return leaf_count_ * sizeof(Leaf) + inner_count_ * sizeof(Inner);
}

size_t OrderedIndex::check_node(const Node& node, const Fences& fences, size_t depth) const {
  ASSERT(depth < 16 && node.count < kSlots);
  ASSERT(node.is_open == is_open(fences));
  ASSERT(node.is_open ? node.count == 0 || node.prefix <= common_prefix_of(node)
                      : node.prefix == prefix_of(node, fences));
  for (size_t at = 0; at < node.count; ++at) {
    const std::string_view key = entries_.key(node.refs[at]);
    ASSERT(node.heads[at] == head_of(key, node.prefix));
    ASSERT(at == 0 || entries_.key(node.refs[at - 1]) < key);
    ASSERT(!fences.low.has_value() || *fences.low <= key);
    ASSERT(!fences.high.has_value() || key < *fences.high);
  }
  if (node.is_leaf) {
    return node.count;
  }
  size_t sum = 0;
  const Inner& here = *inner(&node);
  for (size_t child = 0; child <= here.count; ++child) {
    sum += check_node(*here.children[child], fences_of(here, child, fences), depth + 1);
  }
  return sum;
}

void OrderedIndex::check_invariants() const {
  const size_t found = root_ == nullptr ? 0 : check_node(*root_, Fences{}, 0);
  ASSERT(found == size_);
  size_t walked = 0;
  for (Cursor cursor = first(); cursor.valid(); cursor.next()) {
    ++walked;
  }
  ASSERT(walked == size_, "the leaves are chained in order");
}

}  // namespace quorate::service
