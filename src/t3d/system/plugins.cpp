#include "t3d/system/plugins.h"

#include <torch/version.h>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/plugin.h"
#include "t3d/core/text_ends.h"

namespace t3d::system {

void load_plugins(const std::vector<std::string>& files) {
  for (const std::string& file : files) load_plugin(file, TORCH_VERSION);
}

void load_plugins_of(const config::Node& root, const std::vector<std::string>& overrides) {
  const std::string key = "plugins";
  config::Node own(config::Node::Map{});
  if (const config::Node* named = root.find(key)) own.set(key, *named);
  for (const std::string& text : overrides)
    if (starts_with(text, key + "=")) config::apply_override(own, text);
  if (const config::Node* named = own.find(key); named != nullptr && !named->is_null())
    load_plugins(config::Codec<std::vector<std::string>>::read(*named, key, config::any()));
}

}  // namespace t3d::system
