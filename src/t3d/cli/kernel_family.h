#pragma once

#include <string>

namespace t3d::cli {

/// Families of kernels that this program, LibTorch, oneDNN and OpenBLAS choose from by what the processor
/// has: "native" (all of it), "amx", "avx512-bf16", "avx512", "avx2", "plain".
std::string family_names();

/// Throws UserError for a name that is none, and for a family that this processor cannot show.
void check_family(const std::string& name);

/// What limits a program to the family, as words before its name on a shell's line; empty for native.
std::string environment_of(const std::string& name);

}  // namespace t3d::cli
