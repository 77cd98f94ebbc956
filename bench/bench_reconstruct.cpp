#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"

// `t3d reconstruct` from the outside, as a person runs it: one run a budget, start-up and loading included.
namespace {

namespace fs = std::filesystem;
using t3d::cat;

struct Options {
  std::string data, program = T3D_PROGRAM, more, peer, json;
  std::vector<double> seconds = {10, 30, 60};
  bool train_seconds = false;
};

/// A word of a shell command line.
std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

nlohmann::json run_one(const Options& o, double seconds, const fs::path& folder) {
  const char* budget = o.train_seconds ? " --train-seconds " : " --time-budget ";
  const std::string command =
      cat(quoted(o.program), " reconstruct ", quoted(o.data), " -o ", quoted(folder.string()), budget,
          seconds, " ", o.more, " > ", quoted(folder.string() + ".log"), " 2>&1");
  if (std::system(command.c_str()) != 0)
    throw t3d::SystemError(cat(command, ": failed; its output is in ", folder.string(), ".log."));
  std::ifstream file(folder / "report.json");
  return nlohmann::json::parse(file);
}

int run(const Options& o) {
  const fs::path work = fs::temp_directory_path() / cat("bench_reconstruct.", getpid());
  fs::create_directories(work);
  nlohmann::json all = nlohmann::json::array();
  std::printf("%s, %s\n\n", o.data.c_str(), o.train_seconds ? "seconds of training" : "seconds in all");
  std::printf("| asked s | PSNR dB | SSIM | steps | train s | total s | peak MiB |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const double seconds : o.seconds) {
    const auto r = run_one(o, seconds, work / std::to_string(all.size()));
    const double psnr = r.at("test").at("psnr").is_null() ? 0 : r.at("test").at("psnr").get<double>();
    const double ssim = r.at("test").at("ssim").is_null() ? 0 : r.at("test").at("ssim").get<double>();
    std::printf("| %g | %.2f | %.4f | %lld | %.1f | %.1f | %.0f |\n", seconds, psnr, ssim,
                static_cast<long long>(r.at("steps").get<int64_t>()),
                r.at("seconds").at("train").get<double>(), r.at("seconds").at("total").get<double>(),
                r.at("memory").at("peak_mib").get<double>());
    std::fflush(stdout);
    all.push_back({{"asked_s", seconds}, {"report", r}});
    if (o.peer.empty()) continue;
    std::printf("peer, %g s:\n", seconds);
    std::fflush(stdout);
    if (std::system(cat("SECONDS_ASKED=", seconds, " ", o.peer).c_str()) != 0)
      std::printf("the peer's command failed\n");
  }
  if (!o.json.empty()) std::ofstream(o.json) << all.dump(2) << '\n';
  t3d::remove_tree(work);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Quality, time and memory of t3d reconstruct at several budgets");
  app.add_option("data", o.data, "data set")->required();
  app.add_option("--seconds", o.seconds, "budgets, one run each")->capture_default_str();
  app.add_flag("--train-seconds", o.train_seconds, "they are seconds of training alone");
  app.add_option("--options", o.more, "more options for t3d reconstruct, in one word");
  app.add_option("--t3d", o.program, "the program")->capture_default_str();
  app.add_option("--json", o.json, "also write the reports here");
  app.add_option(
      "--peer", o.peer,
      "a command to run after each of ours, with the seconds in SECONDS_ASKED; its output is shown");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
  }
}
