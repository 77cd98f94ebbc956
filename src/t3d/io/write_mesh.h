#pragma once

#include <string>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::io {

struct WriteMeshOptions {
  bool jpeg = false;         ///< the images beside an OBJ as JPEG of quality 95 instead of PNG
  std::string texture_name;  ///< of the base colour's image beside an OBJ; empty: the mesh's name
  bool is_z_up = true;       ///< what comments in OBJ and PLY say of the axes
};

/// Writes a mesh as GLB, OBJ, PLY, STL or 3MF by the path's ending. The file appears whole or not at all and
/// is compared with what was meant once it is there. Returns its path, and those of the files beside it.
///
///   .glb   glTF 2.0; POSITION with min and max, NORMAL, TEXCOORD_n, COLOR_0, one primitive for each
///          material in use, images as PNG (write_glb_materials.h). glTF is y up with the front along +z, so
///          (x, y, z) becomes (y, z, x); its vertex colours are linear, so sRGB is taken out (16 bits each).
///   .obj   text; `v x y z r g b` with vertex colours, vn, vt (when present), f. Axes as in the mesh (z up).
///          Beside NAME.obj stand NAME.mtl and images (write_mtl.h), which are there before the OBJ is.
///   .ply   binary little-endian; x y z, nx ny nz, s t, red green blue (uchar). Axes as in the mesh (z up).
///   .stl   binary; the shape alone (write_stl.h). Axes as in the mesh (z up).
///   .3mf   the shape, with colours of vertices or materials (write_3mf.h). Axes as in the mesh (z up).
///
/// Colours are sRGB in [0,1] in OBJ and PLY. Where materials have textures, GLB and OBJ have those; a mesh
/// with vertex colours and no texture has its colours alone, whatever its materials say.
/// Throws UserError (unknown ending, attributes that do not fit, numbers that are not finite, nothing to
/// write) and SystemError (disk).
std::vector<std::string> write_mesh(const std::string& path, const Mesh& mesh,
                                    const WriteMeshOptions& options = {});

}  // namespace t3d::io
