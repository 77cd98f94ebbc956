#include "t3d/core/config/paths.h"

#include <algorithm>
#include <cctype>

#include "t3d/core/error.h"

namespace t3d::config {

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  std::string key;
  const auto end_key = [&] {
    if (!key.empty()) parts.push_back(key);
    key.clear();
  };
  for (const char c : path) {
    if (c == '.' || c == '[' || c == ']') {
      end_key();
    } else {
      key += c;
    }
  }
  end_key();
  return parts;
}

std::string path_text(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& key : parts) out += (out.empty() ? "" : ".") + key;
  return out;
}

const Node* child_of(const Node& node, const std::string& key) {
  if (node.is_map()) return node.find(key);
  if (!node.is_list() || key.empty() || key.size() > 9) return nullptr;
  if (!std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isdigit(c); })) return nullptr;
  const size_t index = std::stoul(key);
  return index < node.list().size() ? &node.list()[index] : nullptr;
}

const Node* find_at(const Node& root, const std::string& path) {
  const Node* at = &root;
  for (const std::string& key : split_path(path)) {
    at = child_of(*at, key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

Node& set_at(Node& root, const std::string& path, Node value) {
  const std::vector<std::string> parts = split_path(path);
  T3D_CHECK(!parts.empty(), "an empty path");
  Node* at = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    Node* next = at->find(parts[i]);
    at = next != nullptr ? next : &at->set(parts[i], Node(Node::Map{}, value.origin));
  }
  return at->set(parts.back(), std::move(value));
}

}  // namespace t3d::config
