#pragma once

#include <string>

#include "t3d/field/capabilities.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/tet_grid.h"

namespace t3d::field {

/// What a field says at the vertices of a lattice.
struct LatticeValues {
  at::Tensor value;        ///< [N,1]
  at::Tensor deformation;  ///< [N,3], raw; undefined where the lattice stands still
};

/// A surface, and what it was cut from.
struct LatticeSurface {
  mesh::SurfaceMesh mesh;  ///< in the scene's units
  at::Tensor box;          ///< [2,3], where the lattice lies
  at::Tensor level;        ///< [N,1], negative inside
  at::Tensor deformation;  ///< as in LatticeValues
};

/// The surface of a geometry that is a function of points, by marching tetrahedra: threestudio's
/// isosurface().
///
/// With isosurface_coarse_to_fine it is cut twice, the first time, without a graph, in the geometry's box,
/// the second time in the box of what was found there, wider by a tenth on each side.
///
/// Values are computed in chunks without a graph; then those at the ends of edges that the surface crosses
/// once more with one. The other values have no gradient, so that this is the whole gradient, for a tenth of
/// the memory: 128 needs some 20,000 points with a graph, not 277,410.
class ImplicitSurface : public SurfaceField {
 public:
  mesh::SurfaceMesh surface_mesh() const override;
  /// Without a graph, on another lattice than isosurface_resolution's. Throws as surface_mesh.
  LatticeSurface surface_on(const mesh::TetLattice& lattice) const;

 protected:
  enum class Inside { Below, Above };  ///< of the threshold
  ImplicitSurface(const ImplicitConfig& config, c10::Device device, Inside inside);

  /// Of points [N,3] in the scene's units; carries a graph where gradients are on.
  virtual LatticeValues values_at(const at::Tensor& points) const = 0;

 private:
  LatticeValues values_in_chunks(const at::Tensor& points) const;
  LatticeSurface cut(const mesh::TetLattice& lattice) const;
  LatticeSurface cut(const mesh::TetLattice& lattice, const at::Tensor& box) const;
  double threshold_of(const at::Tensor& values) const;
  at::Tensor level_of(const at::Tensor& values, double threshold) const;
  [[noreturn]] void refuse(const at::Tensor& values, double threshold) const;

  ImplicitConfig keys_;
  Inside inside_;
  at::Tensor whole_box_;  // [2,3]
  TetGrid grid_;
  mutable bool has_warned_ = false;
};

/// Points of a lattice, in [0,1], in a box [2,3].
at::Tensor in_box(const at::Tensor& unit, const at::Tensor& box);

/// Warns where a surface is cut off by the lattice's border, so that it is open there, and sets `has_warned`;
/// nothing where that is set. `what_to_do` is the second sentence.
void warn_if_cut_off(const mesh::TetLattice& lattice, const at::Tensor& level, bool& has_warned,
                     const std::string& what_to_do);

}  // namespace t3d::field
