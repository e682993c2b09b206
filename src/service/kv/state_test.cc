// SPDX-License-Identifier: Apache-2.0
// The transcripts of the key-value machine: each verb goes through its bytes, as on a real node.
#include "service/kv/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "service/kv/shown_answers_test.h"
#include "service/value/json_field.h"
#include "service/value/ordered.h"
#include "testing/transcript.h"

namespace quorate::service::kv {
namespace {

using testing::Line;
using testing::ScriptError;

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
      return shown(decode_answer(answer));
    }
    Command command = make_command(line);
    if (line.has("fence")) {
      command = under(make_fence(line), command);
    }
    return apply(command);
  }

 private:
  static std::unique_ptr<Hosted> make() {
    return host<State>(State::Options{.hash_seed = 1, .history_bytes_max = 4'096});
  }

  std::string apply(const Command& command) {
    std::string bytes;
    encode(command, bytes);
    answer_.clear();
    machine_->apply(bytes, {now_, ++index_}, &answer_);
    machine_->check_invariants();
    return shown(decode_answer(answer_));
  }

  // As the leader would: while something is due.
  std::string run_due() {
    uint64_t count = 0;
    uint64_t steps = 0;
    while (machine_->next_due() <= now_) {
      answer_.clear();
      machine_->apply(machine_->due_command(now_), {now_, ++index_}, &answer_);
      const Answer said = decode_answer(answer_);
      if (const auto* expired = std::get_if<Expired>(&said)) {
        count += expired->count;
      } else {
        steps += std::get<Settled>(said).steps;
      }
    }
    machine_->check_invariants();
    return "expired " + std::to_string(count) +
           (steps == 0 ? "" : ", tended in " + std::to_string(steps) + " steps");
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
    return {state == "absent"            ? Condition::Kind::kAbsent
            : state == "present"         ? Condition::Kind::kPresent
            : state == "no_hash"         ? Condition::Kind::kNoHash
            : state == "present_no_hash" ? Condition::Kind::kPresentNoHash
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
      return Put{space,
                 line.arg(0),
                 line.arg(1),
                 lifetime_of(line, {}),
                 condition_of(line),
                 has_word(line, "previous")};
    }
    if (line.verb == "delete") {
      return Delete{space, line.arg(0), condition_of(line), has_word(line, "previous")};
    }
    if (line.verb == "touch" || line.verb == "persist") {
      static const std::map<std::string, Touch::When> kWhens = {
          {"", Touch::When::kAlways},
          {"forever", Touch::When::kIfForever},
          {"ending", Touch::When::kIfEnding},
          {"later", Touch::When::kIfLater},
          {"sooner", Touch::When::kIfSooner},
          {"no_hash", Touch::When::kIfNoHash},
          {"ending_sooner", Touch::When::kIfEndingSooner}};
      return Touch{space, line.arg(0), lifetime_of(line, {}), kWhens.at(line.option("if", ""))};
    }
    if (line.verb == "incr") {
      return Increment{space, line.arg(0), signed_option(line, "by", 1),
                       lifetime_of(line, Lifetime::keep())};
    }
    if (line.verb == "copy" || line.verb == "move") {
      return Copy{space, line.arg(0), line.arg(1), line.verb == "move",
                  has_word(line, "if_absent")};
    }
    if (line.verb == "add") {
      return AddDecimal{space, line.arg(0), line.arg(1)};
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
    if (std::optional<HashRead> read = make_hash_read(line); read.has_value()) {
      return *read;
    }
    return make_hash_write(line);
  }

  static std::vector<std::string_view> words_of(const Line& line) {
    return {line.args.begin() + 1, line.args.end()};
  }
  static std::optional<Txn::Op> make_hash_write(const Line& line) {
    static const std::map<std::string, HashWrite::Verb> kVerbs = {
        {"hput", HashWrite::Verb::kPut},
        {"hput_absent", HashWrite::Verb::kPutIfAbsent},
        {"hdelete", HashWrite::Verb::kDelete},
        {"hadd", HashWrite::Verb::kAdd},
        {"hadd_decimal", HashWrite::Verb::kAddDecimal}};
    const auto verb = kVerbs.find(line.verb);
    if (verb == kVerbs.end()) {
      return std::nullopt;
    }
    return HashWrite{keyspace_of(line), line.arg(0), verb->second, words_of(line)};
  }
  static std::optional<HashRead> make_hash_read(const Line& line) {
    static const std::map<std::string, HashRead::Verb> kVerbs = {
        {"hget", HashRead::Verb::kFields},
        {"hall", HashRead::Verb::kAll},
        {"hcount", HashRead::Verb::kCount},
        {"hmatch", HashRead::Verb::kMatching}};
    const auto verb = kVerbs.find(line.verb);
    if (verb == kVerbs.end()) {
      return std::nullopt;
    }
    return HashRead{keyspace_of(line), line.arg(0), verb->second, words_of(line)};
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
    if (line.verb == "set_keyspace") {
      return SetKeyspace{space, line.option_number("revision"), line.option_number("keys", 0),
                         line.option_number("bytes", 0)};
    }
    if (line.verb == "set_compression") {
      return SetCompression{space, line.option_number("revision"), line.option_number("above")};
    }
    if (line.verb == "create_index") {
      return CreateIndex{space, line.arg(0), line.arg(1), has_word(line, "unique")};
    }
    if (line.verb == "drop_index") {
      return DropIndex{space, line.arg(0)};
    }
    if (line.verb == "drop_keyspace") {
      return DropKeyspace{space};
    }
    if (line.verb == "tend") {
      return Tend{line.option_number("limit")};
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

  // fence=LOCK:TOKEN domain=1
  Fence make_fence(const Line& line) {
    const std::string text = line.option("fence");
    lock_ = text.substr(0, text.rfind(':'));
    return {DomainId(static_cast<uint32_t>(line.option_number("domain", 0))), lock_,
            Token(std::stoull(text.substr(text.rfind(':') + 1)))};
  }
  static Command under(const Fence& fence, const Command& command) {
    return std::visit(
        [&](const auto& fields) -> Command {
          if constexpr (kMayBeFenced<decltype(fields)>) {
            return Fenced{fence, fields};
          } else {
            throw ScriptError("takes no fence");
          }
        },
        command);
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
      const Line& step =
          *lines_.emplace_back(std::make_unique<Line>(testing::parse_line(word, line.number)));
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
    if (std::optional<HashRead> read = make_hash_read(line); read.has_value()) {
      return *read;
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
    if (line.verb == "trail") {
      return Trail{Revision(line.option_number("after", 0)), line.option_number("limit", 0),
                   line.option_number("bytes", 0)};
    }
    if (line.verb == "stats") {
      return Stats{space};
    }
    if (line.verb == "indexes") {
      return Indexes{space};
    }
    if (line.verb == "find") {
      return make_find(line);
    }
    if (line.verb == "dump") {  // the next page of the one dump that goes on
      const bool anew = has_word(line, "anew");
      return Dump{anew ? std::string_view() : dump_after_, !anew, !anew && dump_done_,
                  Revision(anew ? 0 : dump_since_), line.option_number("bytes", 0)};
    }
    return std::nullopt;
  }

  // find INDEX equals=V | from=V above=V to=V below=V; next: behind the page before
  Query make_find(const Line& line) {
    find_after_ = has_word(line, "next") ? find_resume_ : "";
    begin_.clear();
    end_.clear();
    for (const auto& [name, text] : line.options) {
      std::string ordered;
      if (name == "limit" || name == "keyspace") {
        continue;
      }
      if (!append_ordered(parse_scalar(text), ordered)) {
        throw ScriptError("no scalar: " + text);
      }
      if (name == "equals" || name == "from" || name == "above") {
        begin_ = name == "above" ? prefix_end(ordered) : ordered;
        end_ = name == "equals" ? prefix_end(ordered) : end_.empty() ? end_of_kind(ordered) : end_;
      } else {
        end_ = name == "to" ? prefix_end(ordered) : ordered;
        begin_ = begin_.empty() ? begin_of_kind(ordered) : begin_;
      }
    }
    return Find{keyspace_of(line),
                line.arg(0),
                begin_,
                end_,
                find_after_,
                has_word(line, "backwards"),
                !has_word(line, "bare"),
                line.option_number("limit", 0),
                0};
  }

  // Where a page ended is kept: the next one may ask to go on.
  std::string shown(const Answer& answer) {
    if (const auto* const hits = std::get_if<Hits>(&answer)) {
      find_resume_ = hits->resume;
    } else if (const auto* const dumped = std::get_if<Dumped>(&answer)) {
      dump_after_ = dumped->after;
      dump_done_ = dumped->is_done;
      dump_since_ = dumped->since.value();
    }
    return ShownAnswers(now_).text_of(answer);
  }

  std::unique_ptr<Hosted> machine_;
  Stamp now_ = Stamp::from_millis(1'000'000);
  Index index_;
  std::string answer_;
  std::string begin_;
  std::string end_;
  std::string find_after_;
  std::string lock_;
  std::string find_resume_;
  std::string dump_after_;
  bool dump_done_ = false;
  uint64_t dump_since_ = 0;
  std::vector<std::unique_ptr<Line>> lines_;
};

TEST(kv, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<KvScript>(); });
}

}  // namespace
}  // namespace quorate::service::kv
