#include "t3d/field/tet_grid.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/io/npy.h"

namespace t3d::field {
namespace {

constexpr int kLargest = 512;

at::Tensor rows_of(const std::map<std::string, io::NpyArray>& arrays, const std::string& name, int64_t width,
                   const std::string& path) {
  const auto found = arrays.find(name);
  if (found == arrays.end())
    throw UserError(cat(path, ": has no array ", name,
                        "; vertices and indices were expected, as in the grids ",
                        "of threestudio. Remove the file to use a grid of our own."));
  const io::NpyArray& array = found->second;
  if (array.shape.size() != 2 || array.shape[1] != width || array.shape[0] == 0)
    throw UserError(cat(path, ": ", name, " has the shape ", at::IntArrayRef(array.shape), "; [N,", width,
                        "] was expected. Remove the file to use a grid of our own."));
  return at::tensor(at::ArrayRef<double>(array.values), at::kDouble).reshape(array.shape);
}

mesh::TetLattice read_lattice(const std::string& path, int resolution) {
  const auto arrays = io::read_npz(path);
  const at::Tensor vertices = rows_of(arrays, "vertices", 3, path),
                   tets = rows_of(arrays, "indices", 4, path);
  if (!((vertices >= 0) & (vertices <= 1)).all().item<bool>())
    throw UserError(cat(path, ": has vertices outside of [0,1]. Divide them by the grid's size."));
  if (!((tets >= 0) & (tets < vertices.size(0)) & (tets == tets.floor())).all().item<bool>())
    throw UserError(cat(path, ": has tetrahedra of vertices that it does not have; ", vertices.size(0),
                        " are there, counted from 0. Save the grid again."));
  log::info(cat(path, ": a grid of ", counted(tets.size(0), "tetrahedron", "tetrahedra"),
                " for isosurface_resolution ", resolution));
  return mesh::lattice_of(vertices, tets, resolution);
}

}  // namespace

mesh::TetLattice open_tet_lattice(int resolution, c10::Device device, const std::string& folder) {
  const std::string path = cat(folder, "/", resolution, "_tets.npz");
  if (std::filesystem::exists(path)) return read_lattice(path, resolution).to(device);
  if (resolution > kLargest)
    throw UserError(cat("isosurface_resolution is ", resolution, ": tetrahedra are made up to ", kLargest,
                        ", of which there are 96 million. Lower it, or put a grid at ", path, "."));
  if (resolution % 4 != 0)
    log::info(cat("isosurface_resolution ", resolution,
                  ": no multiple of 4, as threestudio's grids are; a grid ",
                  "of our own is used, with the cells of ", (resolution + 3) / 4 * 4,
                  ". Checkpoints of Python programs for it do not fit."));
  return mesh::make_tet_lattice(resolution).to(device);
}

const mesh::TetLattice& TetGrid::operator*() const {
  std::call_once(is_open_, [this] { lattice_ = open_tet_lattice(resolution_, device_); });
  return lattice_;
}

}  // namespace t3d::field
