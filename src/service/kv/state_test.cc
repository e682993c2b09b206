// SPDX-License-Identifier: Apache-2.0
// The transcripts of the key-value machine: each verb goes through its bytes, as on a real node.
#include "service/kv/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "testing/transcript.h"

namespace quorate::service::kv {
namespace {

using testing::Line;
using testing::ScriptError;

std::string text(uint64_t number) { return std::to_string(number); }

std::string seconds(Duration duration) {
  const int64_t millis = duration.millis();
  return millis % 1'000 == 0 ? std::to_string(millis / 1'000) + "s" : std::to_string(millis) + "ms";
}

class KvScript final : public testing::Script {
 public:
  KvScript() : machine_(make()) {}

  std::string run(const Line& line) override {
    if (line.verb == "advance") {
      now_ = now_ + Duration::micros(testing::parse_duration_micros(line.arg(0)));
      return "";
    }
    if (line.verb == "due") {
      return run_due();
    }
    if (line.verb == "restart") {
      return restart();
    }
    if (const auto query = make_query(line); query.has_value()) {
      std::string bytes;
      std::string answer;
      encode(*query, bytes);
      machine_->query(bytes, now_, answer);
      return shown(line, decode_answer(answer));
    }
    return apply(line, make_command(line));
  }

 private:
  static std::unique_ptr<Hosted> make() {
    return host<State>(State::Options{.hash_seed = 1, .history_bytes_max = 4'096});
  }

  std::string apply(const Line& line, const Command& command) {
    std::string bytes;
    encode(command, bytes);
    answer_.clear();
    machine_->apply(bytes, {now_, ++index_}, answer_);
    machine_->check_invariants();
    return shown(line, decode_answer(answer_));
  }

  // As the leader would: while something is due.
  std::string run_due() {
    uint64_t count = 0;
    while (machine_->next_due() <= now_) {
      answer_.clear();
      machine_->apply(machine_->due_command(now_), {now_, ++index_}, answer_);
      count += std::get<Expired>(decode_answer(answer_)).count;
    }
    machine_->check_invariants();
    return "expired " + text(count);
  }

  // Through a snapshot into a fresh machine.
  std::string restart() {
    std::string image;
    {
      const std::unique_ptr<SnapshotSource> source = machine_->freeze();
      while (source->next(64, image)) {
      }
    }
    std::unique_ptr<Hosted> fresh = make();
    fresh->restore_begin();
    for (size_t at = 0; at < image.size(); at += 7) {
      if (Status status = fresh->restore_piece(std::string_view(image).substr(at, 7));
          !status.ok()) {
        return status.to_string();
      }
    }
    if (Status status = fresh->restore_end(); !status.ok()) {
      return status.to_string();
    }
    fresh->check_invariants();
    const bool is_same = fresh->digest() == machine_->digest();
    machine_ = std::move(fresh);
    return is_same ? "restored, the digest is the same" : "restored, the digest differs";
  }

  // --- From a line to a command --------------------------------------------------------------

  static KeyspaceId keyspace_of(const Line& line) {
    return KeyspaceId(static_cast<uint32_t>(line.option_number("keyspace", 0)));
  }
  static bool has_word(const Line& line, std::string_view word) {
    return std::find(line.args.begin(), line.args.end(), word) != line.args.end();
  }
  static Lifetime lifetime_of(const Line& line, Lifetime otherwise) {
    if (line.has("ttl")) {
      return {Lifetime::Kind::kFor, testing::parse_duration_micros(line.option("ttl"))};
    }
    if (line.has("until")) {
      return {Lifetime::Kind::kUntil, testing::parse_duration_micros(line.option("until"))};
    }
    return has_word(line, "keep") ? Lifetime::keep() : otherwise;
  }
  static Condition condition_of(const Line& line) {
    if (line.has("version")) {
      return {Condition::Kind::kVersion, line.option_number("version"), {}};
    }
    if (line.has("modified")) {
      return {Condition::Kind::kModified, line.option_number("modified"), {}};
    }
    if (line.has("value")) {
      return {Condition::Kind::kValue, 0, line.option("value")};
    }
    const std::string state = line.option("if", "");
    return {state == "absent"    ? Condition::Kind::kAbsent
            : state == "present" ? Condition::Kind::kPresent
                                 : Condition::Kind::kNone,
            0,
            {}};
  }
  static int64_t signed_option(const Line& line, std::string_view name, int64_t otherwise) {
    return line.has(name) ? std::stoll(line.option(name)) : otherwise;
  }
  static std::vector<std::string_view> keys_of(const Line& line) {
    return {line.args.begin(), line.args.end()};
  }
  Range range_of(const Line& line) {
    if (line.has("prefix")) {
      return {line.option("prefix"), end_ = prefix_end(line.option("prefix"))};
    }
    return {begin_ = line.option("begin", ""), end_ = line.option("end", "")};
  }

  std::optional<Txn::Op> make_op(const Line& line) {
    const KeyspaceId space = keyspace_of(line);
    if (line.verb == "put") {
      return Put{space, line.arg(0), line.arg(1), lifetime_of(line, {}), condition_of(line),
                 has_word(line, "previous")};
    }
    if (line.verb == "delete") {
      return Delete{space, line.arg(0), condition_of(line), has_word(line, "previous")};
    }
    if (line.verb == "touch" || line.verb == "persist") {
      static const std::map<std::string, Touch::When> kWhens = {
          {"", Touch::When::kAlways},          {"forever", Touch::When::kIfForever},
          {"ending", Touch::When::kIfEnding},  {"later", Touch::When::kIfLater},
          {"sooner", Touch::When::kIfSooner}};
      return Touch{space, line.arg(0), lifetime_of(line, {}), kWhens.at(line.option("if", ""))};
    }
    if (line.verb == "incr") {
      return Increment{space, line.arg(0), signed_option(line, "by", 1),
                       lifetime_of(line, Lifetime::keep())};
    }
    if (line.verb == "append") {
      return Append{space, line.arg(0), line.arg(1)};
    }
    if (line.verb == "set_range") {
      return SetRange{space, line.arg(0), line.arg_number(1), line.arg(2)};
    }
    if (line.verb == "get") {
      return Get{space, line.arg(0), !has_word(line, "bare")};
    }
    return std::nullopt;
  }

  Command make_command(const Line& line) {
    const KeyspaceId space = keyspace_of(line);
    if (const std::optional<Txn::Op> op = make_op(line); op.has_value()) {
      return widen(*op);
    }
    if (line.verb == "put_many") {
      PutMany command{space, line.option("if", "") == "absent", {}};
      for (size_t at = 0; at + 1 < line.args.size(); at += 2) {
        command.items.push_back({line.args[at], line.args[at + 1], lifetime_of(line, {})});
      }
      return command;
    }
    if (line.verb == "delete_many") {
      return DeleteMany{space, keys_of(line)};
    }
    if (line.verb == "touch_many") {
      return TouchMany{space, lifetime_of(line, {}), keys_of(line)};
    }
    if (line.verb == "delete_range") {
      return DeleteRange{space, range_of(line), line.option_number("limit", 0)};
    }
    if (line.verb == "rate_limit") {
      return RateLimit{space,
                       line.arg(0),
                       line.option_number("burst"),
                       line.option_number("tokens", 1),
                       Duration::micros(testing::parse_duration_micros(line.option("per", "1s"))),
                       line.option_number("cost", 1)};
    }
    if (line.verb == "txn") {
      return make_txn(line);
    }
    throw ScriptError("unknown verb " + line.verb);
  }

  static Command widen(const Txn::Op& op) {
    return std::visit(
        [](const auto& fields) -> Command {
          if constexpr (std::is_constructible_v<Command, decltype(fields)>) {
            return fields;
          } else {
            throw ScriptError("a query");
          }
        },
        op);
  }

  // txn if "version a = 0" then "put a 1" "get a" else "get a"
  Command make_txn(const Line& line) {
    Txn txn{keyspace_of(line), {}, {}, {}};
    lines_.clear();
    std::string part;
    for (const std::string& word : line.args) {
      if (word == "if" || word == "then" || word == "else") {
        part = word;
        continue;
      }
      const Line& step = *lines_.emplace_back(
          std::make_unique<Line>(testing::parse_line(word, line.number)));
      if (part == "if") {
        txn.compares.push_back(make_compare(step));
      } else {
        (part == "then" ? txn.then : txn.otherwise).push_back(make_op(step).value());
      }
    }
    return txn;
  }

  static Compare make_compare(const Line& line) {
    static const std::map<std::string, Compare::What> kWhats = {
        {"version", Compare::What::kVersion},
        {"created", Compare::What::kCreated},
        {"modified", Compare::What::kModified},
        {"value", Compare::What::kValue}};
    static const std::map<std::string, Compare::Relation> kRelations = {
        {"=", Compare::Relation::kEqual},
        {"!=", Compare::Relation::kNotEqual},
        {"<", Compare::Relation::kLess},
        {">", Compare::Relation::kGreater}};
    Compare compare{line.arg(0), kWhats.at(line.verb), kRelations.at(line.arg(1))};
    if (compare.what == Compare::What::kValue) {
      compare.value = line.arg(2);
    } else {
      compare.number = line.arg_number(2);
    }
    return compare;
  }

  std::optional<Query> make_query(const Line& line) {
    const KeyspaceId space = keyspace_of(line);
    if (line.verb == "get") {
      return Get{space, line.arg(0), !has_word(line, "bare")};
    }
    if (line.verb == "get_many") {
      return GetMany{space, keys_of(line)};
    }
    if (line.verb == "scan") {
      return Scan{space,
                  range_of(line),
                  has_word(line, "backwards"),
                  !has_word(line, "bare"),
                  line.option_number("limit", 0),
                  line.option_number("bytes", 0)};
    }
    if (line.verb == "changes") {
      return Changes{space, begin_ = line.option("prefix", ""),
                     Revision(line.option_number("after", 0)), line.option_number("limit", 0)};
    }
    if (line.verb == "stats") {
      return Stats{space};
    }
    return std::nullopt;
  }

  // --- From an answer to lines ---------------------------------------------------------------

  std::string ends(Stamp expires) const {
    return expires == Stamp::never() ? "" : " ends in " + seconds(expires - now_);
  }
  std::string show(const Item& item) const {
    if (!item.found()) {
      return "-";
    }
    return (item.key.empty() ? "" : std::string(item.key) + " = ") + std::string(item.value) +
           " (version " + text(item.version) + ", created " + text(item.created.value()) +
           ", modified " + text(item.modified.value()) + ")" + ends(item.expires);
  }
  std::string previous(const Item& item) const {
    return item.found() ? ", was " + show(item) : "";
  }

  std::string shown(const Line& line, const Answer& answer) const {
    if (const auto* status = std::get_if<Status>(&answer)) {
      return status->to_string();
    }
    return std::visit([&](const auto& fields) { return show_one(line, fields); }, answer);
  }
  std::string show_one(const Line&, const Status& status) const { return status.to_string(); }
  std::string show_one(const Line&, const Found& found) const { return show(found.item); }
  std::string show_one(const Line&, const Written& written) const {
    return "revision " + text(written.revision.value()) + ", version " + text(written.version) +
           ", " + text(written.value_bytes) + " bytes" + previous(written.previous);
  }
  std::string show_one(const Line&, const Removed& removed) const {
    return "removed " + text(removed.count) + ", revision " + text(removed.revision.value()) +
           (removed.more ? ", more are left" : "") + previous(removed.previous);
  }
  std::string show_one(const Line&, const Touched& touched) const {
    return "touched " + text(touched.count) + ends(touched.expires);
  }
  std::string show_one(const Line&, const Counted& counted) const {
    return std::to_string(counted.value) + " (revision " + text(counted.revision.value()) +
           ", version " + text(counted.version) + ")";
  }
  std::string show_one(const Line&, const Stored& stored) const {
    return "stored " + text(stored.count) + ", revision " + text(stored.revision.value());
  }
  std::string show_one(const Line&, const Items& items) const { return show_items(items.items); }
  std::string show_items(const std::vector<Item>& items) const {
    std::string lines;
    for (const Item& item : items) {
      lines += show(item) + "\n";
    }
    return lines;
  }
  std::string show_one(const Line&, const Page& page) const {
    return show_items(page.items) +
           (page.resume.empty() ? "end" : "more behind " + std::string(page.resume));
  }
  std::string show_one(const Line& line, const TxnDone& done) const {
    std::string lines = done.held ? "held\n" : "did not hold\n";
    for (const OpAnswer& answer : done.answers) {
      lines += "  " + std::visit([&](const auto& it) { return show_one(line, it); }, answer) + "\n";
    }
    return lines;
  }
  std::string show_one(const Line&, const Rated& rated) const {
    return (rated.allowed ? "allowed, " : "refused, ") + text(rated.tokens_left) + " left" +
           (rated.allowed ? "" : ", retry after " + seconds(rated.retry_after)) + ", full after " +
           seconds(rated.full_after);
  }
  std::string show_one(const Line&, const ChangeList& list) const {
    static const char* const kKinds[] = {"put", "delete", "expire"};
    std::string lines;
    for (const Change& change : list.changes) {
      lines += text(change.revision.value()) + " " + kKinds[static_cast<int>(change.kind)] + " " +
               std::string(change.key);
      lines += change.kind == Change::Kind::kPut
                   ? " = " + std::string(change.value) + " (version " + text(change.version) + ")"
                   : "";
      lines += change.had_previous ? ", was " + std::string(change.previous) : "";
      lines += "\n";
    }
    return lines + "through " + text(list.through.value()) + " of " + text(list.revision.value());
  }
  std::string show_one(const Line&, const Usage& usage) const {
    return text(usage.keys) + " keys, " + text(usage.bytes) + " bytes, " + text(usage.expiring) +
           " ending, revision " + text(usage.revision.value()) + ", history after " +
           text(usage.history_begin.value());
  }
  std::string show_one(const Line&, const Expired& expired) const {
    return "expired " + text(expired.count);
  }

  std::unique_ptr<Hosted> machine_;
  Stamp now_ = Stamp::from_millis(1'000'000);
  Index index_;
  std::string answer_;
  std::string begin_;
  std::string end_;
  std::vector<std::unique_ptr<Line>> lines_;
};

TEST(kv, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<KvScript>(); });
}

}  // namespace
}  // namespace quorate::service::kv
