#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>

#include "t3d/core/interrupt.h"

namespace t3d::field {

/// What every part of a scene is built with.
struct BuildContext {
  uint64_t seed = 0;  ///< decides the first values of the parameters, together with the part's place
  c10::Device device = c10::kCPU;
  RunControl control = {};  ///< of the run that it is built for

  /// The same with another seed, a function of this one and of the part's name.
  BuildContext part(const std::string& name) const;
};

using NamedTensors = std::map<std::string, at::Tensor>;

/// A part of a scene that learns: encodings, networks, geometries, materials, backgrounds. Parameters are
/// leaf tensors that require gradients, named as in threestudio's checkpoints.
class Component {
 public:
  virtual ~Component() = default;

  /// Adds parameters and buffers under `prefix` ("geometry."). The tensors are shared, not copied.
  virtual void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const;

  /// Called before every batch, children first: schedules, masks.
  virtual void update_step(int64_t step);

  NamedTensors parameters() const;
};

/// Marks a tensor as one to learn and returns it.
at::Tensor learned(at::Tensor t);

}  // namespace t3d::field
