#pragma once

#include <vector>

#include "t3d/export/field_surface.h"
#include "t3d/export/marching_cubes.h"

namespace t3d::export_ {

/// Values on a grid, x fastest.
std::vector<float> sample_values(const ValueOf& value_of, const SampleGrid& grid);

/// A field on a grid, x fastest, as the densities whose opacity over one cell is the field's after `n_blurs`
/// passes of (1 2 1)/4 along each axis.
std::vector<float> sample_field(const FieldSampler& sampler, const SampleGrid& grid, int n_blurs);

/// Whether a ray across the whole grid would see anything.
bool has_matter(const std::vector<float>& densities, const SampleGrid& grid);

/// The quantile, 0 to 1, of the values on the border of the grid.
float border_quantile(const std::vector<float>& values, const SampleGrid& grid, double share);

}  // namespace t3d::export_
