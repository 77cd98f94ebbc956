#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/io/polygon_mesh.h"

namespace t3d::io::obj {

/// What an OBJ text says, materials by name.
struct ObjFile {
  PolygonMesh mesh;                    // without materials; face_material indexes `materials`
  std::vector<std::string> materials;  // named by usemtl, in order; "" for faces before any
  std::vector<std::string> libraries;  // what stands behind each mtllib, as written
  int64_t n_skipped = 0;               // faces that point past the vertices
  int64_t n_weighted = 0;              // "v x y z w" with a w other than 1: divided by it
  int64_t n_odd = 0;                   // vertices with a number of numbers that means nothing
  bool has_vertex_alpha = false;       // a colour's alpha other than 1
  bool has_curves = false;             // free-form surfaces, which are not read
};

/// Reads `v` (with colours as three or four numbers behind the position, 0 to 1 or 0 to 255, or as ZBrush's
/// #MRGB), `vt`, `vn`, `f`, `usemtl`, `mtllib`. Indices may be negative. `text` is UTF-8. Throws UserError
/// "name:line:column: ..." for a face that points past what is defined (counted and left out with `skip`) and
/// for a vertex that is not made of numbers.
ObjFile parse_obj(std::string_view text, const std::string& name, bool skip);

}  // namespace t3d::io::obj
