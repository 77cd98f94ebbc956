#include "t3d/core/config/overrides.h"

#include <algorithm>

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

bool is_null_word(const std::string& text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

/// As it was written; without the quotes where one pair holds all of it.
Node text_value(const std::string& text, KeyKind kind, const std::string& name) {
  if (kind == KeyKind::TextOrNull && is_null_word(text)) return Node();
  const bool has_quotes =
      text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  if (has_quotes) {
    try {
      Node inner = read_yaml(text, name);
      if (inner.is_string()) return inner;
    } catch (const UserError&) {
      // quotes that belong to the text
    }
  }
  return Node(text);
}

}  // namespace

KeyKind kind_of(const std::vector<FieldInfo>& fields, const std::string& path) {
  const size_t dot = std::min(path.find('.'), path.size());
  const std::string key = path.substr(0, dot);
  for (const FieldInfo& field : fields) {
    if (field.name != key) continue;
    if (dot < path.size()) return kind_of(field.fields, path.substr(dot + 1));
    return field.type == "str"        ? KeyKind::Text
           : field.type == "str|null" ? KeyKind::TextOrNull
                                      : KeyKind::Yaml;
  }
  return KeyKind::Yaml;
}

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

void apply_override(Node& root, const std::string& text, const KeyKinds& kinds) {
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals), name = cat("override '", text, "'");
  const KeyKind kind = kinds ? kinds(root, path) : KeyKind::Yaml;
  Node value;
  if (equals != std::string::npos)
    value = kind == KeyKind::Yaml ? read_yaml(text.substr(equals + 1), name)
                                  : text_value(text.substr(equals + 1), kind, name);
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
