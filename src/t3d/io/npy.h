#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace t3d::io {

/// An array of numbers as NumPy's .npy files hold it, rows first.
struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<double> values;
};

/// Reads an array of floats of 4 or 8 bytes or integers of 1 to 8 bytes, of either byte order, in C or
/// Fortran order (versions 1 to 3 of https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
/// Sizes are held against the file's before memory is taken. Throws UserError "name: ..." for anything else,
/// Python objects and files that are cut short included.
NpyArray parse_npy(std::string_view bytes, const std::string& name);

/// The same from a file. Throws SystemError when it cannot be read.
NpyArray read_npy(const std::string& path);

/// The arrays of a .npz file, stored or compressed, by their names without ".npy". Throws what read_npy
/// throws, "path: name: ..." where an array is damaged, and UserError where the file is no zip archive.
std::map<std::string, NpyArray> read_npz(const std::string& path);

}  // namespace t3d::io
