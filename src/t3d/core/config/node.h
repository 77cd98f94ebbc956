#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace t3d::config {

/// Where a value was written: "prolificdreamer.yaml:12:5", or "override 'system.loss.lambda_sds=1'".
struct Origin {
  std::string source;  ///< file name, or the override's text
  int line = 0;        ///< 1-based; 0: not from a file
  int column = 0;      ///< 1-based

  std::string text() const;
};

/// A value of a configuration: null, bool, int64, double, string, list, or mapping in the order of the file.
/// `???` (mandatory) is the string "???"; see is_mandatory.
class Node {
 public:
  using List = std::vector<Node>;
  using Entry = std::pair<std::string, Node>;
  using Map = std::vector<Entry>;
  using Value = std::variant<std::monostate, bool, int64_t, double, std::string, List, Map>;

  Node() = default;
  Node(Value v, Origin o = {}) : value(std::move(v)), origin(std::move(o)) {}

  Value value;
  Origin origin;

  bool is_null() const { return value.index() == 0; }
  bool is_bool() const { return value.index() == 1; }
  bool is_int() const { return value.index() == 2; }
  bool is_float() const { return value.index() == 3; }
  bool is_string() const { return value.index() == 4; }
  bool is_list() const { return value.index() == 5; }
  bool is_map() const { return value.index() == 6; }
  bool is_mandatory() const;

  const List& list() const { return std::get<List>(value); }
  List& list() { return std::get<List>(value); }
  const Map& map() const { return std::get<Map>(value); }
  Map& map() { return std::get<Map>(value); }

  /// The mapping's entry, or nullptr; nullptr too where this is no mapping.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);

  /// Replaces the entry, or appends it. A node that is not a mapping becomes one.
  Node& set(std::string_view key, Node node);

  /// "an int", "a list", ... for messages.
  const char* kind_name() const;
};

/// Equal values; an int never equals a float, and origins do not count.
bool operator==(const Node& a, const Node& b);
inline bool operator!=(const Node& a, const Node& b) {
  return !(a == b);
}

}  // namespace t3d::config
