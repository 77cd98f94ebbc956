#include "t3d/guidance/prompt_library.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "t3d/core/error.h"
#include "t3d/io/json_file.h"

namespace t3d::guidance {
namespace {

constexpr const char* kPrefix = "lib:";

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> words_of(const std::string& words) {
  std::vector<std::string> out;
  std::istringstream in(lower(words));
  for (std::string word; std::getline(in, word, '_');)
    if (!word.empty()) out.push_back(word);
  return out;
}

}  // namespace

std::string find_prompt(const std::string& words, const std::vector<std::string>& library,
                        const std::string& where) {
  const auto keywords = words_of(words);
  if (keywords.empty())
    throw UserError(cat("the prompt \"", kPrefix, words, "\" names no word, expected ", kPrefix,
                        "word1_word2 that occur in one prompt of ", where, "."));
  std::vector<std::string> found;
  for (const std::string& prompt : library) {
    const std::string text = lower(prompt);
    if (std::all_of(keywords.begin(), keywords.end(),
                    [&](const std::string& word) { return text.find(word) != std::string::npos; }))
      found.push_back(prompt);
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    throw UserError(cat("the prompt \"", kPrefix, words, "\" fits none of the ", library.size(),
                        " prompts of ", where, ". Leave a word out, or give the prompt itself."));
  std::string examples;
  constexpr size_t kShown = 5;
  for (size_t i = 0; i < std::min(found.size(), kShown); ++i) examples += cat("\n  ", found[i]);
  throw UserError(cat("the prompt \"", kPrefix, words, "\" fits ", found.size(), " prompts of ", where,
                      ", expected one. Add a word that only one of them has:", examples,
                      found.size() > kShown ? "\n  ..." : ""));
}

std::vector<std::string> read_prompt_library(const std::string& path) {
  const auto json = io::read_json_file(path);
  std::vector<std::string> out;
  std::set<std::string> seen;
  const auto take = [&](const char* key) {
    for (const auto& entry : json.at(key)) {
      if (!entry.is_string()) throw UserError(cat(path, ": \"", key, "\" holds something other than text."));
      if (seen.insert(entry.get<std::string>()).second) out.push_back(entry.get<std::string>());
    }
  };
  const auto has = [&](const char* key) {
    return json.is_object() && json.contains(key) && json.at(key).is_array();
  };
  if (has("dreamfusion")) {
    take("dreamfusion");
    return out;
  }
  for (const char* key : {"train", "val", "test"})
    if (has(key)) take(key);
  if (out.empty())
    throw UserError(
        cat(path, R"(: expected an object with a list "dreamfusion", or "train", "val" and "test".)"));
  return out;
}

std::string resolve_prompt(const std::string& prompt, const std::string& library_path) {
  if (prompt.rfind(kPrefix, 0) != 0) return prompt;
  if (!std::filesystem::exists(library_path))
    throw SystemError(
        cat("the prompt \"", prompt, "\" is a name in a prompt library, but ", library_path,
            " is not there. Copy threestudio's file of that name, set prompt_library_path, or give "
            "the prompt itself."));
  return find_prompt(prompt.substr(std::string(kPrefix).size()), read_prompt_library(library_path),
                     library_path);
}

}  // namespace t3d::guidance
