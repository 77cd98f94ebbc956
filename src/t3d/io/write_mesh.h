#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

struct WriteMeshOptions {
  bool jpeg = false;         ///< the texture beside an OBJ as JPEG of quality 95 instead of PNG
  std::string texture_name;  ///< of the texture's file; empty: the mesh's name
};

/// Writes a mesh as OBJ, PLY or GLB by the path's ending. The file appears whole or not at all and is
/// compared with what was meant once it is there.
///
///   .obj   text; `v x y z r g b` with vertex colours, vn, vt (when present), f. Axes as in the mesh (z up).
///   .ply   binary little-endian; x y z, nx ny nz, red green blue (uchar). Axes as in the mesh (z up).
///   .glb   glTF 2.0; POSITION with min and max, NORMAL, TEXCOORD_0, COLOR_0. glTF is y up with the front
///   along
///          +z, so (x, y, z) becomes (y, z, x); its vertex colours are linear, so sRGB is taken out (16 bits
///          each). A mesh without colours takes its first material's.
///
/// Colours are sRGB in [0,1] in OBJ and PLY. A mesh with texture coordinates and one material with a texture
/// (only_texture) keeps it in OBJ and GLB, instead of its colours: a GLB holds the picture as PNG; beside
/// NAME.obj stand NAME.mtl and NAME.png, which are there before the OBJ is. Other materials and textures are
/// not written.
/// Throws UserError (unknown ending, attributes that do not fit, numbers that are not finite, nothing to
/// write) and SystemError (disk).
void write_mesh(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options = {});

}  // namespace t3d::io
