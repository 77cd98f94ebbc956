#pragma once

#include <string>
#include <vector>

namespace t3d {

/// The words as one line that a POSIX shell reads as these words again: a word is quoted only where it has to
/// be, in double quotes while they suffice. What is printed for people to paste, and kept in cmd.txt.
std::string shell_line(const std::vector<std::string>& words);

/// One word of it.
std::string shell_word(const std::string& word);

}  // namespace t3d
