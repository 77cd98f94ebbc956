#include "t3d/core/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "t3d/core/error.h"

namespace t3d {
namespace {

std::atomic<int> g_n_signals{0};
std::atomic<bool> g_is_terminal{false};
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler needs a lock-free counter");

std::mutex g_mutex;
int g_n_scopes = 0;
struct sigaction g_old_interrupt, g_old_terminate;

void on_signal(int) {
  // Only calls that are safe in a signal handler: write and _exit.
  if (g_n_signals.fetch_add(1) > 0) _exit(130);
  // On a terminal it ends the live line.
  constexpr char kMessage[] = "\n[info] stopping; press Ctrl-C again to stop at once\n";
  const size_t skipped = g_is_terminal.load() ? 0 : 1;
  const ssize_t ignored = ::write(STDERR_FILENO, kMessage + skipped, sizeof kMessage - 1 - skipped);
  static_cast<void>(ignored);
}

}  // namespace

InterruptScope::InterruptScope() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_n_scopes++ > 0) return;
  g_is_terminal = isatty(STDERR_FILENO) == 1;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &g_old_interrupt);
  sigaction(SIGTERM, &action, &g_old_terminate);
}

InterruptScope::~InterruptScope() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  // After the first signal ours stay: a second one still has to end the process with 130.
  if (--g_n_scopes > 0 || interrupt_requested()) return;
  sigaction(SIGINT, &g_old_interrupt, nullptr);
  sigaction(SIGTERM, &g_old_terminate, nullptr);
}

bool interrupt_requested() {
  return g_n_signals.load(std::memory_order_relaxed) > 0;
}

void throw_if_interrupted(const std::string& what_was_saved) {
  if (interrupt_requested()) throw Interrupted(what_was_saved);
}

void clear_interrupt_request() {
  g_n_signals = 0;
}

}  // namespace t3d
