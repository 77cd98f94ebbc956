#pragma once

#include <memory>

#include "t3d/export/export_mesh.h"
#include "t3d/io/mesh.h"

namespace t3d::export_ {

struct ProcessOptions {
  size_t n_faces = 0;  ///< to which the mesh is decimated; 0: all
  bool makes_uv = false;
  bool bakes_normals = false;
  AtlasOptions atlas;  ///< of makes_uv, with the size of the baked textures
};

/// The size of textures that a mesh needs when its own are baked into one: a power of two from 512 to 2048,
/// at least its largest texture's side; 1024 where it has none.
int baked_texture_size(const io::Mesh& mesh);

/// Anybody's mesh made ready for other tools. Decimated (decimate.h), with an atlas of its own (uv_atlas.h),
/// and with the normals of the mesh before decimation as a normal texture in tangent space. Materials and
/// textures stay where they are valid. A new atlas makes textures invalid: then all materials become one,
/// whose albedo, and metallic and roughness where they differ, are baked anew from the mesh as it was (as
/// is its normal texture), and what is lost of it is said in the log. The mesh has normals.
///
/// Throws UserError where normals are to be baked and there are no texture coordinates, or several materials
/// share them, and where the atlas does not fit.
io::Mesh process_mesh(const std::shared_ptr<const io::Mesh>& mesh, const ProcessOptions& options);

/// The same mesh with the base colours of its materials at its vertices, for formats without textures, unless
/// it has vertex colours and no texture.
void colour_by_materials(io::Mesh& mesh);

}  // namespace t3d::export_
