#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace t3d {

/// The sentence with a full stop, unless it ends with a mark of its own: messages of other libraries, and
/// those that end with a suggestion.
std::string with_full_stop(std::string sentence);

/// How a sentence about an unknown word ends: "; did you mean x?", or "." when no known word is near.
std::string end_or_suggestion(std::string_view word, const std::vector<std::string>& known);

/// "a", "a or b", "a, b or c".
std::string alternatives(const std::vector<std::string>& ways);

/// "1 particle", "0 particles", "3 boxes": the plural is the noun with an s unless it is given.
std::string counted(int64_t n, std::string_view noun, std::string_view plural = {});

}  // namespace t3d
