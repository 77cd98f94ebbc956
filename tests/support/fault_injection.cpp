#include "tests/support/fault_injection.h"

#include <algorithm>
#include <cerrno>

#include "t3d/core/file_calls.h"

namespace t3d::testing {
namespace {

Fault g_fault = Fault::None;
int g_n = 0, g_error = 0, g_n_calls = 0;
bool g_was_broken_off = false;
const FileCalls kSystem = system_file_calls();

/// Counts a call; true when it is to fail, errno set.
bool fails() {
  const int number = ++g_n_calls;
  const bool is_hit =
      (g_fault == Fault::FailOnce && number == g_n) || (g_fault == Fault::FailFromThere && number >= g_n);
  if (is_hit) errno = g_error;
  return is_hit;
}

bool is_broken_off() {
  if (g_fault != Fault::Interrupted) return false;
  g_was_broken_off = !g_was_broken_off;
  if (g_was_broken_off) errno = EINTR;
  return g_was_broken_off;
}

int open_hook(const char* path, int flags, mode_t mode) {
  return fails() || is_broken_off() ? -1 : kSystem.open(path, flags, mode);
}
ssize_t write_hook(int fd, const void* data, size_t n_bytes) {
  if (fails() || is_broken_off()) return -1;
  return kSystem.write(fd, data,
                       g_fault == Fault::ShortWrites ? std::min(n_bytes, static_cast<size_t>(g_n)) : n_bytes);
}
int truncate_hook(int fd, off_t size) {
  return fails() ? -1 : kSystem.truncate(fd, size);
}
int sync_hook(int fd) {
  return fails() || is_broken_off() ? -1 : kSystem.sync(fd);
}
int close_hook(int fd) {
  const bool is_hit = fails();
  const int failure = errno;
  const int result = kSystem.close(fd);
  if (is_hit) errno = failure;
  return is_hit ? -1 : result;
}
int rename_hook(const char* from, const char* to) {
  return fails() ? -1 : kSystem.rename(from, to);
}
int exchange_hook(const char* a, const char* b) {
  return fails() ? -1 : kSystem.exchange(a, b);
}
int remove_hook(const char* path) {
  return fails() ? -1 : kSystem.remove(path);
}
int make_folder_hook(const char* path, mode_t mode) {
  return fails() ? -1 : kSystem.make_folder(path, mode);
}
int remove_folder_hook(const char* path) {
  return fails() ? -1 : kSystem.remove_folder(path);
}

}  // namespace

FaultInjection::FaultInjection(Fault fault, int n, int error) {
  g_fault = fault;
  g_n = n;
  g_error = error;
  g_n_calls = 0;
  g_was_broken_off = false;
  file_calls() = {open_hook,   write_hook,    truncate_hook, sync_hook,        close_hook,
                  rename_hook, exchange_hook, remove_hook,   make_folder_hook, remove_folder_hook};
}

FaultInjection::~FaultInjection() {
  file_calls() = kSystem;
}

int FaultInjection::n_calls() const {
  return g_n_calls;
}

}  // namespace t3d::testing
