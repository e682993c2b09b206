// SPDX-License-Identifier: Apache-2.0
#include "service/value/hash_value.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace quorate::service {
namespace {

constexpr size_t kHeaderBytes = kHashMark.size() + sizeof(uint32_t);

void write_header(std::string& out) {
  out.assign(kHashMark);
  out.append(sizeof(uint32_t), '\0');
}

// The count is known when everything stands.
void set_count(std::string& out, size_t count) {
  const auto number = static_cast<uint32_t>(count);
  std::memcpy(out.data() + kHashMark.size(), &number, sizeof(number));
}

// A field that a change names, and where it stands among those of the change.
struct Named {
  std::string_view name;
  size_t at = 0;
  bool is_done = false;
};

bool by_name(const Named& left, const Named& right) { return left.name < right.name; }

// In order of names, each once, with the first of its places.
std::vector<Named> sorted(std::vector<Named> names) {
  std::stable_sort(names.begin(), names.end(), by_name);
  const auto same = [](const Named& left, const Named& right) { return left.name == right.name; };
  names.erase(std::unique(names.begin(), names.end(), same), names.end());
  return names;
}

Named* find(std::vector<Named>& names, std::string_view name) {
  const auto at = std::lower_bound(names.begin(), names.end(), Named{name}, by_name);
  return at != names.end() && at->name == name ? &*at : nullptr;
}

// Copies an image in as few pieces as there are changes: what is kept stays as it lies.
class Copy {
 public:
  Copy(std::string_view image, std::string& out)
      : left_(image.empty() ? image : image.substr(kHeaderBytes)), out_(out) {
    write_header(out);
  }

  [[nodiscard]] bool next(HashField& field) {
    if (read_ == left_.size()) {
      return false;
    }
    Reader reader(left_.substr(read_));
    field.name = reader.bytes();
    field.value = reader.bytes();
    ASSERT(reader.ok());
    field_begin_ = read_;
    read_ = left_.size() - reader.left();
    return true;
  }
  // The field that next() gave goes; another may be written in its place.
  void drop() {
    out_.append(left_.substr(copied_, field_begin_ - copied_));
    copied_ = read_;
  }
  void finish() { out_.append(left_.substr(copied_)); }

 private:
  std::string_view left_;
  std::string& out_;
  size_t copied_ = 0;
  size_t field_begin_ = 0;
  size_t read_ = 0;
};

void write_field(std::string& out, const HashField& field) {
  Writer writer(out);
  writer.bytes(field.name);
  writer.bytes(field.value);
}

}  // namespace

bool is_hash_image(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.raw(kHashMark.size()) != kHashMark) {
    return false;
  }
  const uint32_t count = reader.u32();
  if (count == 0 || count > bytes.size() / 2) {
    return false;
  }
  std::vector<std::string_view> names;
  for (uint32_t left = count; left > 0 && reader.ok(); --left) {
    names.push_back(reader.bytes());
    (void)reader.bytes();
  }
  std::sort(names.begin(), names.end());
  return reader.done() && std::adjacent_find(names.begin(), names.end()) == names.end();
}

HashReader::HashReader(std::string_view image) : reader_(image), size_(0) {
  if (!image.empty()) {
    const std::string_view mark = reader_.raw(kHashMark.size());
    ASSERT(mark == kHashMark);
    size_ = reader_.u32();
  }
}

bool HashReader::next(HashField& field) {
  if (reader_.left() == 0) {
    return false;
  }
  field.name = reader_.bytes();
  field.value = reader_.bytes();
  ASSERT(reader_.ok());
  return true;
}

size_t hash_size(std::string_view image) { return HashReader(image).size(); }

std::optional<std::string_view> find_hash_field(std::string_view image, std::string_view name) {
  HashReader reader(image);
  for (HashField field; reader.next(field);) {
    if (field.name == name) {
      return field.value;
    }
  }
  return std::nullopt;
}

size_t put_hash_fields(std::string_view image, const std::vector<HashField>& fields,
                       std::string& out) {
  std::vector<Named> names;
  for (size_t at = 0; at < fields.size(); ++at) {
    names.push_back({fields[at].name, at});
  }
  names = sorted(std::move(names));
  std::vector<std::string_view> values(fields.size());  // the last one, by the first place
  for (const HashField& field : fields) {
    values[find(names, field.name)->at] = field.value;
  }
  Copy copy(image, out);
  for (HashField field; copy.next(field);) {
    if (Named* const named = find(names, field.name)) {
      copy.drop();
      write_field(out, {field.name, values[named->at]});
      named->is_done = true;
    }
  }
  copy.finish();
  size_t added = 0;
  for (size_t at = 0; at < fields.size(); ++at) {
    const Named* const named = find(names, fields[at].name);
    if (named->at == at && !named->is_done) {
      write_field(out, {fields[at].name, values[at]});
      ++added;
    }
  }
  set_count(out, hash_size(image) + added);
  return added;
}

size_t erase_hash_fields(std::string_view image, const std::vector<std::string_view>& names,
                         std::string& out) {
  std::vector<Named> gone;
  for (const std::string_view name : names) {
    gone.push_back({name});
  }
  gone = sorted(std::move(gone));
  Copy copy(image, out);
  size_t erased = 0;
  for (HashField field; copy.next(field);) {
    if (find(gone, field.name) != nullptr) {
      copy.drop();
      ++erased;
    }
  }
  copy.finish();
  const size_t left = hash_size(image) - erased;
  if (left == 0) {
    out.clear();
  } else {
    set_count(out, left);
  }
  return erased;
}

}  // namespace quorate::service
