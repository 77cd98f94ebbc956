#pragma once

#include <string>
#include <utility>
#include <vector>

#include "t3d/export/mesh_source.h"
#include "t3d/export/uv_atlas.h"

namespace t3d::export_ {

/// ObjMtl and Obj come with a GLB beside them; the others are one file. Stl and ThreeMf are made solid.
enum class MeshFormat { ObjMtl, Obj, Glb, Ply, Stl, ThreeMf };
std::vector<std::pair<MeshFormat, const char*>> enum_names(const MeshFormat*);

struct TextureOptions : AtlasOptions {
  bool jpeg = false;  ///< of the images beside an OBJ; a GLB always has PNGs in it
};

struct ExportOptions {
  SurfaceOptions surface;  ///< of a field
  TextureOptions texture;
  std::vector<MeshFormat> formats = {MeshFormat::ObjMtl};
  bool has_uv = true;       ///< texture coordinates, in OBJ and GLB
  bool has_texture = true;  ///< in ObjMtl and Glb, instead of vertex colours; needs has_uv
  bool obj_has_normals = true;
  std::string name = "mesh";  ///< of the files, without ending
  std::string texture_name;   ///< of the images beside an OBJ, without ending; empty: `name`
};

/// One surface as files want it.
struct MeshExport {
  io::Mesh coloured;  ///< normals, and colours at its vertices where the source has maps
  io::Mesh mapped;    ///< the same with texture coordinates, and a texture instead of the colours; or empty
  AtlasInfo atlas;    ///< of `mapped`
};

/// Cuts the field (cut_field), colours the vertices, makes an atlas and bakes the maps: what the formats need
/// of it. A named density (surface.threshold) at which nothing is left is a warning, and the surface that
/// rays see is taken. Throws UserError as cut_field and make_atlas do. About 3 s for 160 samples a side,
/// 60,000 faces and 1024 texels on two cores, without the time that the source takes.
MeshExport make_meshes(const MeshSource& source, const ExportOptions& options = {});

/// A mesh with normals -> the same surface with baked textures instead of vertex colours and materials, in an
/// atlas unless the mesh has texture coordinates: albedo, metallic and roughness, and bump as normal texture.
io::Mesh with_texture(const io::Mesh& mesh, const MapsOf& maps_of, const TextureOptions& options,
                      AtlasInfo* info = nullptr);

/// The mesh as a body that can be printed (solid.h). What was done to it is a line of the log, and what is
/// still wrong a warning, which begin with the path.
io::Mesh solid_for_print(io::Mesh mesh, const std::string& path);

struct WrittenMesh {
  std::vector<std::string> paths;
  size_t n_vertices = 0, n_faces = 0;  ///< of the first format
  int n_charts = 0;
};

/// The files of options.formats in `folder`, which is made. Each appears whole or not at all, an OBJ after
/// what it names, and is read back. Throws SystemError, and UserError for a mesh that a format cannot hold.
WrittenMesh write_meshes(const MeshExport& meshes, const std::string& folder, const ExportOptions& options);

/// From a field or a surface to files: make_meshes and write_meshes.
WrittenMesh export_mesh(const MeshSource& source, const std::string& folder,
                        const ExportOptions& options = {});

}  // namespace t3d::export_
