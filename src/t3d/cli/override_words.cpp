#include "t3d/cli/override_words.h"

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/shell_line.h"

namespace t3d::cli {
namespace {

/// "t3d toybox mesh"
std::string name_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? "t3d" : name_of(*parent) + " " + command.get_name();
}

bool is_prompt(const std::string& key) {
  const std::string last = key.substr(key.find_last_of('.') + 1);
  return last == "prompt" || last == "negative_prompt";
}

std::string joined(const std::string& first, const std::vector<std::string>& rest) {
  std::string text = first;
  for (const std::string& word : rest) text += " " + word;
  return text;
}

}  // namespace

std::string with_quotes(const CLI::App& command, const std::string& first,
                        const std::vector<std::string>& rest) {
  return cat(name_of(command), " ", shell_word(joined(first, rest)));
}

void check_override_words(const CLI::App& command, const std::vector<std::string>& words,
                          const std::vector<std::string>& keys, const std::string& before) {
  std::string prompt_key;  // of the override before the words that have no "="
  std::string prompt = before;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals != std::string::npos) {
      const std::string key = words[i].substr(0, equals);
      std::string option = "--" + key;
      std::replace(option.begin(), option.end(), '_', '-');
      const bool is_key = std::find(keys.begin(), keys.end(), key) != keys.end();
      const CLI::Option* known = is_key ? nullptr : command.get_option_no_throw(option);
      if (known != nullptr) {
        const bool is_flag = known->get_items_expected_min() == 0;
        throw UserError(cat(words[i], ": ", option, " is an option of ", name_of(command), ". Write ", option,
                            is_flag ? "" : " " + shell_word(words[i].substr(equals + 1)), "."));
      }
      prompt_key = is_prompt(key) ? key : "";
      prompt = is_prompt(key) ? words[i].substr(equals + 1) : "";
      continue;
    }
    std::vector<std::string> rest;
    for (size_t j = i; j < words.size() && words[j].find('=') == std::string::npos; ++j)
      rest.push_back(words[j]);
    if (!prompt_key.empty())
      throw UserError(cat("\"", words[i],
                          "\" stands alone, expected key.path=value. A text of several words needs "
                          "quotes: ",
                          shell_word(cat(prompt_key, "=", joined(prompt, rest))), "."));
    if (!prompt.empty())
      throw UserError(cat("\"", words[i],
                          "\" stands alone, expected key.path=value. A prompt of several words "
                          "needs quotes: ",
                          with_quotes(command, prompt, rest), "."));
    throw UserError(cat("\"", words[i], "\" is no override, expected key.path=value. See ", name_of(command),
                        " --help."));
  }
}

}  // namespace t3d::cli
