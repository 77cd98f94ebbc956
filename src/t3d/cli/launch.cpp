#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>

#include "t3d/cli/command.h"
#include "t3d/cli/go_on.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/ops/startup.h"

namespace t3d::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGrace{10};  // between asking a process to end and ending it
constexpr std::chrono::seconds kOwnEnd{5};  // for the first process to find what is wrong with the input, too
constexpr int kWrongInput = 2, kInterrupted = 130;
/// The command that shares its work among the processes of a group.
const char* const kShared = "prior";

struct LaunchOptions {
  int n_processes = 0, port = 0;
  std::vector<std::string> command;
};

/// A port that nothing listens on at this moment.
int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool is_bound = s >= 0 && bind(s, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                        getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const std::string reason = errno_text();
  if (s >= 0) close(s);
  if (!is_bound) throw SystemError(cat("no free TCP port was found", reason, ". Name one with --port."));
  return ntohs(address.sin_port);
}

/// This process's environment with some variables replaced, as execve takes it.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (changes.count(text.substr(0, text.find('='))) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : changes) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Where the handler writes the number of each signal. A signalfd would miss those that the kernel hands to a
/// thread of one of the libraries.
int g_signal_pipe = -1;

void on_signal(int number) {
  const int error = errno;
  const auto byte = static_cast<unsigned char>(number);
  const ssize_t ignored = write(g_signal_pipe, &byte, 1);
  static_cast<void>(ignored);
  errno = error;
}

constexpr std::array<int, 4> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

struct Child {
  pid_t pid = -1;
  int output = -1;  ///< read end of what a rank above 0 prints
  bool is_alive = false;
  std::string line;  ///< begun, not yet ended
};

