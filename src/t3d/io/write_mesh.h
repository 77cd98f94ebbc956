#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

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
/// Colours are sRGB in [0,1] in OBJ and PLY. Materials and textures beyond that are not written.
/// Throws UserError (unknown ending, attributes that do not fit, numbers that are not finite, nothing to
/// write) and SystemError (disk).
void write_mesh(const std::string& path, const Mesh& mesh);

}  // namespace t3d::io
