#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "t3d/cli/command.h"
#include "t3d/cli/kernel_family.h"
#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/share_folder.h"
#include "t3d/core/shell_line.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

struct TestOptions {
  bool golden_only = false;
  int fuzz_seconds = 0;
  std::string filter = "*";
  std::vector<std::string> programs;
  std::string kernels = "native";
};

struct Totals {
  int passed = 0, failed = 0, skipped = 0;
};

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// The build folder, where the program is, and the checkout, which the build wrote down there.
fs::path build_folder() {
  return fs::path(program_file()).parent_path();
}
std::string source_folder() {
  const auto lines = lines_of(build_folder() / "source.txt");
  return lines.empty() ? "" : lines.front();
}

/// Runs `command` with its output in `log`; returns the exit status, 128 + signal when killed.
int run_logged(const std::string& command, const fs::path& log) {
  const int status = std::system(cat(command, " > ", shell_word(log.string()), " 2>&1").c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  // system() keeps Ctrl-C from this process, and the next program would start.
  if (code == 128 + SIGINT) throw Interrupted(cat("what it had printed is in ", log.string()));
  return code;
}

void print_file(const fs::path& path) {
  for (const auto& line : lines_of(path)) std::printf("    %s\n", line.c_str());
}

/// Adds the results of one GoogleTest program; a program that died counts as one failure.
void add_results(const fs::path& json_path, int status, Totals& totals) {
  std::ifstream file(json_path);
  const auto report = nlohmann::json::parse(file, nullptr, false);
  if (report.is_discarded()) {
    totals.failed += 1;
    return;
  }
  int failed = 0;
  for (const auto& suite : report.value("testsuites", nlohmann::json::array())) {
    for (const auto& test : suite.value("testsuite", nlohmann::json::array())) {
      if (test.value("status", "") != "RUN") continue;
      if (test.contains("failures")) {
        ++failed;
      } else if (test.value("result", "") == "SKIPPED") {
        ++totals.skipped;
      } else {
        ++totals.passed;
      }
    }
  }
  totals.failed += failed == 0 && status != 0 ? 1 : failed;
}

void run_test_program(const std::string& program, const TestOptions& options, Totals& totals,
                      std::set<std::string>& skips) {
  const bool is_native = options.kernels == "native";
  const fs::path folder = build_folder() / (is_native ? "test-results" : "test-results-" + options.kernels);
  fs::create_directories(folder);
  const std::string name = fs::path(program).filename().string();
  const fs::path json = folder / (name + ".json"), log = folder / (name + ".log");
  fs::remove(json);
  const std::string filter = options.golden_only ? "Golden*:*/Golden*" : options.filter;
  const double start = now_s();
  const Totals before = totals;
  const int status = run_logged(
      cat("cd ", shell_word(source_folder()), " && ", environment_of(options.kernels), shell_word(program),
          " --gtest_filter=", shell_word(filter), " --gtest_output=json:", shell_word(json.string())),
      log);
  add_results(json, status, totals);
  const double seconds = now_s() - start;
  const int n =
      totals.passed + totals.failed + totals.skipped - before.passed - before.failed - before.skipped;
  if (n == 0) return;
  const bool failed = totals.failed > before.failed;
  std::printf("%-6s %-28s %4d tests %8.1f s\n", failed ? "FAILED" : "ok", name.c_str(), n, seconds);
  std::fflush(stdout);
  bool next_is_reason = false;
  for (const auto& line : lines_of(log)) {
    if (next_is_reason) skips.insert(line);
    next_is_reason = line.find(": Skipped") != std::string::npos;
    if (line.rfind("golden ", 0) == 0) std::printf("       %s\n", line.c_str());
  }
  if (failed) print_file(log);
}

/// The seed corpora, fed to the parsers' fuzz targets.
void run_replays(Totals& totals) {
  const fs::path folder = build_folder() / "fuzz";
  if (!fs::exists(folder)) return;
  std::vector<fs::path> programs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name.rfind("replay_", 0) == 0 && entry.path().extension().empty())
      programs.push_back(entry.path());
  }
  std::sort(programs.begin(), programs.end());
  for (const auto& program : programs) {
    const std::string name = program.filename().string();
    const fs::path log = build_folder() / "test-results" / (name + ".log");
    const int status = run_logged(cat(shell_word(program.string()), " ",
                                      shell_word(cat(source_folder(), "/fuzz/seeds/", name.substr(7)))),
                                  log);
    ++(status == 0 ? totals.passed : totals.failed);
    std::printf("%-6s %s\n", status == 0 ? "ok" : "FAILED", name.c_str());
    if (status != 0) print_file(log);
  }
}

