#pragma once

#include <optional>
#include <string>

/// The files that come with t3d: configs/ (the recipes) and models/ (the toybox prior). They lie in
/// share/t3d, in the installed tree as in a build folder, whose share/t3d leads to the checkout. No path is
/// compiled in, so that both can be moved.
namespace t3d {

/// share/t3d in the nearest folder above `file` that has one with configs in it; links are resolved.
std::optional<std::string> find_share_folder(const std::string& file);

/// The same above t3d's own code: the program, or libt3d.so in a program of somebody else's. Looked up at
/// every call, which costs a few system calls. Nothing when it is gone.
std::optional<std::string> share_folder();

/// The file or folder `name` of it ("configs"), links resolved; empty when the folder or the file is gone.
std::string share_file(const std::string& name);

/// How a sentence about a missing file of t3d's own ends: what is gone, and how it comes back.
std::string share_folder_remark();

/// The file that holds t3d's own code, and the running program; absolute.
std::string code_file();
std::string program_file();

}  // namespace t3d
