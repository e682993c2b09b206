// SPDX-License-Identifier: Apache-2.0
// What the table and the key-value machine cost on one core, at a million keys: time per operation,
// memory per key above key and value. Run: quorate-service-bench [--benchmark_filter=REGEX]
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "service/group_machine.h"
#include "service/kv/state.h"
#include "service/table.h"

namespace quorate::service::kv {
namespace {

constexpr uint64_t kKeys = 1'000'000;

std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return "key:" + std::string(12 - digits.size(), '0') + digits;
}

// Keys in an order that no cache foresees.
std::vector<std::string> shuffled_keys(uint64_t count) {
  std::vector<std::string> keys;
  keys.reserve(count);
  for (uint64_t number = 0; number < count; ++number) {
    keys.push_back(key_of(number));
  }
  Prng prng(1);
  for (uint64_t at = count - 1; at > 0; --at) {
    std::swap(keys[at], keys[prng.below(at + 1)]);
  }
  return keys;
}

const std::vector<std::string>& keys() {
  static const std::vector<std::string> kShuffled = shuffled_keys(kKeys);
  return kShuffled;
}

void fill(Table& table, size_t value_bytes) {
  const std::string value(value_bytes, 'v');
  for (const std::string& key : keys()) {
    table.put(key, value);
  }
}

void table_insert_random(benchmark::State& run) {
  const std::string value(16, 'v');
  for (auto _ : run) {
    Table table;
    for (const std::string& key : keys()) {
      table.put(key, value);
    }
    benchmark::DoNotOptimize(table.digest());
    run.PauseTiming();
    table.clear();
    run.ResumeTiming();
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(table_insert_random)->Unit(benchmark::kMillisecond);

void table_insert_ascending(benchmark::State& run) {
  const std::string value(16, 'v');
  for (auto _ : run) {
    Table table;
    for (uint64_t number = 0; number < kKeys; ++number) {
      table.put(key_of(number), value);
    }
    benchmark::DoNotOptimize(table.digest());
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(table_insert_ascending)->Unit(benchmark::kMillisecond);

void table_find_random(benchmark::State& run) {
  Table table;
  fill(table, 100);
  size_t at = 0;
  for (auto _ : run) {
    benchmark::DoNotOptimize(table.find(keys()[at]));
    at = at + 1 == kKeys ? 0 : at + 1;
  }
  const auto overhead = static_cast<double>(table.memory_bytes() - table.bytes());
  run.counters["bytes_per_key_above"] = overhead / static_cast<double>(kKeys);
}
BENCHMARK(table_find_random);

void table_replace_random(benchmark::State& run) {
  Table table;
  fill(table, 16);
  const std::string value(16, 'w');
  size_t at = 0;
  for (auto _ : run) {
    table.put(keys()[at], value);
    at = at + 1 == kKeys ? 0 : at + 1;
  }
}
BENCHMARK(table_replace_random);

void table_erase_and_insert_random(benchmark::State& run) {
  Table table;
  fill(table, 16);
  const std::string value(16, 'w');
  size_t at = 0;
  for (auto _ : run) {
    table.erase(keys()[at]);
    table.put(keys()[at], value);
    at = at + 1 == kKeys ? 0 : at + 1;
  }
}
BENCHMARK(table_erase_and_insert_random);

// The longest single put while a table grows from nothing shows in the time of the whole; here the
// pieces of a snapshot are what must stay below a millisecond.
void table_snapshot(benchmark::State& run) {
  Table table;
  fill(table, 100);
  std::string piece;
  for (auto _ : run) {
    const std::unique_ptr<SnapshotSource> source = table.freeze();
    bool more = true;
    while (more) {
      piece.clear();
      more = source->next(256 * 1024, piece);
    }
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(table_snapshot)->Unit(benchmark::kMillisecond);

void table_restore(benchmark::State& run) {
  Table table;
  fill(table, 100);
  std::string image;
  const std::unique_ptr<SnapshotSource> source = table.freeze();
  while (source->next(1 << 20, image)) {
  }
  for (auto _ : run) {
    Table restored;
    restored.restore_begin();
    for (size_t at = 0; at < image.size(); at += 256 * 1024) {
      (void)restored.restore_piece(std::string_view(image).substr(at, 256 * 1024));
    }
    benchmark::DoNotOptimize(restored.restore_end());
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(table_restore)->Unit(benchmark::kMillisecond);

Registry kv_registry() {
  Registry registry;
  registry.add(ServiceId::kKv, [] { return host<State>(); });
  return registry;
}

constexpr Stamp kNow = Stamp::from_millis(1'000'000'000'000);

void add_put(BatchWriter& batch, const Put& put, SessionId session = {}, uint64_t sequence = 0) {
  std::string body;
  encode(put, body);
  batch.add({.service = ServiceId::kKv, .session = session, .sequence = sequence, .body = body});
}

// The whole way of a put through a group: payload, decode, apply, answer.
void group_put_16b(benchmark::State& run) {
  GroupMachine group(kv_registry(), GroupId(1));
  constexpr size_t kPerEntry = 1'000;
  const std::string value(16, 'v');
  std::vector<std::string> payloads;
  for (size_t at = 0; at < kKeys; at += kPerEntry) {
    BatchWriter batch;
    for (size_t number = at; number < at + kPerEntry; ++number) {
      add_put(batch, {.key = keys()[number], .value = value});
    }
    payloads.push_back(batch.take());
  }
  Index index;
  const auto apply_all = [&] {
    for (const std::string& payload : payloads) {
      benchmark::DoNotOptimize(group.apply(payload, {kNow, ++index}, nullptr));
    }
  };
  apply_all();
  for (auto _ : run) {
    apply_all();
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(group_put_16b)->Unit(benchmark::kMillisecond);

void group_put_many_16b(benchmark::State& run) {
  GroupMachine group(kv_registry(), GroupId(1));
  constexpr size_t kPerEntry = 500;
  const std::string value(16, 'v');
  std::vector<std::string> payloads;
  for (size_t at = 0; at < kKeys; at += kPerEntry) {
    PutMany command;
    for (size_t number = at; number < at + kPerEntry; ++number) {
      command.items.push_back({.key = keys()[number], .value = value});
    }
    BatchWriter batch;
    std::string body;
    encode(Command(command), body);
    batch.add({.service = ServiceId::kKv, .body = body});
    payloads.push_back(batch.take());
  }
  Index index;
  const auto apply_all = [&] {
    for (const std::string& payload : payloads) {
      benchmark::DoNotOptimize(group.apply(payload, {kNow, ++index}, nullptr));
    }
  };
  apply_all();
  for (auto _ : run) {
    apply_all();
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(group_put_many_16b)->Unit(benchmark::kMillisecond);

void group_put_in_a_session(benchmark::State& run) {
  GroupMachine group(kv_registry(), GroupId(1));
  BatchWriter batch;
  const std::string open = encode(NodeCommand(OpenSession{Duration::seconds(60)}));
  batch.add({.service = ServiceId::kNode, .body = open});
  Index index;
  benchmark::DoNotOptimize(group.apply(batch.take(), {kNow, ++index}, nullptr));
  const std::string value(16, 'v');
  uint64_t sequence = 0;
  for (auto _ : run) {
    ++sequence;
    add_put(batch, {.key = keys()[sequence % 10'000], .value = value}, SessionId(1), sequence);
    benchmark::DoNotOptimize(group.apply(batch.take(), {kNow, ++index}, nullptr));
  }
}
BENCHMARK(group_put_in_a_session);

void fill(State& state, size_t value_bytes, Lifetime lifetime = {}) {
  const std::string value(value_bytes, 'v');
  for (const std::string& key : keys()) {
    benchmark::DoNotOptimize(state.apply(
        Command(Put{.key = key, .value = value, .lifetime = lifetime}), {kNow, Index(1)}));
  }
}

void state_get(benchmark::State& run) {
  State state;
  fill(state, 100);
  size_t at = 0;
  for (auto _ : run) {
    benchmark::DoNotOptimize(state.get({}, keys()[at], kNow));
    at = at + 1 == kKeys ? 0 : at + 1;
  }
  const auto bytes = static_cast<double>(state.memory_bytes() - state.history().memory_bytes());
  run.counters["bytes_per_key_above"] = bytes / static_cast<double>(kKeys) - 16 - 100;
}
BENCHMARK(state_get);

void state_touch_ttl(benchmark::State& run) {
  State state;
  fill(state, 100, Lifetime::lasting(Duration::seconds(1'800)));
  size_t at = 0;
  Stamp now = kNow;
  for (auto _ : run) {
    now = now + Duration::micros(10);
    benchmark::DoNotOptimize(state.apply(
        Command(Touch{.key = keys()[at],
                      .lifetime = Lifetime::lasting(Duration::seconds(1'800))}),
        {now, Index(1)}));
    at = at + 1 == kKeys ? 0 : at + 1;
  }
}
BENCHMARK(state_touch_ttl);

// A million keys that end at one moment.
void state_expire(benchmark::State& run) {
  for (auto _ : run) {
    run.PauseTiming();
    auto state = std::make_unique<State>();
    fill(*state, 100, Lifetime::lasting(Duration::seconds(10)));
    const Stamp then = kNow + Duration::seconds(10);
    run.ResumeTiming();
    while (state->next_due() <= then) {
      benchmark::DoNotOptimize(
          state->apply(*State::decode_command(state->due_command(then)), {then, Index(2)}));
    }
    run.PauseTiming();
    state.reset();
    run.ResumeTiming();
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(state_expire)->Unit(benchmark::kMillisecond)->Iterations(1);

void state_scan_100(benchmark::State& run) {
  State state;
  fill(state, 100);
  size_t at = 0;
  for (auto _ : run) {
    benchmark::DoNotOptimize(
        state.query(Query(Scan{.range = {keys()[at], {}}, .limit = 100}), kNow));
    at = at + 1 == kKeys ? 0 : at + 1;
  }
}
BENCHMARK(state_scan_100);

}  // namespace
}  // namespace quorate::service::kv

BENCHMARK_MAIN();
