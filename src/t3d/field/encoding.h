#pragma once

#include <memory>
#include <optional>

#include "t3d/core/registry.h"
#include "t3d/field/component.h"

namespace t3d::field {

/// Features of a position or direction: threestudio's pos_encoding_config and dir_encoding_config.
class Encoding : public Component {
 public:
  virtual int n_outputs() const = 0;
  /// x [N,D] in [0,1] (not clamped), float. Returns [N,n_outputs()]; differentiable in x and the parameters,
  /// twice in x.
  virtual at::Tensor operator()(const at::Tensor& x) const = 0;
  /// Cells along [0,1] of the finest level that is open now; nothing where levels do not open with the steps.
  virtual std::optional<double> progressive_resolution() const { return std::nullopt; }
};

/// The table of encodings by `otype`; the int is the number of input dimensions D.
using EncodingRegistry = Registry<Encoding, int, const BuildContext&>;
EncodingRegistry& encodings();

/// From a block that holds `otype`, the encoding's own keys and, if wanted, `include_xyz: true`, which puts
/// 2x-1 in front of the features. tiny-cuda-nn's names are accepted in any case. Throws UserError.
std::unique_ptr<Encoding> make_encoding(int n_dims, const config::Node& block, const std::string& path,
                                        const BuildContext& context);

/// The block without `keys`, for parts whose own keys are read elsewhere.
config::Node without_keys(const config::Node& block, const std::vector<std::string>& keys);
/// The text of `otype`. Throws UserError when it is missing.
std::string read_otype(const config::Node& block, const std::string& path);

}  // namespace t3d::field
