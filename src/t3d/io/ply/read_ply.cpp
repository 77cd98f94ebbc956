#include "t3d/io/ply/read_ply.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/mesh_textures.h"
#include "t3d/io/ply/ply_file.h"
#include "t3d/io/text_lines.h"

namespace t3d::io::ply {
namespace {

/// Places of x, y, z or the like, under the first of several namings that is whole; empty: none is.
std::vector<int> find_naming(const Element& element, const std::vector<std::vector<std::string>>& namings) {
  for (const auto& naming : namings) {
    std::vector<int> places;
    for (const std::string& name : naming) {
      const int i = element.index(name);
      if (i >= 0 && !element.properties[static_cast<size_t>(i)].is_list) places.push_back(i);
    }
    if (places.size() == naming.size()) return places;
  }
  return {};
}

const std::vector<std::vector<std::string>>& colour_namings() {
  static const std::vector<std::vector<std::string>> names = {
      {"red", "green", "blue"}, {"diffuse_red", "diffuse_green", "diffuse_blue"}, {"r", "g", "b"}};
  return names;
}

class PlyParser {
 public:
  PlyParser(std::string_view bytes, const std::string& name, bool skip)
      : name_(name), skip_(skip), header_(read_header(bytes, name)), rows_(bytes, header_, name) {}

  PlyMesh parse() {
    refuse_what_is_no_mesh();
    out_.textures = header_.textures;
    for (const Element& element : header_.elements) {
      if (element.name == "vertex") {
        read_vertices(element);
      } else if (element.name == "face" || element.name == "tristrips") {
        read_faces(element);
      } else {
        out_.has_other_uvs = out_.has_other_uvs || element.name.compare(0, 13, "multi_texture") == 0;
        rows_.read(element, {});
      }
    }
    return std::move(out_);
  }

