#pragma once

#include <c10/core/Device.h>

#include <mutex>
#include <string>

#include "t3d/mesh/tet_lattice.h"

namespace t3d::field {

/// The lattice of isosurface_resolution: the file "{resolution}_tets.npz" of `folder` where there is one,
/// with `vertices` [N,3] in [0,1] and `indices` [T,4], else mesh::make_tet_lattice. A file, and a resolution
/// that no shipped grid can have (not divisible by 4), are named in the log. Throws UserError for a file that
/// holds anything else, and for a lattice of our own beyond 512.
mesh::TetLattice open_tet_lattice(int resolution, c10::Device device,
                                  const std::string& folder = "load/tets");

/// One that is opened when it is needed first, by whichever thread.
class TetGrid {
 public:
  TetGrid(int resolution, c10::Device device) : resolution_(resolution), device_(device) {}
  const mesh::TetLattice& operator*() const;
  const mesh::TetLattice* operator->() const { return &**this; }

 private:
  int resolution_;
  c10::Device device_;
  mutable std::once_flag is_open_;
  mutable mesh::TetLattice lattice_;
};

}  // namespace t3d::field
