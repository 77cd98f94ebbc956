#include "t3d/core/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "t3d/core/error.h"

namespace t3d {
namespace {

static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "the signal handler needs lock-free flags");
std::atomic<int> g_n_signals{0};
std::atomic<bool> g_is_terminal{false};
const StopToken* g_token = nullptr;  // never destroyed: a signal may come at any time

void on_signal(int) {
  // Only calls that are safe in a signal handler: lock-free stores, write and _exit.
  if (g_n_signals.fetch_add(1) > 0) _exit(130);
  g_token->request_stop();
  // On a terminal it ends the live line.
  constexpr char kMessage[] = "\n[info] stopping; press Ctrl-C again to stop at once\n";
  const size_t skipped = g_is_terminal.load() ? 0 : 1;
  const ssize_t ignored = ::write(STDERR_FILENO, kMessage + skipped, sizeof kMessage - 1 - skipped);
  static_cast<void>(ignored);
}

const StopToken* install() {
  g_token = new StopToken;
  g_is_terminal = isatty(STDERR_FILENO) == 1;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return g_token;
}

}  // namespace

void StopToken::throw_if_requested(const std::string& what_was_saved) const {
  if (stop_requested()) throw Interrupted(what_was_saved);
}

StopToken stop_on_signals() {
  static const StopToken* const token = install();
  return *token;
}

}  // namespace t3d