 private:
  PolygonMesh& mesh() { return out_.mesh; }

  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ": ", what, ". Export the mesh again."));
  }

  void refuse_what_is_no_mesh() const {
    const Element* vertex = header_.find("vertex");
    int64_t n_faces = 0;
    for (const char* name : {"face", "tristrips"})
      if (const Element* e = header_.find(name)) n_faces += e->n_rows;
    const bool is_splat = vertex != nullptr && vertex->find("opacity") != nullptr &&
                          vertex->find("scale_0") != nullptr && vertex->find("rot_0") != nullptr;
    const bool is_packed_splat = vertex != nullptr && vertex->find("packed_position") != nullptr;
    if ((is_splat && n_faces == 0) || is_packed_splat)
      throw UserError(cat(name_, ": this is a Gaussian splat (", vertex->n_rows,
                          " gaussians), not a mesh. Export a mesh from the program that trained it."));
    if (vertex == nullptr) fail("it holds no vertices ('element vertex')");
    if (n_faces == 0 && vertex->n_rows > 0)
      throw UserError(
          cat(name_, ": it holds no face: this is a cloud of ", vertex->n_rows,
              " points. Reconstruct a surface from it first, e.g. by screened Poisson in MeshLab."));
    if (n_faces == 0) throw UserError(cat(name_, ": it holds no face. Export the mesh again, with faces."));
  }

  void read_vertices(const Element& element) {
    const auto position = find_naming(element, {{"x", "y", "z"}});
    if (position.empty()) fail("its vertices have no x, y and z");
    const auto normal = find_naming(element, {{"nx", "ny", "nz"}});
    const auto uv = find_naming(
        element,
        {{"s", "t"}, {"u", "v"}, {"texture_u", "texture_v"}, {"texture_s", "texture_t"}, {"s0", "t0"}});
    const auto colour = find_naming(element, colour_namings());
    std::vector<int> wanted = position;
    for (const auto* more : {&normal, &uv, &colour}) wanted.insert(wanted.end(), more->begin(), more->end());
    const std::vector<Column> columns = rows_.read(element, wanted);
    const auto n = static_cast<size_t>(element.n_rows);
    const auto vectors = [&](size_t first, std::vector<Vec3f>& out) {
      out.reserve(n);
      for (size_t i = 0; i < n; ++i)
        out.emplace_back(static_cast<float>(columns[first].values[i]),
                         static_cast<float>(columns[first + 1].values[i]),
                         static_cast<float>(columns[first + 2].values[i]));
    };
    vectors(0, mesh().positions);
    size_t at = 3;
    if (!normal.empty()) vectors(at, mesh().normals), at += 3;
    if (!uv.empty()) {
      for (size_t i = 0; i < n; ++i)
        mesh().uvs.emplace_back(static_cast<float>(columns[at].values[i]),
                                static_cast<float>(columns[at + 1].values[i]));
      at += 2;
    }
    if (!colour.empty()) {
      vectors(at, mesh().colours);
      to_unit_range(mesh().colours, element.properties[static_cast<size_t>(colour[0])].type);
    }
    has_vertex_normals_ = !normal.empty();
    has_vertex_uvs_ = !uv.empty();
  }

  static void to_unit_range(std::vector<Vec3f>& colours, Type type) {
    float range = type == Type::Uint8 || type == Type::Int8 ? 255.0f : 65535.0f;
    if (type != Type::Uint8 &&
        type != Type::Uint16) {  // floats up to 1 or up to 255; int holds 8 bits, mostly
      float largest = 0;
      for (const Vec3f& c : colours)
        if (c.allFinite()) largest = std::max(largest, c.maxCoeff());
      range = largest > 255.0f ? 65535.0f : largest > 1.0f || !is_float(type) ? 255.0f : 1.0f;
    }
    for (Vec3f& c : colours)
      c = c.allFinite() ? Vec3f((c / range).cwiseMax(0.0f).cwiseMin(1.0f)) : no_colour();
  }

  static int list_place(const Element& element, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const int i = element.index(name);
      if (i >= 0 && element.properties[static_cast<size_t>(i)].is_list) return i;
    }
    return -1;
  }

  void read_faces(const Element& element) {
    const int corners = list_place(element, {"vertex_indices", "vertex_index"});
    if (corners < 0) {
      if (element.n_rows > 0) fail(cat("its '", element.name, "' have no list 'vertex_indices'"));
      return;
    }
    const int uvs = list_place(element, {"texcoord", "texcoords"});
    const auto number = find_naming(element, {{"texnumber"}});
    const auto colour = find_naming(element, colour_namings());
    std::vector<int> wanted = {corners};
    if (uvs >= 0) wanted.push_back(uvs);
    for (const auto* more : {&number, &colour}) wanted.insert(wanted.end(), more->begin(), more->end());
    const std::vector<Column> columns = rows_.read(element, wanted);
    size_t at = 1;
    const Column* texcoord = uvs >= 0 ? &columns[at++] : nullptr;
    const Column* texnumber = number.empty() ? nullptr : &columns[at++];
    // Colours of faces say nothing that colours of vertices do not.
    std::vector<Vec3f> colours;
    if (!colour.empty() && mesh().colours.empty()) {
      for (size_t f = 0; f < static_cast<size_t>(element.n_rows); ++f)
        colours.emplace_back(static_cast<float>(columns[at].values[f]),
                             static_cast<float>(columns[at + 1].values[f]),
                             static_cast<float>(columns[at + 2].values[f]));
      to_unit_range(colours, element.properties[static_cast<size_t>(colour[0])].type);
    }
    size_t begin = 0, uv_begin = 0;
    for (size_t f = 0; f < static_cast<size_t>(element.n_rows); ++f) {
      const size_t end = columns[0].ends[f], uv_end = texcoord != nullptr ? texcoord->ends[f] : 0;
      const size_t n_before = mesh().n_faces();
      if (element.name == "tristrips") {
        add_strip(columns[0], begin, end, f);
      } else {
        add_face(columns[0], begin, end, f, texcoord, uv_begin, uv_end);
      }
      for (size_t k = n_before; k < mesh().n_faces(); ++k) {
        const double texture = texnumber != nullptr ? texnumber->values[f] : 0;
        mesh().face_material.push_back(texture > 0 && texture < 65535 ? static_cast<uint16_t>(texture)
                                                                      : uint16_t{0});
        if (!colours.empty()) mesh().face_colours.push_back(colours[f]);
      }
      begin = end, uv_begin = uv_end;
    }
  }

  /// False, counted, for a face that is to be left out.
  bool has_vertices(const Column& list, size_t begin, size_t end, size_t row) {
    for (size_t i = begin; i < end; ++i) {
      const double v = list.values[i];
      if (v >= 0 && v < static_cast<double>(mesh().positions.size())) continue;
      if (!skip_)
        throw UserError(cat(name_, ": face ", row, " refers to vertex ",
                            std::abs(v) < 1e15 ? cat(static_cast<int64_t>(v)) : cat(v),
                            " (counted from 0) but the file has ", mesh().positions.size(),
                            ". Export the mesh again, or pass --skip-bad-faces."));
      ++out_.n_skipped;
      return false;
    }
    return true;
  }

  PolygonMesh::Corner corner(double vertex) const {
    const auto v = static_cast<uint32_t>(vertex);
    const auto same = static_cast<int32_t>(v);
    return {v, has_vertex_uvs_ ? same : -1, has_vertex_normals_ ? same : -1};
  }

  void add_face(const Column& list, size_t begin, size_t end, size_t row, const Column* texcoord,
                size_t uv_begin, size_t uv_end) {
    if (end - begin < 3 || !has_vertices(list, begin, end, row)) return;
    const bool has_uvs = texcoord != nullptr && uv_end - uv_begin == 2 * (end - begin);
    for (size_t i = begin; i < end; ++i) {
      PolygonMesh::Corner c = corner(list.values[i]);
      if (has_uvs) {
        const size_t k = uv_begin + 2 * (i - begin);
        c.uv = static_cast<int32_t>(mesh().uvs.size());
        mesh().uvs.emplace_back(static_cast<float>(texcoord->values[k]),
                                static_cast<float>(texcoord->values[k + 1]));
      }
      mesh().corners.push_back(c);
    }
    mesh().end_face();
  }

  /// Vertices that make a triangle with the two before them, in alternating sense; -1 starts anew.
  void add_strip(const Column& list, size_t begin, size_t end, size_t row) {
    size_t start = begin;
    for (size_t i = begin; i < end; ++i) {
      if (list.values[i] == -1) {
        start = i + 1;
        continue;
      }
      if (i < start + 2 || !has_vertices(list, i - 2, i + 1, row)) continue;
      const bool turns = (i - start) % 2 != 0;
      mesh().corners.push_back(corner(list.values[turns ? i - 1 : i - 2]));
      mesh().corners.push_back(corner(list.values[turns ? i - 2 : i - 1]));
      mesh().corners.push_back(corner(list.values[i]));
      mesh().end_face();
    }
  }

  const std::string& name_;
  bool skip_;
  Header header_;
  Rows rows_;
  PlyMesh out_;
  bool has_vertex_normals_ = false, has_vertex_uvs_ = false;
};

}  // namespace

