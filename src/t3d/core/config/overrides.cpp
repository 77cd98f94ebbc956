#include "t3d/core/config/overrides.h"

#include <algorithm>

#include "t3d/core/config/paths.h"
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
  const std::vector<FieldInfo>* at = &fields;
  std::string type;
  for (const std::string& key : split_path(path)) {
    const auto field =
        std::find_if(at->begin(), at->end(), [&](const FieldInfo& f) { return f.name == key; });
    if (field == at->end()) return KeyKind::Yaml;
    type = field->type, at = &field->fields;
  }
  return type == "str" ? KeyKind::Text : type == "str|null" ? KeyKind::TextOrNull : KeyKind::Yaml;
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
  if (path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos)
    throw UserError(cat(name, ": a key is empty; write key.path=value."));
  Node tree(Node::Map{}, {name, 0, 0});
  set_at(tree, path, std::move(value));
  merge(root, tree);
}

}  // namespace t3d::config
