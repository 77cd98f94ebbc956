#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <variant>

namespace t3d::field {

/// What is added to a raw density so that training begins with something in the middle of the box:
///   "blob_dreamfusion"      scale * exp(-|x|^2 / (2 std^2))    Poole et al. 2022, DreamFusion, appendix
///   "blob_magic3d", "blob"  scale * (1 - |x| / std)            Lin et al. 2022, Magic3D
///   a number                that number
struct DensityBias {
  std::variant<float, std::string> kind;
  float scale, std;

  /// points [N,3]; returns [N,1].
  at::Tensor operator()(const at::Tensor& points) const;
  /// Throws UserError, naming `where`, when `kind` is none of the above.
  void check(const std::string& where) const;
};

}  // namespace t3d::field
