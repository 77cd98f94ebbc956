#include "t3d/core/sentence.h"

#include "t3d/core/text.h"

namespace t3d {

std::string with_full_stop(std::string sentence) {
  sentence.erase(sentence.find_last_not_of(" \t\r\n") + 1);
  const bool has_mark =
      !sentence.empty() && std::string_view(".?!").find(sentence.back()) != std::string::npos;
  return has_mark ? sentence : sentence + ".";
}

std::string end_or_suggestion(std::string_view word, const std::vector<std::string>& known) {
  return with_full_stop(did_you_mean(word, known));
}

std::string alternatives(const std::vector<std::string>& ways) {
  std::string out;
  for (size_t i = 0; i < ways.size(); ++i)
    out += cat(i == 0 ? "" : i + 1 == ways.size() ? " or " : ", ", ways[i]);
  return out;
}

std::string counted(int64_t n, std::string_view noun, std::string_view plural) {
  if (n == 1) return cat(n, " ", noun);
  return plural.empty() ? cat(n, " ", noun, "s") : cat(n, " ", plural);
}

}  // namespace t3d
