#pragma once

#include <cstddef>
#include <functional>

#include "t3d/io/mesh.h"
#include "t3d/math/vec.h"

namespace t3d::export_ {

/// A number for each point.
using ValueOf = std::function<void(size_t n, const Vec3f* points, float* values)>;

/// A field as an exporter sees it. All functions are called with up to about 100,000 points.
struct FieldSampler {
  /// Densities, 1 per unit of length. Not finite counts as empty.
  ValueOf density;
  /// Where the field knows its surface: the depth below it, negative outside, near it about the distance.
  /// Asked instead of the density. Not finite counts as outside.
  ValueOf depth = {};
};

struct SurfaceOptions {
  Box3f box{Vec3f::Constant(-1), Vec3f::Constant(1)};  ///< where the field is
  int resolution = 160;       ///< samples along the longest side of what is found in it
  float threshold = 0;        ///< density of the surface; 0: where rays see one, see seen_surface.h
  int n_blurs = 1;            ///< passes over the samples: what rays average out would show as grain
  double small_part = 0.02;   ///< smaller parts are left out: see remove_small_parts
  bool keep_hollows = false;  ///< walls of hollows inside the matter
  int n_smoothings = 3;       ///< passes over the mesh
  size_t n_faces = 60000;     ///< what is left after decimation, at most; 0: all
  float max_error = 0.005f;   ///< of decimation, as a share of the longest side
};

/// A surface with normals; closed, in the field's coordinates.
struct FieldSurface {
  io::Mesh mesh;
  Box3f box;  ///< where it was looked for closely
};

/// Cuts a field: samples the box at half the resolution, finds the part of the box that has
/// a surface, samples that part, extracts, cleans, smooths and decimates. Where the sampler has depths, the
/// surface is their zero, nothing is blurred, and `threshold` is not used.
///
/// The mesh is never empty and never the box itself: when the field has no surface, or fills its box, a
/// UserError says so and what to change.
FieldSurface cut_field(const FieldSampler& sampler, const SurfaceOptions& options = {});

}  // namespace t3d::export_
