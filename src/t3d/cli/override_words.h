#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace t3d::cli {

/// Looks at the words of a command line that should be key.path=value, before any is applied. Throws
/// UserError for words without "=": where they follow a prompt (`before`, or the value of an override whose
/// key ends in "prompt"), it has lost its quotes, and the message has the command with them. A key without
/// dots that is one of the command's options, and none of `keys`, is answered with the option.
void check_override_words(const CLI::App& command, const std::vector<std::string>& words,
                          const std::vector<std::string>& keys, const std::string& before = "");

/// "t3d sample \"a red mushroom\"": what was meant by a prompt that came as several words.
std::string with_quotes(const CLI::App& command, const std::string& first,
                        const std::vector<std::string>& rest);

}  // namespace t3d::cli
