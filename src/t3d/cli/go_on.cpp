#include "t3d/cli/go_on.h"

#include <cstdlib>
#include <filesystem>

#include "t3d/cli/experiment_command.h"
#include "t3d/cli/output_path.h"
#include "t3d/core/is_used.h"
#include "t3d/core/shell_line.h"

namespace t3d::cli {
namespace {

std::function<std::string()> g_command;

/// ./t3d says by T3D_COMMAND how it was called; it starts the program by a long path.
std::string program_name() {
  const char* script = std::getenv("T3D_COMMAND");
  if (script != nullptr && *script != '\0') return script;
  return command_words().empty() ? "t3d" : command_words().front();
}

}  // namespace

void offer_to_go_on(std::function<std::string()> command) {
  g_command = std::move(command);
}

std::string how_to_go_on() {
  const std::string command = g_command ? g_command() : "";
  return command.empty() ? "" : " Go on with: " + command;
}

std::string command_line(const std::vector<std::string>& words) {
  // The launcher's own words come before those of the processes that it started.
  const char* launcher = std::getenv("T3D_LAUNCHER");
  const std::string before = launcher != nullptr && *launcher != '\0' ? launcher : shell_word(program_name());
  return before + " " + shell_line(words);
}

std::string command_again(const std::vector<std::string>& more) {
  std::vector<std::string> words;
  for (size_t i = 1; i < command_words().size(); ++i) {
    const std::string& word = command_words()[i];
    if (word != "--resume" && word != "--overwrite") words.push_back(word);
  }
  words.insert(words.end(), more.begin(), more.end());
  return command_line(words);
}

std::string command_to_resume(const std::string& folder, std::vector<std::string> more) {
  const bool has_checkpoint = is_used((std::filesystem::path(folder) / "ckpts").string());
  if (has_checkpoint)
    more.emplace_back("--resume");
  else if (is_used(folder))
    more.emplace_back("--overwrite");
  return command_again(more);
}

}  // namespace t3d::cli
