#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>

#include "t3d/core/config/node.h"
#include "t3d/field/geometry_config.h"
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

/// A mesh file, moved so that the mean of its vertices is the origin, scaled so that its
/// largest coordinate is `scale`, and turned so that the file's axes `up` and `front` ("+z", "-x", ...) come
/// to +z and +x. Coordinates are read as they stand in the file, textures are not. Throws UserError or
/// SystemError.
io::Mesh read_shape_mesh(const std::string& path, float scale, const std::string& up,
                         const std::string& front);
/// The distance to it.
ShapeFunction mesh_shape(const std::string& path, float scale, const std::string& up,
                         const std::string& front);

/// What shape_init "mesh:PATH" names, with the keys beside it; empty for another shape. UserError where
/// shape_init_params is not the mesh's size.
std::optional<io::Mesh> initial_mesh(const ShapeInitConfig& config);
/// The shape that shape_init names. Throws UserError for what is unknown, and what reading a mesh throws.
ShapeFunction initial_shape(const ShapeInitConfig& config);
/// Throws what initial_shape throws without reading a file.
void check_initial_shape(const ShapeInitConfig& config);

}  // namespace t3d::field
