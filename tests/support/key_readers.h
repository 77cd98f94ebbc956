#pragma once

#include <map>
#include <string>
#include <vector>

/// Looks in C++ text for the code that reads a configuration's keys.
namespace t3d::testing {

/// A field of a config struct: v("n_levels", grid.n_levels, in_range(1, 32), "...") in its visit.
struct ConfigKey {
  std::string file, owner;   ///< "t3d/field/encoding.cpp", "ProgressiveBandHashGrid::Config"
  std::string name, member;  ///< "n_levels", "grid.n_levels"
  std::string range;         ///< "in_range(1, 32)"
  bool is_ignored() const;   ///< declared so
  bool is_fixed() const;     ///< one value alone is allowed, so that nothing has to ask which it is
};

/// Files of C++ by the names that #include uses.
using Sources = std::map<std::string, std::string>;

/// The .h, .cpp and .cu files below `folder`/t3d, without the tests.
Sources read_sources(const std::string& folder);

/// Every field that a function named visit... lists.
std::vector<ConfigKey> config_keys(const Sources& sources);

/// Of these, the fields that no code reads. A reader is
///   x.member or x->member    in the class that the struct belongs to and what is written with its name, or
///   for
///                            a struct of its own in all files that include it, or that it includes
///   member                   in a function of the struct itself
///   find("key"), given("key")  anywhere
/// outside of visit functions, comments and texts.
std::vector<ConfigKey> keys_without_reader(const Sources& sources);

}  // namespace t3d::testing
