#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

namespace t3d::cli {

using PluginFiles = std::shared_ptr<std::vector<std::string>>;

/// --load FILE.so, on a command that configurations or types are given to. The command hands what it says to
/// system::load_plugins before all else.
inline PluginFiles add_load_option(CLI::App& command) {
  auto files = std::make_shared<std::vector<std::string>>();
  command
      .add_option("--load", *files,
                  "Shared object with types of your own (docs/own_modules.md); may be given several times")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
  return files;
}

}  // namespace t3d::cli
