#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "t3d/core/config/node.h"
#include "t3d/io/read_mesh.h"

namespace t3d::field {

/// Signed distances [N,1] of points [N,3]: shapes that a network starts from or aims at.
using ShapeFunction = std::function<at::Tensor(const at::Tensor& points)>;

///   "sphere"     params a radius r:         |x| - r
///   "ellipsoid"  params the half axes abc:  |x / abc| - 1, which is no distance but has its sign
/// Throws UserError, naming `where` ("geometry.sdf_bias"), when kind or params are anything else.
ShapeFunction analytic_shape(const std::string& kind, const config::Node& params, const std::string& where);

/// The distance to a mesh as it stands: MeshDistance, computed on the CPU. At least one triangle.
ShapeFunction distance_to(const io::Mesh& mesh);

/// A mesh file, moved so that the mean of its vertices is the origin. Throws what io::read_mesh throws, and
/// UserError where all vertices are in one place.
io::Mesh read_centred_mesh(const std::string& path, const io::ReadMeshOptions& options);

/// The distance to a mesh that is moved so that the mean of its vertices is the origin, scaled so that its
/// largest coordinate is `scale`, and turned so that the file's axes `up` and `front` ("+z", "-x", ...) come
/// to +z and +x. Coordinates are read as they stand in the file. Throws UserError or SystemError.
ShapeFunction mesh_shape(const std::string& path, float scale, const std::string& up,
                         const std::string& front);

}  // namespace t3d::field
