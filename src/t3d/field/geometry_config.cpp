#include "t3d/field/geometry_config.h"

namespace t3d::field {

config::Node default_position_encoding() {
  config::Node n;
  n.set("otype", config::Node(std::string("HashGrid")));
  n.set("n_levels", config::Node(int64_t{16}));
  n.set("n_features_per_level", config::Node(int64_t{2}));
  n.set("log2_hashmap_size", config::Node(int64_t{19}));
  n.set("base_resolution", config::Node(int64_t{16}));
  n.set("per_level_scale", config::Node(1.447269237440378));
  return n;
}

config::Node default_network() {
  config::Node n;
  n.set("otype", config::Node(std::string("VanillaMLP")));
  n.set("activation", config::Node(std::string("ReLU")));
  n.set("output_activation", config::Node(std::string("none")));
  n.set("n_neurons", config::Node(int64_t{64}));
  n.set("n_hidden_layers", config::Node(int64_t{1}));
  return n;
}

}  // namespace t3d::field
