#include "t3d/core/config/node.h"

#include <algorithm>

#include "t3d/core/text.h"

namespace t3d::config {
namespace {

template <class M>
auto find_entry(M& map, std::string_view key) -> decltype(&map.front().second) {
  const auto it = std::find_if(map.begin(), map.end(), [&](const auto& e) { return e.first == key; });
  return it == map.end() ? nullptr : &it->second;
}

}  // namespace

std::string Origin::text() const {
  return line > 0 ? cat(source, ":", line, ":", column) : source;
}

bool Node::is_mandatory() const {
  return is_string() && std::get<std::string>(value) == "???";
}

const Node* Node::find(std::string_view key) const {
  return is_map() ? find_entry(map(), key) : nullptr;
}
Node* Node::find(std::string_view key) {
  return is_map() ? find_entry(map(), key) : nullptr;
}

Node& Node::set(std::string_view key, Node node) {
  if (!is_map()) value = Map{};
  if (Node* old = find(key)) return *old = std::move(node);
  map().emplace_back(std::string(key), std::move(node));
  return map().back().second;
}

const char* Node::kind_name() const {
  static const char* const names[] = {"null",     "a bool", "an int",   "a float",
                                      "a string", "a list", "a mapping"};
  return names[value.index()];
}

bool operator==(const Node& a, const Node& b) {
  return a.value == b.value;
}

}  // namespace t3d::config