/// Builds the libFuzzer targets (clang) and runs each for a while; findings stay in build/fuzz/findings.
int run_fuzzers(int seconds) {
  const std::string source = shell_word(source_folder());
  const fs::path build = fs::path(source_folder()) / "build" / "fuzz";
  if (std::system(cat("cd ", source,
                      " && cmake --preset fuzz > /dev/null && cmake --build --preset fuzz --target fuzz_all")
                      .c_str()) != 0)
    throw SystemError(
        "the fuzz targets did not build; they need clang++ with libFuzzer: apt-get install clang.");
  const fs::path findings = build / "findings";
  fs::create_directories(findings);
  Totals totals;
  for (const auto& entry : fs::directory_iterator(build / "fuzz")) {
    const std::string file = entry.path().filename().string();
    if (!entry.is_regular_file() || file.rfind("fuzz_", 0) != 0 || !entry.path().extension().empty())
      continue;
    const std::string name = file.substr(5);
    const fs::path corpus = build / "corpus" / name, log = findings / (name + ".log");
    fs::create_directories(corpus);
    const fs::path words = fs::path(source_folder()) / "fuzz" / (name + ".dict");
    const std::string dictionary = fs::exists(words) ? cat(" -dict=", shell_word(words.string())) : "";
    const int status = run_logged(
        cat("cd ", shell_word(findings.string()), " && ", shell_word(entry.path().string()),
            " -max_total_time=", seconds, dictionary,
            " -rss_limit_mb=2048 -timeout=10 -max_len=65536 -artifact_prefix=", name, "- ",
            shell_word(corpus.string()), " ", shell_word(cat(source_folder(), "/fuzz/seeds/", name))),
        log);
    ++(status == 0 ? totals.passed : totals.failed);
    std::printf("%-6s fuzz_%s, %d s\n", status == 0 ? "ok" : "FAILED", name.c_str(), seconds);
    std::fflush(stdout);
    if (status != 0) print_file(log);
  }
  std::printf("%d passed, %d failed\n", totals.passed, totals.failed);
  return totals.failed == 0 ? 0 : 1;
}

int test(const TestOptions& options) {
  unsetenv("T3D_COMMAND");  // tests start the program themselves, not through ./t3d
  check_family(options.kernels);
  if (source_folder().empty())
    throw UserError(cat("the tests are in t3d's checkout, and ", program_file(),
                        " is no build folder of one. Run ./t3d test there."));
  if (options.fuzz_seconds > 0) return run_fuzzers(options.fuzz_seconds);
  const auto programs = lines_of(build_folder() / "tests.txt");
  if (programs.empty())
    throw UserError(cat(build_folder().string(),
                        "/tests.txt lists no test programs; this build was configured without tests. "
                        "Install libgtest-dev and libgmock-dev, and configure with -DT3D_BUILD_TESTS=ON."));
  Totals totals;
  std::set<std::string> skips;
  for (const auto& program : programs) {
    const auto is_of = [&](const std::string& name) { return program.find(name) != std::string::npos; };
    if (!options.programs.empty() && std::none_of(options.programs.begin(), options.programs.end(), is_of))
      continue;
    run_test_program(program, options, totals, skips);
  }
  if (!options.golden_only && options.filter == "*" && options.programs.empty()) run_replays(totals);
  for (const auto& reason : skips) std::printf("skipped: %s\n", reason.c_str());
  std::string names;
  for (const auto& name : options.programs) names += name + " ";
  if (totals.passed + totals.failed + totals.skipped == 0)
    throw UserError(cat("no test matches ", names, options.filter,
                        ". List them with build/*/src/t3d/*/test_* --gtest_list_tests."));
  std::printf("%d passed, %d failed, %d skipped\n", totals.passed, totals.failed, totals.skipped);
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace

void add_test_command(CLI::App& app, Run& run) {
  auto options = std::make_shared<TestOptions>();
  auto* command = app.add_subcommand("test", "Run all tests, the parity tests alone, or the fuzzers");
  command->add_flag("--golden", options->golden_only,
                    "Only the parity tests against recorded references, with the worst error per case");
  command
      ->add_option("--fuzz", options->fuzz_seconds, "Build the fuzz targets and run each for so many seconds")
      ->check(CLI::Range(1, 86400));
  command->add_option("--filter", options->filter, "GoogleTest filter, such as 'HashGrid*'");
  command
      ->add_option("--program", options->programs,
                   "Only test programs whose name contains this, such as test_ops; several with commas")
      ->delimiter(',');
  command->add_option("--kernels", options->kernels,
                      cat("Run the tests with the kernels of a lesser processor: ", family_names()));
  command->callback([options, &run] { run = [options] { return test(*options); }; });
}

}  // namespace t3d::cli
