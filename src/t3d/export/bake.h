#pragma once

#include <functional>
#include <map>
#include <string>

#include "t3d/export/surface_maps.h"
#include "t3d/io/image.h"
#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// The maps of a surface as square textures for the mesh's own texture coordinates, `size` texels a side and
/// as many channels as the map has: every texel whose centre lies in a face is asked for at its point of the
/// surface, with the interpolated normal. The others are filled from their neighbours, near ones first
/// (push-pull, Gortler et al. 1996, https://doi.org/10.1145/237170.237200), so that filtering and mip maps
/// find no foreign colour at seams. The mesh has normals and texture coordinates.
std::map<std::string, io::Image8> bake_maps(const io::Mesh& mesh, const MapsOf& maps_of, int size);

/// The albedo alone; white where there is none.
io::Image8 bake_colours(const io::Mesh& mesh, const ColourOf& colour_of, int size);

/// Puts an RGB image with the mesh's textures, opaque. Returns its number there.
int add_texture(io::Mesh& mesh, const io::Image8& rgb);

/// Fills in unit normals at points of a mesh's surface, given its own unit normals there.
using NormalOf = std::function<void(size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* answers)>;

/// Normals in tangent space as (n + 1)/2, RGB: x along growing u, y along growing v, both made orthogonal to
/// the interpolated normal as in Mikkelsen's tangent space (vertex_tangents.h).
io::Image8 bake_normals(const io::Mesh& mesh, const NormalOf& normal_of, int size);

}  // namespace t3d::export_
