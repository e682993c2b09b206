// SPDX-License-Identifier: Apache-2.0
#include "bench/bare.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace quorate::bench {
namespace {

constexpr size_t kBlock = 4096;
constexpr off_t kFileBytes = 16 * 1024 * 1024;
constexpr size_t kMessage = 128;

double now_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// A file that is written through once, so that later writes only overwrite.
class Log {
 public:
  explicit Log(const std::string& path)
      : fd_(open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC, 0600)) {
    const std::string zeros(1 << 20, '\0');
    for (off_t at = 0; at < kFileBytes; at += static_cast<off_t>(zeros.size())) {
      ok_ = ok_ && pwrite(fd_, zeros.data(), zeros.size(), at) > 0;
    }
    ok_ = ok_ && fsync(fd_) == 0;
    unlink(path.c_str());
  }
  ~Log() { close(fd_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool write_and_sync() {
    const bool written = pwrite(fd_, block_.data(), block_.size(), at_) > 0 && fdatasync(fd_) == 0;
    at_ = (at_ + static_cast<off_t>(kBlock)) % kFileBytes;
    return ok_ && written;
  }

 private:
  int fd_;
  bool ok_ = true;
  off_t at_ = 0;
  std::string block_ = std::string(kBlock, 'x');
};

bool receive(int fd) {
  char message[kMessage];
  return recv(fd, message, sizeof(message), MSG_WAITALL) == static_cast<ssize_t>(kMessage);
}

bool send_message(int fd) {
  const char message[kMessage] = {};
  return send(fd, message, sizeof(message), MSG_NOSIGNAL) == static_cast<ssize_t>(kMessage);
}

void follow(const std::string& path, uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Log log(path);
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    while (receive(fd) && log.write_and_sync() && send_message(fd)) {
    }
  }
  close(fd);
}

// One answer of the two is enough; the other is taken in before the next round, as a leader would.
bool lead_round(const int followers[2], int owed[2], Log& log) {
  for (int i = 0; i < 2; ++i) {
    if (!send_message(followers[i])) {
      return false;
    }
    ++owed[i];
  }
  if (!log.write_and_sync()) {
    return false;
  }
  while (true) {
    pollfd sockets[2] = {{followers[0], POLLIN, 0}, {followers[1], POLLIN, 0}};
    if (poll(sockets, 2, 5000) <= 0) {
      return false;
    }
    for (int i = 0; i < 2; ++i) {
      if ((sockets[i].revents & POLLIN) != 0) {
        if (!receive(followers[i])) {
          return false;
        }
        --owed[i];
      }
    }
    if (owed[0] == 0 || owed[1] == 0) {
      return true;
    }
  }
}

}  // namespace

Latency latency_of(std::vector<double> micros) {
  if (micros.empty()) {
    return {};
  }
  std::sort(micros.begin(), micros.end());
  return {micros[micros.size() / 2], micros[micros.size() * 99 / 100]};
}

Latency measure_bare_sync(const std::string& directory, int rounds) {
  Log log(directory + "/bare-sync");
  std::vector<double> micros;
  for (int i = 0; i < rounds; ++i) {
    const double begun = now_us();
    if (!log.write_and_sync()) {
      return {};
    }
    micros.push_back(now_us() - begun);
  }
  return latency_of(std::move(micros));
}

Latency measure_bare_round(const std::string& directory, int rounds) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 2) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(listener);
    return {};
  }
  pid_t children[2];
  int followers[2];
  for (int i = 0; i < 2; ++i) {
    children[i] = fork();
    if (children[i] == 0) {
      close(listener);
      if (i == 1) {
        close(followers[0]);  // else the first follower would never see the end of the run
      }
      follow(directory + "/bare-follower-" + std::to_string(i), ntohs(address.sin_port));
      _exit(0);
    }
    followers[i] = accept(listener, nullptr, nullptr);
    const int one = 1;
    setsockopt(followers[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  close(listener);
  std::vector<double> micros;
  {
    Log log(directory + "/bare-leader");
    int owed[2] = {0, 0};
    for (int i = 0; i < rounds; ++i) {
      const double begun = now_us();
      if (!lead_round(followers, owed, log)) {
        break;
      }
      micros.push_back(now_us() - begun);
    }
  }
  for (int i = 0; i < 2; ++i) {
    close(followers[i]);
    waitpid(children[i], nullptr, 0);
  }
  return latency_of(std::move(micros));
}

}  // namespace quorate::bench
