#include <algorithm>
#include <cctype>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/io/parse_stl_off.h"
#include "t3d/io/text_lines.h"

namespace t3d::io {
namespace {

constexpr size_t kHeader = 84, kFacet = 50;

template <class T>
T little(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

Vec3f colour_of_5_bits(int first, int second, int third) {
  return Vec3f(static_cast<float>(first), static_cast<float>(second), static_cast<float>(third)) / 31.0f;
}

/// Materialise's header holds the colour of facets without one of their own.
bool default_colour(std::string_view header, Vec3f& colour) {
  const size_t at = header.find("COLOR=");
  if (at == std::string_view::npos || at + 10 > header.size()) return false;
  for (size_t i = 0; i < 3; ++i)
    colour[static_cast<int>(i)] = static_cast<float>(static_cast<uint8_t>(header[at + 6 + i])) / 255.0f;
  return true;
}

PolygonMesh parse_binary(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kHeader)
    throw UserError(cat(name, ": the file is shorter than the header of an STL. Export the mesh again."));
  const auto n = little<uint32_t>(bytes, 80);
  if (n == 0) throw UserError(cat(name, ": it holds no face. Export the mesh again, with faces."));
  if (n > (bytes.size() - kHeader) / kFacet)
    throw UserError(cat(name, ": the header promises ", n, " triangles but the file has only ", bytes.size(),
                        " bytes; it was cut short, or is no STL. Copy or export it again."));
  PolygonMesh mesh;
  Vec3f usual;
  const bool is_materialise = default_colour(bytes.substr(0, 80), usual);
  bool has_own_colour = false;
  std::vector<Vec3f> colours;
  mesh.positions.reserve(size_t{3} * n);
  mesh.corners.reserve(size_t{3} * n);
  mesh.ends.reserve(n);
  for (uint32_t f = 0; f < n; ++f) {
    const size_t at = kHeader + size_t{f} * kFacet;
    for (size_t corner = 0; corner < 3; ++corner) {
      Vec3f p;
      for (size_t axis = 0; axis < 3; ++axis)
        p[static_cast<int>(axis)] = little<float>(bytes, at + 12 + 12 * corner + 4 * axis);
      mesh.corners.push_back({static_cast<uint32_t>(mesh.positions.size())});
      mesh.positions.push_back(p);
    }
    mesh.end_face();
    const auto word = little<uint16_t>(bytes, at + 48);
    const int low = word & 31, middle = word >> 5 & 31, high = word >> 10 & 31;
    const bool is_marked = (word & 0x8000) != 0;
    if (is_materialise) {
      colours.push_back(is_marked ? usual : colour_of_5_bits(low, middle, high));
      has_own_colour = has_own_colour || (!is_marked && word != 0);
    } else {
      colours.push_back(is_marked ? colour_of_5_bits(high, middle, low) : no_colour());
      has_own_colour = has_own_colour || is_marked;
    }
  }
  if (has_own_colour) mesh.face_colours = std::move(colours);
  // Nothing but zeros: the writer set one colour in the header and none of a triangle.
  if (!has_own_colour && is_materialise) mesh.face_colours.assign(n, usual);
  return mesh;
}

PolygonMesh parse_text(std::string_view text, const std::string& name) {
  PolygonMesh mesh;
  TextLines lines(text);
  const auto fail = [&](const std::string& what) {
    throw UserError(cat(name, ":", lines.number, ": ", what, ". Export the mesh again."));
  };
  bool is_whole = true;
  while (lines.next()) {
    Words words(lines.line);
    for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
      const std::string key = lower_case(word);
      if (key == "solid" || key == "endsolid") break;  // a name may follow
      if (key == "vertex") {
        Vec3f p;
        for (int i = 0; i < 3; ++i) {
          const std::string_view number = words.next();
          if (!to_number(number, p[i]))
            fail(cat("'", number.substr(0, 60), "' where a vertex of three numbers is expected"));
        }
        mesh.corners.push_back({static_cast<uint32_t>(mesh.positions.size())});
        mesh.positions.push_back(p);
        is_whole = false;
      } else if (key == "endloop" || key == "endfacet") {
        const size_t begin = mesh.ends.empty() ? 0 : mesh.ends.back();
        if (mesh.corners.size() > begin) mesh.end_face();
        is_whole = true;
      }
    }
  }
  if (!is_whole) fail("the file ends in a facet; it was cut short");
  if (mesh.ends.empty()) throw UserError(cat(name, ": it holds no face. Export the mesh again, with faces."));
  return mesh;
}

}  // namespace

PolygonMesh parse_stl(std::string_view bytes, const std::string& name) {
  const bool fits = bytes.size() >= kHeader && little<uint32_t>(bytes, 80) > 0 &&
                    bytes.size() == kHeader + size_t{little<uint32_t>(bytes, 80)} * kFacet;
  if (fits) return parse_binary(bytes, name);
  const std::string start = lower_case(as_utf8(std::string(bytes.substr(0, 1024))));
  // A text holds no zero bytes; a binary file that does not fit its count has some in any case.
  const bool is_text =
      start.find('\0') == std::string::npos &&
      (start.find("solid") == start.find_first_not_of(" \t\r\n") || start.find("facet") != std::string::npos);
  return is_text ? parse_text(as_utf8(std::string(bytes)), name) : parse_binary(bytes, name);
}

}  // namespace t3d::io
