#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/planned_types.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"
#include "t3d/core/type_aliases.h"

namespace t3d {

/// A registered type as `t3d list` and the reference page show it.
struct TypeInfo {
  std::string name, help;
  std::vector<config::FieldInfo> fields;
  std::string file = {};  ///< the shared object that a user's own type comes from; empty: t3d itself
};

struct FamilyInfo {
  std::string name, help;
  std::vector<TypeInfo> types;
};

/// What T can do, where Base has abilities_of<T>(): a family whose types differ in it.
template <class Base, class T, class = void>
struct TypeAbilities {
  static std::vector<std::string> names() { return {}; }
};
template <class Base, class T>
struct TypeAbilities<Base, T, std::void_t<decltype(Base::template abilities_of<T>())>> {
  static std::vector<std::string> names() { return Base::template abilities_of<T>(); }
};

/// The types of one family by the names that configuration files use. Each family has one table, in one file:
///
///   Registry<Background, BuildContext>& backgrounds() {
///     static Registry<Background, BuildContext> table(
///         "background", "what a ray that hits nothing sees",
///         {entry<SolidColorBackground>("solid-color-background", "one colour"), ...});
///     return table;
///   }
///
/// `entry<T>` needs T::Config with a visit (fields.h) and a constructor T(const T::Config&, Args...). Users'
/// own types are added while the program starts (plugin.h); from then on a table only changes by such a
/// loading.
template <class Base, class... Args>
class Registry {
 public:
  struct Entry {
    std::string name, help;
    std::function<std::unique_ptr<Base>(const config::Node& block, const std::string& path, Args...)> make;
    std::function<std::vector<config::FieldInfo>()> describe;
    std::function<void(const config::Node& block, const std::string& path)> check;
    std::vector<std::string> abilities = {};
    /// T::loss_names(config), where a guidance T has it: the losses that it gives, without "loss_".
    std::function<std::vector<std::string>(const config::Node& block, const std::string& path)> loss_names =
        {};
    std::string file = {};  ///< as in TypeInfo
  };

  /// A name that occurs twice is a BugError.
  Registry(std::string family, std::string help, std::vector<Entry> entries)
      : family_(std::move(family)), help_(std::move(help)), entries_(std::move(entries)) {
    for (size_t i = 0; i < entries_.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        T3D_CHECK(entries_[i].name != entries_[j].name, family_, ": ", entries_[i].name, " is there twice");
  }

  template <class T>
  static Entry entry(std::string name, std::string help) {
    using Config = typename T::Config;
    Entry made{
        std::move(name), std::move(help),
        [](const config::Node& block, const std::string& path, Args... args) {
          return std::unique_ptr<Base>(
              std::make_unique<T>(config::read_struct<Config>(block, path), std::forward<Args>(args)...));
        },
        [] { return config::describe<Config>(); },
        [](const config::Node& block, const std::string& path) { config::read_struct<Config>(block, path); }};
    made.abilities = TypeAbilities<Base, T>::names();
    if constexpr (names_losses<T>::value)
      made.loss_names = [](const config::Node& block, const std::string& path) {
        return T::loss_names(config::read_struct<Config>(block, path));
      };
    return made;
  }

  /// A user's own type; its name is free. Not while another thread uses the table.
  void add(Entry own) {
    T3D_CHECK(find(own.name) == nullptr, family_, ": ", own.name, " is there twice");
    entries_.push_back(std::move(own));
  }
  void remove(const std::string& name) {
    for (size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].name == name)
        return static_cast<void>(entries_.erase(entries_.begin() + static_cast<long>(i)));
  }
  /// Where a type comes from, as in TypeInfo; null for an unknown one.
  const std::string* file_of(const std::string& name) const {
    const Entry* found = find(name);
    return found == nullptr ? nullptr : &found->file;
  }
  /// What T::loss_names says of the block; nothing where the type is unknown or has none.
  std::vector<std::string> loss_names(const std::string& name, const config::Node& block,
                                      const std::string& path) const {
    const Entry* found = find(name);
    return found != nullptr && found->loss_names ? found->loss_names(or_empty(block), path)
                                                 : std::vector<std::string>{};
  }

  bool contains(const std::string& name) const { return find(name) != nullptr; }
  /// The table's own name for `name`, which may be one of type_aliases.h; empty for an unknown one.
  std::string own_name(const std::string& name) const {
    const Entry* found = find(name);
    return found == nullptr ? "" : found->name;
  }

  /// An object of type `name` from its block; an absent block (null) means all defaults. `path` is the
  /// block's place in the configuration. Throws UserError for an unknown name, with the nearest one, and for
  /// a block that does not fit.
  std::unique_ptr<Base> make(const std::string& name, const config::Node& block, const std::string& path,
                             Args... args) const {
    return need(name, block, path).make(or_empty(block), path, std::forward<Args>(args)...);
  }

  /// Throws what make() would throw for the name and the block, and makes nothing.
  void check(const std::string& name, const config::Node& block, const std::string& path) const {
    need(name, block, path).check(or_empty(block), path);
  }

  const std::string& family() const { return family_; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Entry& e : entries_) all.push_back(e.name);
    return all;
  }

  /// The types that can do this.
  std::vector<std::string> names_with(const std::string& ability) const {
    std::vector<std::string> all;
    for (const Entry& e : entries_)
      if (std::find(e.abilities.begin(), e.abilities.end(), ability) != e.abilities.end())
        all.push_back(e.name);
    return all;
  }

  FamilyInfo describe() const {
    FamilyInfo info{family_, help_, {}};
    for (const Entry& e : entries_) info.types.push_back({e.name, e.help, e.describe(), e.file});
    return info;
  }

 private:
  template <class T, class = void>
  struct names_losses : std::false_type {};
  template <class T>
  struct names_losses<T, std::void_t<decltype(T::loss_names(std::declval<const typename T::Config&>()))>>
      : std::true_type {};

  static config::Node or_empty(const config::Node& block) {
    return block.is_null() ? config::Node(config::Node::Map{}, block.origin) : block;
  }
  const Entry* find(const std::string& name) const {
    for (const std::string& each : {name, type_alias(name)})
      for (const Entry& e : entries_)
        if (e.name == each) return &e;
    return nullptr;
  }
  const Entry& need(const std::string& name, const config::Node& block, const std::string& path) const {
    if (const Entry* found = find(name)) return *found;
    const std::string at = block.origin.source.empty() ? "" : block.origin.text() + ": ";
    if (is_planned_type(name))
      throw UserError(cat(at, path, ": the ", family_, " ", name, " is not built yet. See t3d list ", family_,
                          " for those that are."));
    throw UserError(cat(at, path, ": there is no ", family_, " named ", name,
                        end_or_suggestion(name, names()), " See t3d list ", family_,
                        "; a type of your own needs --load FILE.so."));
  }

  std::string family_, help_;
  std::vector<Entry> entries_;
};

}  // namespace t3d
