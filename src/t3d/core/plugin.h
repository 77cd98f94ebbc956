#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "t3d/core/registry.h"

/// The version of the C++ interface that users' own types are written against: docs/own_modules.md says what
/// belongs to it. It goes up whenever something of that changes, and --load refuses the shared objects of
/// another one.
#define T3D_API_VERSION 1

/// Types from users' shared objects. What such a file contains is written with t3d/own_types.h.
namespace t3d {

/// Takes the types of one file into the families' tables, all of them or none.
class TypeRegistrar {
 public:
  /// `file` is what lists and messages name as their origin.
  explicit TypeRegistrar(std::string file) : file_(std::move(file)) {}
  /// Without keep() every type goes again.
  ~TypeRegistrar();
  TypeRegistrar(const TypeRegistrar&) = delete;
  TypeRegistrar& operator=(const TypeRegistrar&) = delete;

  /// Throws UserError for a name that the family has already, and for one that has anything in it but
  /// letters, digits, "-" and "_".
  template <class T, class Base, class... Args>
  void add(Registry<Base, Args...>& family, const std::string& name, const std::string& help) {
    check_name(family.family(), name, family.file_of(name));
    auto entry = Registry<Base, Args...>::template entry<T>(name, help);
    entry.file = file_;
    family.add(std::move(entry));
    undo_.push_back([&family, name] { family.remove(name); });
  }

  size_t size() const { return undo_.size(); }
  void keep() { undo_.clear(); }

 private:
  /// `taken_by`: null for a free name, else the file that it comes from, empty for t3d itself.
  void check_name(const std::string& family, const std::string& name, const std::string* taken_by) const;

  std::string file_;
  std::vector<std::function<void()>> undo_;
};

/// Loads the shared object `file` and registers its types for the rest of the process; nothing for one that
/// is loaded already. `libtorch` is the version that this program was compiled against (TORCH_VERSION). What
/// it was built for is read from the file before any of its code runs. Throws SystemError for a file that is
/// not there, and UserError, which names the file and what to do, for one that is no shared object, registers
/// no types, was built for another T3D_API_VERSION or LibTorch, cannot be linked, takes a name that is taken,
/// or throws; none of its types is registered then. Not to be called while another thread reads the tables.
void load_plugin(const std::string& file, const std::string& libtorch);

/// The absolute paths of those that are loaded, in their order.
std::vector<std::string> loaded_plugins();

}  // namespace t3d
