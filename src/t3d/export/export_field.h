#pragma once

#include <string>
#include <vector>

#include "t3d/export/field_surface.h"
#include "t3d/export/uv_atlas.h"

namespace t3d::export_ {

struct TextureOptions : AtlasOptions {
  bool jpeg = false;  ///< of the picture beside an OBJ; a GLB always has a PNG in it
};

struct ExportOptions {
  SurfaceOptions surface;
  TextureOptions texture;
};

/// A field as meshes: the same surface with colours at its vertices, and with a texture.
struct MeshExport {
  io::Mesh coloured;  ///< normals, colours
  io::Mesh textured;  ///< normals, texture coordinates, one material with one texture
  AtlasInfo atlas;
};

/// The whole way from a field to meshes that can be written: cut_field, make_atlas, bake_colours. The sampler
/// must have colours. Throws UserError as they do. About 3 s for 160 samples a side, 60,000 faces and 1024
/// texels on two cores, without the time that the sampler takes.
MeshExport export_field(const FieldSampler& sampler, const ExportOptions& options = {});

/// A mesh with normals -> the same surface with an atlas and a baked texture instead of vertex colours.
io::Mesh with_texture(const io::Mesh& mesh, const ColourOf& colour_of, const TextureOptions& options,
                      AtlasInfo* info = nullptr);

/// FOLDER/NAME.glb with the texture in it, and FOLDER/NAME.obj, NAME.mtl and NAME.png (or .jpg). Each file
/// appears whole or not at all, the OBJ last, and is read back. Returns the paths. Throws SystemError.
std::vector<std::string> write_textured(const io::Mesh& textured, const std::string& folder,
                                        const std::string& name, const TextureOptions& options = {});

}  // namespace t3d::export_
