#pragma once

#include <ATen/ATen.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "t3d/train/checkpoint.h"

/// Runs of the built t3d that are stopped on the way, and whether what they leave is the same.
namespace t3d::testing {

/// Starts the program and signals it once `is_time` says so; it is asked each millisecond with the process's
/// number. What it prints goes to the file `log`. Gives the exit code, or 1000 + the signal that ended it.
inline int run_until(const std::string& arguments, const std::function<bool(pid_t)>& is_time, int signal,
                     const std::string& log = "/dev/null") {
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_RDONLY), 0);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (const int fd : {1, 2}) dup2(out, fd);
    const std::string line = std::string("exec '" T3D_PROGRAM "' ") + arguments;
    execl("/bin/sh", "sh", "-c", line.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  bool has_ended = false;
  while (!has_ended && !is_time(child)) {
    has_ended = waitpid(child, &status, WNOHANG) == child;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!has_ended) {
    kill(child, signal);
    waitpid(child, &status, 0);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// The checkpoints in the folders `a` and `b` are intact and hold the same bits.
inline void expect_same_checkpoint(const std::string& a, const std::string& b) {
  const auto first = train::load_checkpoint(a), second = train::load_checkpoint(b);
  EXPECT_EQ(first.step, second.step);
  EXPECT_EQ(first.state, second.state);
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  for (const auto& [name, tensor] : first.tensors)
    EXPECT_TRUE(at::equal(tensor, second.tensors.at(name))) << name << " differs";
}

}  // namespace t3d::testing
