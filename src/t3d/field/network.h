#pragma once

#include <memory>

#include "t3d/core/registry.h"
#include "t3d/field/component.h"

namespace t3d::field {

/// A small network from encoded positions to outputs: threestudio's mlp_network_config.
class Network : public Component {
 public:
  virtual int n_outputs() const = 0;
  /// x [N,n_inputs] float. Returns [N,n_outputs()]; differentiable twice.
  virtual at::Tensor operator()(const at::Tensor& x) const = 0;
};

/// The table of networks by `otype`; the ints are the numbers of inputs and outputs.
using NetworkRegistry = Registry<Network, int, int, const BuildContext&>;
NetworkRegistry& networks();

/// From a block that holds `otype` and the network's keys. Throws UserError.
std::unique_ptr<Network> make_network(int n_in, int n_out, const config::Node& block, const std::string& path,
                                      const BuildContext& context);

}  // namespace t3d::field
