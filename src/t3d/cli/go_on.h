#pragma once

#include <functional>
#include <string>
#include <vector>

/// How a person goes on with work that was stopped, by Ctrl-C or by a time limit: one wording for all
/// commands. A command says early how (offer_to_go_on); main prints it with what was saved, as a line of
/// information.
namespace t3d::cli {

/// `command` is asked when the work stops: what is in the folder by then decides. A whole command line, or
/// nothing where it could not go on.
void offer_to_go_on(std::function<std::string()> command);

/// " Go on with: t3d ...", or nothing: the end of a sentence about what was saved.
std::string how_to_go_on();

/// This process's command line as it can be pasted again, without --resume and --overwrite and with `more` at
/// its end.
std::string command_again(const std::vector<std::string>& more = {});

/// The same with --resume when `folder`/ckpts has a checkpoint, else with --overwrite when the folder has
/// anything.
std::string command_to_resume(const std::string& folder, std::vector<std::string> more = {});

/// The name the program was called by, then `words`.
std::string command_line(const std::vector<std::string>& words);

}  // namespace t3d::cli
