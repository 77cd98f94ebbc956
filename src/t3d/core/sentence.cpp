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

}  // namespace t3d
