// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/prober.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>

#include "bench/clients/link.h"

namespace quorate::bench {
namespace {

constexpr size_t kBatch = 1'000;
constexpr size_t kValueBytes = 100;
// What is not answered by then has failed.
constexpr Duration kPatience = Duration::seconds(10);

// Answers of one line each, counted; an error is none of them.
class Lines {
 public:
  explicit Lines(int descriptor) : descriptor_(descriptor) {}
  // The next line, without its end; empty if there is none to come.
  std::string next() {
    size_t end = text_.find("\r\n", at_);
    while (end == std::string::npos) {
      text_.erase(0, at_);
      at_ = 0;
      std::array<char, 65'536> bytes;
      const ssize_t size = recv(descriptor_, bytes.data(), bytes.size(), 0);
      if (size <= 0) {
        return {};
      }
      text_.append(bytes.data(), static_cast<size_t>(size));
      end = text_.find("\r\n");
    }
    std::string line = text_.substr(at_, end - at_);
    at_ = end + 2;
    return line;
  }

 private:
  const int descriptor_;
  std::string text_;
  size_t at_ = 0;
};

Duration part_of(std::vector<Duration>& sorted, size_t per_thousand) {
  return sorted.empty() ? Duration() : sorted[(sorted.size() - 1) * per_thousand / 1'000];
}

}  // namespace

std::string command_of(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    text += bulk(word);
  }
  return text;
}

struct Prober::Link {
  Link(uint16_t port, std::string asks, Duration pause, Instant begin)
      : descriptor(connect_to(port)), request(std::move(asks)), distance(pause), next(begin) {}
  ~Link() { close(descriptor); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const int descriptor;
  const std::string request;
  const Duration distance;
  Instant next;
  bool writes = false;
  std::deque<Instant> waiting;  // when each request under way was due
  std::string answer;
};

Prober::Prober(uint16_t port, Rates rates)
    : port_(port), rates_(rates), thread_([this] { run(); }) {}

Prober::~Prober() { stop(); }

void Prober::stop() {
  ends_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Prober::run() {
  // A client elsewhere does not wait for a core behind the load that it looks at.
  (void)take_rank(1);
  const std::string value(kValueBytes, 'p');
  const Instant begin = clock_.now();
  Link writes(port_, command_of({"SET", "probe", value}),
              Duration::nanos(1'000'000'000 / rates_.writes_per_second), begin);
  // The first write is answered before the first read is asked.
  Link reads(port_, command_of({"GET", "probe"}),
             Duration::nanos(1'000'000'000 / rates_.reads_per_second),
             begin + Duration::millis(100));
  writes.writes = true;
  std::array<Link*, 2> links = {&writes, &reads};
  Instant end = Instant::never();
  const auto is_waited_for = [&links] {
    return std::any_of(links.begin(), links.end(),
                       [](const Link* link) { return !link->waiting.empty(); });
  };
  while (!ends_ || (is_waited_for() && clock_.now() < end)) {
    const Instant now = clock_.now();
    Instant wake = now + Duration::millis(10);
    std::array<pollfd, 2> asked{};
    for (size_t at = 0; at < links.size(); ++at) {
      if (!ends_) {
        ask_due(*links[at], now);
        wake = std::min(wake, links[at]->next);
      }
      asked[at] = {links[at]->descriptor, POLLIN, 0};
    }
    if (ends_ && end == Instant::never()) {
      end = now + kPatience;
    }
    const int64_t nanos = std::max<int64_t>((wake - clock_.now()).nanos(), 0);
    const timespec patience{nanos / 1'000'000'000, nanos % 1'000'000'000};
    if (ppoll(asked.data(), asked.size(), &patience, nullptr) > 0) {
      for (size_t at = 0; at < links.size(); ++at) {
        if (asked[at].revents != 0) {
          hear(*links[at]);
        }
      }
    }
  }
  failed_ += writes.waiting.size() + reads.waiting.size();
}

void Prober::ask_due(Link& link, Instant now) {
  std::string requests;
  for (; link.next <= now; link.next = link.next + link.distance) {
    requests += link.request;
    link.waiting.push_back(link.next);
  }
  if (!requests.empty() && !send_all(link.descriptor, requests)) {
    ends_ = true;
  }
}

// "+OK" of a write, "$100" and a line of a read.
void Prober::hear(Link& link) {
  std::array<char, 65'536> bytes;
  const ssize_t size = recv(link.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size <= 0) {
    ends_ = ends_ || size == 0 || (errno != EAGAIN && errno != EINTR);
    return;
  }
  link.answer.append(bytes.data(), static_cast<size_t>(size));
  const Instant now = clock_.now();
  const size_t whole = link.writes ? 5 : 6 + kValueBytes + 2;
  size_t at = 0;
  while (link.answer.size() - at >= whole && !link.waiting.empty()) {
    if (link.answer[at] != (link.writes ? '+' : '$')) {
      ++failed_;
      ends_ = true;
      return;
    }
    probes_.push_back({link.waiting.front(), now - link.waiting.front(), link.writes});
    link.waiting.pop_front();
    at += whole;
  }
  link.answer.erase(0, at);
}

Seen Prober::seen(Instant begin, Instant end, const Standstills* standstills) const {
  Seen seen;
  std::vector<Duration> all;
  for (const Probe& probe : probes_) {
    // One that was asked before and answered within stood in the way of it just as well.
    if (probe.due < end && probe.due + probe.took >= begin) {
      const Duration took =
          standstills == nullptr
              ? probe.took
              : probe.took - standstills->within(probe.due, probe.due + probe.took);
      Duration& longest = probe.writes ? seen.longest_write : seen.longest_read;
      longest = std::max(longest, took);
      all.push_back(took);
    }
  }
  std::sort(all.begin(), all.end());
  seen.probes = all.size();
  seen.p50 = part_of(all, 500);
  seen.p999 = part_of(all, 999);
  return seen;
}

bool store_many(uint16_t port, size_t begin, size_t end,
                const std::function<std::string(size_t number)>& command) {
  const int descriptor = connect_to(port);
  Lines answers(descriptor);
  bool well = descriptor >= 0;
  for (size_t first = begin; first < end && well; first += kBatch) {
    const size_t last = std::min(end, first + kBatch);
    std::string commands;
    for (size_t number = first; number < last; ++number) {
      commands += command(number);
    }
    well = send_all(descriptor, commands);
    for (size_t number = first; number < last && well; ++number) {
      well = answers.next().starts_with("+");
    }
  }
  close(descriptor);
  return well;
}

int64_t ask_number(uint16_t port, const std::string& command) {
  const int descriptor = connect_to(port);
  const bool sent = descriptor >= 0 && send_all(descriptor, command);
  const std::string answer = sent ? Lines(descriptor).next() : "";
  close(descriptor);
  return answer.starts_with(":") ? std::atoll(answer.c_str() + 1) : -1;
}

}  // namespace quorate::bench
