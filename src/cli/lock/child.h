// SPDX-License-Identifier: Apache-2.0
// Child: the command that runs under a lock, with all that it starts.
//
// A script's own children outlive it when it is told to end, and would go on with what the lock was
// for. So whoever is left without a parent becomes this process's (it is their subreaper), and
// those that are to end are found by going down from here: process groups and terminals stay as
// they are, and a command that takes a session of its own is found too. One Child per process.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

namespace quorate::cli {

class Child {
 public:
  // Blocks, on this thread, the signals that are passed on to the command or tell of it.
  Child();
  // False if there is no process to be had.
  [[nodiscard]] bool start(const std::vector<std::string>& command);
  // Passes on a signal that came to this process alone, or waits a moment for one.
  void attend() const;
  // True once the command itself has ended.
  [[nodiscard]] bool ended();
  // True once nothing that it began runs any more.
  [[nodiscard]] bool all_ended();
  // To the command and all that it began.
  void signal_all(int number) const;
  // Of the command, as a shell says it. Before: ended().
  [[nodiscard]] int code() const { return code_; }

 private:
  sigset_t watched_;
  sigset_t usual_;
  pid_t pid_ = -1;
  bool ended_ = false;
  int code_ = 0;
};

}  // namespace quorate::cli
