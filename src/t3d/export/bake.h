#pragma once

#include "t3d/export/surface_maps.h"
#include "t3d/io/image.h"
#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// The colours of a surface as a square texture for the mesh's own texture coordinates, [size,size] RGB:
/// every texel whose centre lies in a face is asked for at its point of the surface, with the interpolated
/// normal. The others are filled from their neighbours, near ones first (push-pull, Gortler et al. 1996,
/// https://doi.org/10.1145/237170.237200), so that filtering and mip maps find no foreign colour at seams.
io::Image8 bake_colours(const io::Mesh& mesh, const ColourOf& colour_of, int size);

}  // namespace t3d::export_
