#include "t3d/core/config/overrides.h"

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"

namespace t3d::config {
namespace {

void set_origin(Node& node, const Origin& origin) {
  node.origin = origin;
  if (node.is_list())
    for (Node& item : node.list()) set_origin(item, origin);
  if (node.is_map())
    for (auto& entry : node.map()) set_origin(entry.second, origin);
}

}  // namespace

void merge(Node& into, const Node& from) {
  if (!into.is_map() || !from.is_map()) {
    into = from;
    return;
  }
  for (const auto& [key, value] : from.map()) {
    Node* old = into.find(key);
    if (old != nullptr) {
      merge(*old, value);
    } else {
      into.set(key, value);
    }
  }
}

void apply_override(Node& root, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals), name = cat("override '", text, "'");
  Node value = equals == std::string::npos ? Node() : read_yaml(text.substr(equals + 1), name);
  set_origin(value, {name, 0, 0});
  Node tree;
  Node* at = &tree;
  for (size_t from = 0;;) {
    const size_t dot = path.find('.', from);
    const std::string key = path.substr(from, dot - from);
    if (key.empty()) throw UserError(cat(name, ": a key is empty; write key.path=value."));
    at = &at->set(key, Node(std::monostate{}, {name, 0, 0}));
    if (dot == std::string::npos) break;
    from = dot + 1;
  }
  *at = std::move(value);
  merge(root, tree);
}

}  // namespace t3d::config
