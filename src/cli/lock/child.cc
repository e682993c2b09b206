// SPDX-License-Identifier: Apache-2.0
#include "cli/lock/child.h"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <string_view>

namespace quorate::cli {
namespace {

constexpr int kNotExecutable = 126;  // as shells say it
constexpr int kNotFound = 127;
constexpr int kBySignal = 128;
constexpr auto kLook = std::chrono::milliseconds(20);

// The parent of a process and whether it runs: "pid (name) state parent ...", where the name may
// hold anything. Zero if it is gone, or has ended and only waits to be asked.
pid_t parent_of(const std::string& number) {
  std::ifstream file("/proc/" + number + "/stat");
  std::string line;
  std::getline(file, line, '\0');
  const size_t end = line.rfind(')');
  if (end == std::string::npos || line.size() < end + 4 || line[end + 2] == 'Z') {
    return 0;
  }
  pid_t parent = 0;
  (void)std::from_chars(line.data() + end + 4, line.data() + line.size(), parent);
  return parent;
}

// All that this process began, and they, however far down.
std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  DIR* const all = opendir("/proc");
  for (const dirent* entry = all == nullptr ? nullptr : readdir(all); entry != nullptr;
       entry = readdir(all)) {
    const std::string name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) {
      children.emplace(parent_of(name), pid);
    }
  }
  if (all != nullptr) {
    closedir(all);
  }
  std::vector<pid_t> found = {getpid()};
  for (size_t at = 0; at < found.size(); ++at) {
    const auto [begin, end] = children.equal_range(found[at]);
    for (auto child = begin; child != end; ++child) {
      found.push_back(child->second);
    }
  }
  found.erase(found.begin());
  return found;
}

}  // namespace

Child::Child() {
  sigemptyset(&watched_);
  for (const int signal : {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT}) {
    sigaddset(&watched_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &watched_, &usual_);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

bool Child::start(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    // Who guards the lock is gone: so is the right to go on.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
      _exit(kBySignal + SIGTERM);
    }
    sigprocmask(SIG_SETMASK, &usual_, nullptr);
    execvp(words[0], words.data());
    const int code = errno == ENOENT ? kNotFound : kNotExecutable;
    const std::string text = "quorate: " + command[0] + ": " + std::strerror(errno) + "\n";
    (void)!write(STDERR_FILENO, text.data(), text.size());
    _exit(code);
  }
  return pid_ > 0;
}

void Child::attend() const {
  const timespec pause = {0, std::chrono::nanoseconds(kLook).count()};
  siginfo_t info;
  const int number = sigtimedwait(&watched_, &info, &pause);
  // What a terminal sends goes to the command too, by itself; twice would be a second one.
  // Once the command has ended its number may be another's.
  if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL && !ended_) {
    kill(pid_, number);
  }
}

bool Child::ended() {
  int status = 0;
  for (pid_t gone = waitpid(-1, &status, WNOHANG); gone > 0; gone = waitpid(-1, &status, WNOHANG)) {
    if (gone == pid_) {
      ended_ = true;
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
    }
  }
  return ended_;
}

bool Child::all_ended() { return ended() && descendants().empty(); }

void Child::signal_all(int number) const {
  for (const pid_t each : descendants()) {
    kill(each, number);
  }
}

}  // namespace quorate::cli
