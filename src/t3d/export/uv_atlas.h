#pragma once

#include "t3d/io/mesh.h"

namespace t3d::export_ {

struct AtlasOptions {
  int size = 1024;            ///< texels along a side of the square texture
  int padding = 2;            ///< texels around each chart
  float least_cosine = 0.5f;  ///< between a face's normal and its chart's axis: texels stretch up to 1/this
};

struct AtlasInfo {
  int n_charts = 0;
  float texels_per_unit = 0;  ///< along the mesh's surface, where it faces its chart's axis
  double used = 0;            ///< share of the texture under charts' bounding boxes
};

/// Cuts the surface into charts that each project onto a plane without folding, and packs them into a square:
/// texture coordinates for every corner of every face, no texel in two faces. Charts grow from a seed over
/// neighbours whose normals stay in a cone about the chart's axis (as in Sander et al. 2003, section 3,
/// https://doi.org/10.2312/SGP/SGP03/146-155, with one pass) and that cover no texel of the chart twice; what
/// stays small is joined to a neighbour. Rectangles are turned to their least area and packed by skyline
/// (stb_rect_pack), as large as they fit.
///
/// Vertices on seams are doubled, with their attributes. Throws UserError when the charts cannot be packed
/// into the texture even at a texel each.
AtlasInfo make_atlas(io::Mesh& mesh, const AtlasOptions& options = {});

}  // namespace t3d::export_