/// The processes of a group: started together, ended together.
class Launcher {
 public:
  explicit Launcher(const LaunchOptions& options) : options_(options) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
      throw SystemError(cat("signals cannot be received", errno_text(), "."));
    signals_ = ends[0];
    g_signal_pipe = ends[1];
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &old_actions_[i]);
  }
  ~Launcher() {
    for (const Child& child : children_)
      if (child.is_alive) kill(child.pid, SIGKILL);
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &old_actions_[i], nullptr);
    close(signals_);
    close(g_signal_pipe);
  }

  int operator()() {
    const int port = options_.port > 0 ? options_.port : free_port();
    for (int rank = 0; rank < options_.n_processes; ++rank) start(rank, port);
    while (is_running()) {
      wait_for_news();
      read_signals();
      for (size_t rank = 1; rank < children_.size(); ++rank) relay(rank);
      if (is_failed_) stop_others();
      if (is_failed_ && !is_killed_ && Clock::now() > deadline_) {
        is_killed_ = true;
        tell_all(SIGKILL);
      }
    }
    return exit_code();
  }

 private:
  void start(int rank, int port) {
    const std::string n = std::to_string(options_.n_processes), own = std::to_string(rank);
    std::map<std::string, std::string> changes = {{"WORLD_SIZE", n},
                                                  {"RANK", own},
                                                  {"LOCAL_WORLD_SIZE", n},
                                                  {"LOCAL_RANK", own},
                                                  {"MASTER_ADDR", "127.0.0.1"},
                                                  {"MASTER_PORT", std::to_string(port)},
                                                  {"T3D_LAUNCHER", own_words()}};
    if (std::getenv("OMP_NUM_THREADS") == nullptr)
      changes["OMP_NUM_THREADS"] = std::to_string(std::max(1, ops::usable_cores() / options_.n_processes));
    auto environment = environment_with(changes);
    std::vector<std::string> arguments = {"t3d"};
    arguments.insert(arguments.end(), options_.command.begin(), options_.command.end());
    const auto argv = pointers(arguments), envp = pointers(environment);
    int ends[2] = {-1, -1};
    if (rank > 0 && pipe2(ends, O_CLOEXEC) != 0)
      throw SystemError(cat("process ", rank, " cannot be started", errno_text(), "."));
    const pid_t parent = getpid(), pid = fork();
    if (pid < 0) throw SystemError(cat("process ", rank, " cannot be started", errno_text(), "."));
    if (pid == 0) {
      // A group of its own: Ctrl-C reaches the launcher alone, which passes it on once.
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != parent) _exit(3);
      const int nothing = open("/dev/null", O_RDONLY);
      dup2(nothing, STDIN_FILENO);
      if (rank > 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
      }
      execve("/proc/self/exe", argv.data(), envp.data());
      _exit(3);
    }
    if (rank > 0) {
      close(ends[1]);
      fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    children_.push_back({pid, ends[0], true, ""});
  }

  /// What stands before the command: for the line that says how to go on.
  std::string own_words() const {
    std::vector<std::string> words = {"launch", "-n", std::to_string(options_.n_processes)};
    if (options_.port > 0) words.insert(words.end(), {"--port", std::to_string(options_.port)});
    words.emplace_back("--");
    return command_line(words);
  }

  bool is_running() const {
    return std::any_of(children_.begin(), children_.end(),
                       [](const Child& c) { return c.is_alive || c.output >= 0; });
  }

  void wait_for_news() const {
    std::vector<pollfd> files = {{signals_, POLLIN, 0}};
    for (const Child& child : children_)
      if (child.output >= 0) files.push_back({child.output, POLLIN, 0});
    constexpr int kEvery_ms = 100;
    poll(files.data(), files.size(), is_failed_ ? kEvery_ms : -1);
  }

  void read_signals() {
    unsigned char number = 0;
    while (read(signals_, &number, 1) == 1) {
      if (number == SIGCHLD) continue;
      is_interrupted_ = true;
      tell_all(number == SIGHUP ? SIGTERM : number);
    }
    for (size_t rank = 0; rank < children_.size(); ++rank) {
      int status = 0;
      if (children_[rank].is_alive && waitpid(children_[rank].pid, &status, WNOHANG) > 0) ended(rank, status);
    }
  }

  /// Once, when the time for it has come.
  void stop_others() {
    if (is_stopped_ || Clock::now() < stop_at_) return;
    is_stopped_ = true;
    tell_all(SIGTERM);
  }

  void tell_all(int number) const {
    for (const Child& child : children_)
      if (child.is_alive) kill(child.pid, number);
  }

  void ended(size_t rank, int status) {
    children_[rank].is_alive = false;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 3;
    // It speaks for all where it fails first, and where it was given the time to find a fault of its own.
    if (rank == 0 && WIFEXITED(status) && code != 0 && code != kInterrupted && !is_stopped_) {
      first_said_why_ = true;
      others_differ_ = is_failed_ && code != code_;
      code_ = code;
    }
    if (code == 0 || is_failed_) return;
    if (code == kInterrupted && is_interrupted_) {
      code_ = code;
      return;
    }
    is_failed_ = true;
    code_ = code;
    deadline_ = Clock::now() + kGrace;
    reason_ = cat("process ", rank, " of ", children_.size(),
                  WIFEXITED(status) ? cat(" ended with exit code ", code)
                                    : cat(" was ended by signal ", WTERMSIG(status)),
                  ", so the others were stopped.");
    stop_at_ = Clock::now() + (rank > 0 && code == kWrongInput ? kOwnEnd : std::chrono::seconds(0));
    stop_others();
  }

  /// Whole lines with the rank before them, on standard error.
  void relay(size_t rank) {
    Child& child = children_[rank];
    char buffer[4096];
    ssize_t n = 0;
    while (child.output >= 0 && (n = read(child.output, buffer, sizeof buffer)) > 0)
      child.line.append(buffer, static_cast<size_t>(n));
    const bool is_over = child.output >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR));
    if (is_over && !child.line.empty() && child.line.back() != '\n') child.line += '\n';
    // All ranks say the same when they are interrupted: once is enough.
    for (size_t end; (end = child.line.find('\n')) != std::string::npos; child.line.erase(0, end + 1)) {
      const std::string line = child.line.substr(0, end);
      if (is_interrupted_) continue;
      // That it stops is no news: it was told to.
      if (is_stopped_ && line.find("[info]") != std::string::npos) continue;
      // What is wrong with the input is wrong for all of them, and the first one says it.
      if (line.find("[error]") != std::string::npos)
        errors_.emplace(line, rank);
      else
        std::fprintf(stderr, "[rank %zu] %s\n", rank, line.c_str());
    }
    if (is_over) {
      close(child.output);
      child.output = -1;
    }
  }

  int exit_code() const {
    if (!first_said_why_ || others_differ_)
      for (const auto& [line, rank] : errors_) std::fprintf(stderr, "[rank %zu] %s\n", rank, line.c_str());
    if (!reason_.empty() && !first_said_why_) log::error(reason_);
    return code_;
  }

  const LaunchOptions& options_;
  std::vector<Child> children_;
  std::array<struct sigaction, kSignals.size()> old_actions_{};
  std::map<std::string, size_t> errors_;  ///< of ranks above 0, each once
  int signals_ = -1, code_ = 0;
  bool is_interrupted_ = false, is_failed_ = false, is_killed_ = false, is_stopped_ = false;
  bool first_said_why_ = false, others_differ_ = false;
  Clock::time_point deadline_, stop_at_;
  std::string reason_;
};

int launch(LaunchOptions o) {
  if (!o.command.empty() && o.command[0] == "t3d") o.command.erase(o.command.begin());
  if (o.command.empty())
    throw UserError("no command was given. Write: t3d launch -n 2 -- prior train --config FILE -o RUN.");
  if (o.command[0] != kShared)
    throw UserError(cat("t3d ", o.command[0], " works in one process, and only t3d ", kShared,
                        " shares its work among several. Run it without launch."));
  return Launcher(o)();
}

}  // namespace

void add_launch_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<LaunchOptions>();
  auto* c = app.add_subcommand("launch", "Run a training in several processes, one for each GPU");
  c->add_option("-n,--processes", o->n_processes, "How many; with CUDA at most one for each GPU")
      ->required()
      ->check(CLI::Range(1, 64));
  c->add_option("--port", o->port, "TCP port where they meet; 0: a free one")->check(CLI::Range(0, 65535));
  c->add_option("command", o->command, "After --: the command, such as prior train --config FILE -o RUN");
  c->callback([o, &run] { run = [o] { return launch(*o); }; });
}

}  // namespace t3d::cli