PlyMesh parse_ply(std::string_view bytes, const std::string& name, bool skip) {
  return PlyParser(bytes, name, skip).parse();
}

Mesh read_ply(const std::string& path, const ReadMeshOptions& options) {
  PlyMesh file = parse_ply(as_utf8(read_whole_file(path, uint64_t{4} << 30)), path, options.skip_bad_faces);
  if (file.n_skipped > 0)
    log::warning(cat(path, ": left out ", file.n_skipped,
                     file.n_skipped == 1 ? " face that points" : " faces that point", " past the vertices"));
  if (file.has_other_uvs)
    log::warning(cat(path,
                     ": its texture coordinates are elements of their own (multi_texture_...), which are not "
                     "read. Export it with texture coordinates at vertices or faces."));
  PolygonMesh& mesh = file.mesh;
  MeshTextures textures(path, options, mesh.textures);
  if (!mesh.uvs.empty()) {
    for (const std::string& name : file.textures) {
      mesh.materials.push_back(plain_grey());
      Material& m = mesh.materials.back();
      m.name = name;
      m.uses_texture_alpha = false;  // as MTL's: its alpha marks what no photograph saw
      m.base_texture.texture = textures.find(name, folder_of(path));
      if (m.base_texture.is_set()) m.base_colour = Vec3f::Ones(), m.uses_vertex_colours = false;
    }
    bool is_plain = mesh.materials.empty();
    if (is_plain) mesh.materials.push_back(plain_grey());
    textures.put_on_the_rest(mesh.materials);
    for (const Material& m : mesh.materials) is_plain |= !m.base_texture.is_set();
    if (is_plain && mesh.textures.empty()) mesh.materials.clear();
  }
  if (mesh.uvs.empty() && !file.textures.empty())
    log::warning(cat(path, ": names the texture '", file.textures[0], "' but has no texture coordinates"));
  if (mesh.materials.size() <= 1) mesh.face_material.clear();
  textures.say();
  return build_mesh(std::move(mesh), path, options);
}

}  // namespace t3d::io::ply
