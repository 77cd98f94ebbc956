#include "t3d/cli/struct_options.h"

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::cli {
namespace {

config::Node text_node(const std::string& text) {
  return text == "null" ? config::Node() : config::Node(text);
}

}  // namespace

std::string option_name(const std::string& field) {
  std::string name = "--" + field;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string option_help(const config::FieldInfo& field) {
  std::string facts;
  const auto add = [&facts](const std::string& fact) { facts += (facts.empty() ? "" : "; ") + fact; };
  if (field.type != "bool") {
    std::string type = field.type;
    const bool is_optional = type.size() > 5 && type.compare(type.size() - 5, 5, "|null") == 0;
    add(is_optional ? type.substr(0, type.size() - 5) : type);
    if (!field.range.empty()) add(field.range);
    const auto& d = field.default_text;
    if (d != "null" && d != "???" && d != "\"\"" && d != "[]") add("default: " + d);
  }
  return facts.empty() ? field.help : field.help + " [" + facts + "]";
}

void add_text_option(CLI::App& app, const config::FieldInfo& field, bool is_list,
                     std::function<void(const config::Node&)> take) {
  const auto guarded = [take = std::move(take)](const config::Node& node) {
    try {
      take(node);
    } catch (const UserError& failure) {
      throw CLI::ValidationError(failure.what(), CLI::ExitCodes::ValidationError);
    }
  };
  CLI::Option* option = nullptr;
  if (is_list) {
    const std::function<void(const std::vector<std::string>&)> set = [guarded](const auto& words) {
      config::Node::List list;
      for (const auto& word : words) list.push_back(text_node(word));
      guarded(config::Node(std::move(list)));
    };
    option = app.add_option_function(option_name(field.name), set, option_help(field));
  } else {
    const std::function<void(const std::string&)> set = [guarded](const std::string& word) {
      guarded(text_node(word));
    };
    option = app.add_option_function(option_name(field.name), set, option_help(field));
  }
  option->type_name("");
  if (field.default_text == "???") option->required();
}

void add_flag_option(CLI::App& app, const config::FieldInfo& field, bool& value) {
  const std::string name = option_name(field.name);
  if (value)
    app.add_flag_callback(
        "--no-" + name.substr(2), [&value] { value = false; }, "Do not " + option_help(field));
  else
    app.add_flag(name, value, option_help(field));
}

}  // namespace t3d::cli
