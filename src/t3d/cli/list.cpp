#include <iostream>
#include <memory>

#include "t3d/cli/command.h"
#include "t3d/cli/families.h"
#include "t3d/cli/load_option.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/system/plugins.h"

namespace t3d::cli {
namespace {

struct ListOptions {
  std::string family;
  bool markdown = false;
};

int list(const ListOptions& options) {
  const std::vector<FamilyInfo> all = families();
  if (options.markdown) {
    std::cout << reference_page();
    return 0;
  }
  if (options.family.empty()) {
    std::cout << list_text(all);
    return 0;
  }
  std::vector<std::string> names;
  for (const FamilyInfo& family : all) {
    if (family.name == options.family) {
      std::cout << list_text(family);
      return 0;
    }
    for (const TypeInfo& type : family.types) {
      if (type.name == options.family) {
        std::cout << list_text(FamilyInfo{family.name, family.help, {type}});
        return 0;
      }
      names.push_back(type.name);
    }
    names.push_back(family.name);
  }
  throw UserError(cat("there is no family or type named ", options.family,
                      end_or_suggestion(options.family, names),
                      " See t3d list; a type of your own needs --load FILE.so."));
}

}  // namespace

void add_list_command(CLI::App& app, Run& run) {
  auto options = std::make_shared<ListOptions>();
  auto* command =
      app.add_subcommand("list", "Print the types that configuration files can name, and their keys");
  command->add_option("family", options->family, "a family or a type; nothing: all families");
  command->add_flag("--markdown", options->markdown, "the whole reference page");
  const PluginFiles plugins = add_load_option(*command);
  command->callback([options, plugins, &run] {
    run = [options, plugins] {
      system::load_plugins(*plugins);
      return list(*options);
    };
  });
}

}  // namespace t3d::cli
