#pragma once

#include <string>
#include <string_view>

#include "t3d/io/polygon_mesh.h"

namespace t3d::io {

/// An STL, text or binary: what the counts fit decides, since binary ones may begin with "solid", too. Its
/// normals are those of single triangles and are not read. Colours of binary triangles are: VisCAM's (bit 15
/// set) and Materialise's (a header with COLOR=, bit 15 clear). Throws UserError for a file that is broken,
/// cut short or empty.
PolygonMesh parse_stl(std::string_view bytes, const std::string& name);

/// An OFF text: OFF, COFF, NOFF, STOFF and their unions; colours of vertices or faces as whole numbers up to
/// 255 or floats up to 1; the counts may stand on the first line, also without a blank before them. Faces
/// that point past the vertices throw UserError "name:line: ...", or are left out and counted with `skip`; so
/// do counts that the file does not hold, and binary files.
PolygonMesh parse_off(std::string_view text, const std::string& name, bool skip, int64_t& n_skipped);

}  // namespace t3d::io
