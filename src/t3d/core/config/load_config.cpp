#include "t3d/core/config/load_config.h"

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"

namespace t3d::config {

Node load_unresolved(const std::string& path, const std::vector<std::string>& overrides,
                     const KeyKinds& kinds) {
  Node root = read_yaml_file(path);
  if (root.is_null()) root.value = Node::Map{};
  if (!root.is_map())
    throw UserError(cat(path, ": holds ", root.kind_name(), "; expected key: value lines."));
  for (const auto& text : overrides) apply_override(root, text, kinds);
  return root;
}

Node load_config(const std::string& path, const std::vector<std::string>& overrides, const Node& internal,
                 const KeyKinds& kinds) {
  Node root = load_unresolved(path, overrides, kinds);
  if (internal.is_map()) merge(root, internal);
  resolve_interpolations(root);
  return root;
}

}  // namespace t3d::config
