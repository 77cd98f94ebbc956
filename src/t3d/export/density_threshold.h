#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace t3d::export_ {

/// Finds the density at which to cut a radiance field into a mesh. Densities sigma (1 per unit of length) are
/// seen as the opacity of one cell, 1 - exp(-sigma * cell_size), which puts haze near 0 and solid matter near
/// 1 whatever their scale; the cut between the two is Otsu's (1979,
/// https://doi.org/10.1109/TSMC.1979.4310076): the one that leaves the least variance on both sides. Cells
/// below an opacity of 1/256 are empty space and do not count. The cut is kept between opacities 0.05 and
/// 0.9.
class DensityThreshold {
 public:
  explicit DensityThreshold(float cell_size);
  void add(const float* sigma, size_t n);
  /// With too few cells to go by (under 100) the opacity of the cut is 0.5.
  float sigma() const;

 private:
  float cell_size_;
  std::vector<uint64_t> histogram_;
};

}  // namespace t3d::export_
