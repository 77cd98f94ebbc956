#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace t3d::raster {

enum class TextureFilter {
  Nearest,              ///< the texel that the place lies in
  Linear,               ///< between the four around it
  LinearMipmapNearest,  ///< the same on the level whose texels are nearest in size to a pixel
  LinearMipmapLinear,   ///< the same between two levels
};

enum class TextureBoundary {
  Wrap,   ///< repeated
  Clamp,  ///< the outermost texels go on
  Zero,   ///< nothing there
  Cube,   ///< six faces seen from their middle: cube_map.h
};

struct TextureOptions {
  TextureFilter filter = TextureFilter::Linear;
  TextureBoundary boundary = TextureBoundary::Wrap;
  std::optional<int> max_mip_level;  ///< the coarsest level that is made; none: down to a single texel
};

/// Looks up a texture, with gradients to everything that it is given. The contract of nvdiffrast's texture():
/// Laine et al. 2020, "Modular primitives for high-performance differentiable rendering", arXiv:2011.03277,
/// section 3.5.
///
///   tex             [1 or B,Ht,Wt,C], or [1 or B,6,N,N,C] for a cube; the first row is at v = 0
///   uv              [B,H,W,2], texel (row, column) has its centre at ((column + 0.5)/Wt, (row + 0.5)/Ht);
///                   [B,H,W,3] directions of any length for a cube
///   uv_da           [B,H,W,4] du/dX, du/dY, dv/dX, dv/dY, X and Y in pixels; [B,H,W,6] for a cube. Or
///   undefined mip_level_bias  [B,H,W], is added to the level that uv_da asks for (0 without it). Or
///   undefined mips            levels 1, 2, ... in place of those of texture_mips(), each half as large as
///   the one before returns         [B,H,W,C]
///
/// Float or double, all on one device. Level of detail: with J the 2x2 derivative of the place in texels by
/// the pixel, log2 of the longer half-axis of the ellipse that J makes of a circle, which is half of log2 of
/// the larger eigenvalue of J^T J; plus the bias; clamped to the levels that there are. A place that is not
/// finite, or a direction of length zero, gives 0.
///
/// The result and its gradients are the same for any number of threads; on CUDA the gradient to the texture
/// is summed in the order that comes. Throws BugError for shapes that do not fit, UserError for a texture of
/// an odd size where a coarser level of it is needed.
at::Tensor texture(const at::Tensor& tex, const at::Tensor& uv, const TextureOptions& options = {},
                   const at::Tensor& uv_da = {}, const at::Tensor& mip_level_bias = {},
                   const std::vector<at::Tensor>& mips = {});

/// Levels 1, 2, ... of a texture [..,H,W,C]: each texel is the mean of 2x2 (of 2x1 where a side is 1) of the
/// level before, down to 1x1 or to level `max_level`. Throws UserError where a side is odd and not 1.
std::vector<at::Tensor> texture_mips(const at::Tensor& tex, std::optional<int> max_level = {});

}  // namespace t3d::raster
