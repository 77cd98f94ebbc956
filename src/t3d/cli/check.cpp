#include <algorithm>
#include <cstdio>
#include <memory>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/load_option.h"
#include "t3d/core/shell_line.h"
#include "t3d/system/check_experiment.h"
#include "t3d/system/plugins.h"

namespace t3d::cli {
namespace {

/// Each line on a row of its own, names and values in columns; a problem that would not fit behind its value
/// goes below.
void print(const std::vector<system::CheckLine>& lines) {
  constexpr size_t kWidest = 44;
  size_t name_width = 0, value_width = 0;
  for (const auto& line : lines) {
    name_width = std::max(name_width, line.what.size());
    value_width = std::max(value_width, std::min(line.value.size(), kWidest));
  }
  for (const auto& line : lines) {
    const std::string name = line.what + std::string(name_width - line.what.size(), ' ');
    if (line.problem.empty()) {
      std::printf("  ok    %s  %s\n", name.c_str(), line.value.c_str());
    } else if (line.value.size() > kWidest) {
      std::printf("  STOP  %s  %s\n        %s  %s\n", name.c_str(), line.value.c_str(),
                  std::string(name_width, ' ').c_str(), line.problem.c_str());
    } else {
      const std::string value =
          line.value.empty() ? "" : line.value + std::string(value_width - line.value.size() + 2, ' ');
      std::printf("  STOP  %s  %s%s\n", name.c_str(), value.c_str(), line.problem.c_str());
    }
  }
}

int check(const std::string& file, const std::vector<std::string>& overrides,
          const std::vector<std::string>& plugins) {
  system::load_plugins(plugins);
  const std::string path = find_recipe(file);
  std::printf("%s\n", path.c_str());
  const auto lines = system::check_experiment(path, overrides);
  print(lines);
  const auto n_problems =
      std::count_if(lines.begin(), lines.end(), [](const auto& line) { return !line.problem.empty(); });
  if (n_problems == 0) {
    std::vector<std::string> words = {"t3d", "train", "--config", path};
    words.insert(words.end(), overrides.begin(), overrides.end());
    for (const std::string& plugin : plugins) words.insert(words.end(), {"--load", plugin});
    std::printf("It can run: %s\n", shell_line(words).c_str());
    return 0;
  }
  std::printf("It cannot run: %ld of these stand%s in the way.\n", static_cast<long>(n_problems),
              n_problems == 1 ? "s" : "");
  return 2;
}

}  // namespace

void add_check_command(CLI::App& app, Run& run) {
  auto file = std::make_shared<std::string>();
  auto overrides = std::make_shared<std::vector<std::string>>();
  auto* c =
      app.add_subcommand("check", "Say what a configuration needs and whether it can run; loads no weights");
  c->add_option("FILE", *file, "Configuration file, or the name of one in configs/")->required();
  c->add_option("OVERRIDES", *overrides, "key.path=value, over the file's");
  const PluginFiles plugins = add_load_option(*c);
  c->callback([file, overrides, plugins, &run] {
    run = [file, overrides, plugins] { return check(*file, *overrides, *plugins); };
  });
}

}  // namespace t3d::cli
