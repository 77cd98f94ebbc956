#include "t3d/io/write_3mf.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "t3d/core/error.h"
#include "t3d/io/weld.h"
#include "t3d/io/zip_writer.h"
#include "t3d/math/srgb.h"

namespace t3d::io {
namespace {

constexpr const char* kXml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr const char* kContentTypes =
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
    "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
    "<Default Extension=\"model\" ContentType=\"application/vnd.ms-package.3dmanufacturing-3dmodel+xml\"/>"
    "</Types>\n";
constexpr const char* kRelationships =
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">"
    "<Relationship Target=\"/3D/3dmodel.model\" Id=\"model\" "
    "Type=\"http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel\"/></Relationships>\n";
constexpr const char* kModel =
    "<model unit=\"millimeter\" xml:lang=\"en-US\" "
    "xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\" "
    "xmlns:m=\"http://schemas.microsoft.com/3dmanufacturing/material/2015/02\">\n"
    "<metadata name=\"Application\">t3d</metadata>\n";

template <class T>
void add_number(std::string& out, const char* name, T value) {
  char text[32];
  out += name;
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  out += '"';
}

/// #RRGGBB of an sRGB colour.
std::string hex(const Vec3f& srgb) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string out = "#";
  for (int c = 0; c < 3; ++c) {
    const auto byte = static_cast<unsigned>(std::lround(255 * std::clamp(srgb[c], 0.0f, 1.0f)));
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '&'   ? "&amp;"
           : c == '<' ? "&lt;"
           : c == '>' ? "&gt;"
           : c == '"' ? "&quot;"
                      : std::string(1, c);
  return out;
}

constexpr const char* kLooks = "1";  // id of the colours or materials
constexpr const char* kObject = "2";

/// Number of each vertex' colour in the group, whose XML is added to `out`; empty without colours.
std::vector<uint32_t> add_colours(std::string& out, const Mesh& mesh) {
  std::vector<uint32_t> numbers;
  if (mesh.colours.empty()) return numbers;
  std::map<std::string, uint32_t> known;
  out += cat("<m:colorgroup id=\"", kLooks, "\">");
  for (const Vec3f& colour : mesh.colours) {
    const auto [place, is_new] = known.emplace(hex(colour), static_cast<uint32_t>(known.size()));
    if (is_new) out += "<m:color color=\"" + place->first + "\"/>";
    numbers.push_back(place->second);
  }
  out += "</m:colorgroup>\n";
  return numbers;
}

void add_materials(std::string& out, const Mesh& mesh) {
  out += cat("<basematerials id=\"", kLooks, "\">");
  for (size_t i = 0; i < mesh.materials.size(); ++i) {
    const Material& m = mesh.materials[i];
    const Vec3f light = m.base_colour.cwiseMax(0).cwiseMin(1);
    const Vec3f colour(srgb_from_linear(light.x()), srgb_from_linear(light.y()), srgb_from_linear(light.z()));
    out += "<base name=\"" + escaped(m.name.empty() ? cat("material ", i) : m.name) + "\" displaycolor=\"" +
           hex(colour) + "\"/>";
  }
  out += "</basematerials>\n";
}

/// Returns the number of triangles.
size_t add_triangles(std::string& out, const Mesh& mesh, const WeldedVertices& places,
                     const std::vector<uint32_t>& colours) {
  size_t n = 0;
  out += "<triangles>\n";
  for (size_t f = 0; f < mesh.faces.size(); ++f) {
    std::array<uint32_t, 3> v;
    for (size_t c = 0; c < 3; ++c) v[c] = places.number[mesh.faces[f][c]];
    if (v[0] == v[1] || v[1] == v[2] || v[2] == v[0]) continue;
    ++n;
    out += "<triangle";
    const char* corners[] = {" v1=\"", " v2=\"", " v3=\""};
    for (size_t c = 0; c < 3; ++c) add_number(out, corners[c], v[c]);
    const char* looks[] = {" p1=\"", " p2=\"", " p3=\""};
    if (!colours.empty()) {
      out += cat(" pid=\"", kLooks, "\"");
      for (size_t c = 0; c < 3; ++c) add_number(out, looks[c], colours[mesh.faces[f][c]]);
    } else if (!mesh.face_material.empty()) {
      out += cat(" pid=\"", kLooks, "\"");
      add_number(out, looks[0], std::min<size_t>(mesh.face_material[f], mesh.materials.size() - 1));
    }
    out += "/>\n";
  }
  out += "</triangles>\n";
  return n;
}

}  // namespace

std::string three_mf_bytes(const Mesh& mesh, const std::string& path) {
  std::string model = kXml;
  model.reserve(mesh.positions.size() * 60 + mesh.faces.size() * 90 + 4096);
  model += cat(kModel, "<resources>\n");
  const std::vector<uint32_t> colours = add_colours(model, mesh);
  const bool has_looks = !colours.empty() || !mesh.materials.empty();
  if (colours.empty() && has_looks) add_materials(model, mesh);
  model += cat("<object id=\"", kObject, "\" type=\"model\"",
               has_looks ? cat(" pid=\"", kLooks, "\" pindex=\"0\"") : "", ">\n<mesh>\n<vertices>\n");
  const WeldedVertices places = weld(mesh.positions);
  for (const uint32_t v : places.first) {
    model += "<vertex";
    const char* axes[] = {" x=\"", " y=\"", " z=\""};
    for (int axis = 0; axis < 3; ++axis) add_number(model, axes[axis], mesh.positions[v][axis] + 0.0f);
    model += "/>\n";
  }
  model += "</vertices>\n";
  if (add_triangles(model, mesh, places, colours) == 0)
    throw UserError(cat(path, ": no triangle of the mesh has an area; there is nothing to write."));
  model += cat("</mesh>\n</object>\n</resources>\n<build>\n<item objectid=\"", kObject,
               "\" transform=\"1 0 0 0 1 0 0 0 1");
  const Vec3f low = mesh.bounds().min;
  for (int axis = 0; axis < 3; ++axis) {
    char text[32];
    model += ' ';
    model.append(text, std::to_chars(text, text + sizeof text, 0.0f - low[axis]).ptr);
  }
  model += "\"/>\n</build>\n</model>\n";
  ZipWriter zip;
  zip.add("[Content_Types].xml", cat(kXml, kContentTypes));
  zip.add("_rels/.rels", cat(kXml, kRelationships));
  zip.add("3D/3dmodel.model", model);
  return zip.finish();
}

}  // namespace t3d::io
