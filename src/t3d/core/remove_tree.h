#pragma once

#include <string>

namespace t3d {

/// Removes a file, or a folder with everything in it; links go, what they point to stays. Nothing there is no
/// error. Throws SystemError at the first entry that stays.
///
/// In place of std::filesystem::remove_all: pip's libtorch.so exports a copy of that which crashes.
void remove_tree(const std::string& path);

}  // namespace t3d
