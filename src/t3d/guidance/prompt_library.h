#pragma once

#include <string>
#include <vector>

namespace t3d::guidance {

/// The only entry of `library` that holds all words of "word1_word2", upper and lower case alike. Throws
/// UserError when there is none or several, naming them.
std::string find_prompt(const std::string& words, const std::vector<std::string>& library,
                        const std::string& where);

/// The prompts of a library file: the list "dreamfusion" of threestudio's load/prompt_library.json, or the
/// lists "train", "val" and "test" of ScaleDreamer's, each prompt once. Throws UserError or SystemError.
std::vector<std::string> read_prompt_library(const std::string& path);

/// "lib:word1_word2" looked up in the file; any other prompt as it is.
std::string resolve_prompt(const std::string& prompt, const std::string& library_path);

}  // namespace t3d::guidance
