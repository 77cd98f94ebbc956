#pragma once

#include <initializer_list>
#include <string>

/// Looks at where a command will write, before it works for long. Changes nothing.
namespace t3d::cli {

/// A folder that a run may be written to: a new or empty one, or what the flags allow. Throws UserError for
/// both flags at once, for a file in the way, for a used folder without a flag, and for --resume where there
/// is no folder `checkpoints` in it; SystemError where nothing can be written.
void check_run_folder(const std::string& folder, bool resume, bool overwrite,
                      const std::string& checkpoints = "ckpts");
/// The same for a command that has --overwrite alone.
void check_new_folder(const std::string& folder, bool overwrite);

/// A file that can be written: its name has one of the endings, and no folder is in its place. Throws
/// UserError, and SystemError where nothing can be written.
void check_output_file(const std::string& path, std::initializer_list<const char*> endings);

}  // namespace t3d::cli
