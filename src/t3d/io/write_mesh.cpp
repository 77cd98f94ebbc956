#include "t3d/io/write_mesh.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/io/text_lines.h"
#include "t3d/io/write_3mf.h"
#include "t3d/io/write_glb.h"
#include "t3d/io/write_mtl.h"
#include "t3d/io/write_stl.h"

namespace t3d::io {
namespace {

void check_mesh(const std::string& path, const Mesh& mesh) {
  const size_t n = mesh.positions.size();
  if (n == 0 || mesh.faces.empty())
    throw UserError(cat(path, ": the mesh has ", n, " vertices and ", mesh.faces.size(),
                        " faces; there is nothing to write."));
  const auto fits = [&](size_t m) { return m == 0 || m == n; };
  if (!fits(mesh.normals.size()) || !fits(mesh.uvs.size()) || !fits(mesh.colours.size()))
    throw UserError(cat(path, ": the mesh has ", n, " vertices but ", mesh.normals.size(), " normals, ",
                        mesh.uvs.size(), " texture coordinates and ", mesh.colours.size(), " colours."));
  for (size_t f = 0; f < mesh.faces.size(); ++f)
    for (const uint32_t v : mesh.faces[f])
      if (v >= n)
        throw UserError(cat(path, ": face ", f, " refers to vertex ", v, " but the mesh has ", n, "."));
  for (size_t v = 0; v < n; ++v)
    if (!mesh.positions[v].allFinite())
      throw UserError(cat(path, ": the position of vertex ", v, " is not finite."));
}

/// The shortest text that reads back as the same float.
void append(std::string& out, float value) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}
void append(std::string& out, uint32_t value) {
  char text[16];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}
template <class V>
void append_line(std::string& out, const char* key, const V& v) {
  out += key;
  for (int i = 0; i < v.size(); ++i) {
    out += ' ';
    append(out, v[i]);
  }
}

Vec3f clamped(const Vec3f& colour) {
  return colour.cwiseMax(0.0f).cwiseMin(1.0f);
}

/// Whether a face's material is more than what vertex colours say.
bool needs_materials(const Mesh& mesh) {
  if (mesh.materials.empty()) return false;
  if (mesh.colours.empty()) return true;
  for (const Material& material : mesh.materials)
    for (const TextureSlot* slot : material.slots())
      if (slot->is_set() && !mesh.uv_set(slot->uv_set).empty()) return true;
  return false;
}

void append_face(std::string& out, const Mesh& mesh, const std::array<uint32_t, 3>& face) {
  out += 'f';
  for (const uint32_t v : face) {
    out += ' ';
    append(out, v + 1);
    if (!mesh.uvs.empty() || !mesh.normals.empty()) out += '/';
    if (!mesh.uvs.empty()) append(out, v + 1);
    if (!mesh.normals.empty()) out += '/', append(out, v + 1);
  }
  out += '\n';
}

/// The faces, those of one material after those of another.
void append_faces(std::string& out, const Mesh& mesh, const std::vector<std::string>& materials) {
  if (!materials.empty()) out += "g object\n";
  const size_t n_groups = std::max<size_t>(1, materials.size());
  for (size_t group = 0; group < n_groups; ++group) {
    bool is_named = materials.empty();
    for (size_t f = 0; f < mesh.faces.size(); ++f) {
      const size_t own = mesh.face_material.empty() ? 0 : mesh.face_material[f];
      if (n_groups > 1 && std::min(own, n_groups - 1) != group) continue;
      if (!is_named) out += "usemtl " + materials[group] + "\n";
      is_named = true;
      append_face(out, mesh, mesh.faces[f]);
    }
  }
}

std::string obj_text(const Mesh& mesh, const WrittenMtl& beside, bool is_z_up) {
  const std::string& library = beside.library;
  std::string out =
      is_z_up ? "# x right, y back, z up; vertex colours are sRGB\n" : "# vertex colours are sRGB\n";
  if (!library.empty()) out += "mtllib " + library + "\n";
  out.reserve(mesh.positions.size() * 96 + mesh.faces.size() * 40);
  for (size_t v = 0; v < mesh.positions.size(); ++v) {
    append_line(out, "v", mesh.positions[v]);
    if (!mesh.colours.empty() && library.empty()) append_line(out, "", clamped(mesh.colours[v]));
    out += '\n';
  }
  for (const Vec2f& uv : mesh.uvs) append_line(out, "vt", uv), out += '\n';
  for (const Vec3f& n : mesh.normals) append_line(out, "vn", n), out += '\n';
  append_faces(out, mesh, beside.names);
  return out;
}

template <class T>
void put(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint8_t to_byte(float v) {
  return static_cast<uint8_t>(std::lround(255 * std::clamp(std::isnan(v) ? 0.0f : v, 0.0f, 1.0f)));
}

std::string ply_bytes(const Mesh& mesh, bool is_z_up) {
  std::string out = cat("ply\nformat binary_little_endian 1.0\ncomment ", is_z_up ? "z up, " : "",
                        "colours are sRGB\nelement vertex ", mesh.positions.size(),
                        "\nproperty float x\nproperty float y\nproperty float z\n");
  if (!mesh.normals.empty()) out += "property float nx\nproperty float ny\nproperty float nz\n";
  if (!mesh.uvs.empty()) out += "property float s\nproperty float t\n";
  if (!mesh.colours.empty()) out += "property uchar red\nproperty uchar green\nproperty uchar blue\n";
  out += cat("element face ", mesh.faces.size(), "\nproperty list uchar uint vertex_indices\nend_header\n");
  out.reserve(out.size() + mesh.positions.size() * 36 + mesh.faces.size() * 13);
  for (size_t v = 0; v < mesh.positions.size(); ++v) {
    for (int c = 0; c < 3; ++c) put(out, mesh.positions[v][c]);
    for (int c = 0; c < 3 && !mesh.normals.empty(); ++c) put(out, mesh.normals[v][c]);
    for (int c = 0; c < 2 && !mesh.uvs.empty(); ++c) put(out, mesh.uvs[v][c]);
    for (int c = 0; c < 3 && !mesh.colours.empty(); ++c) put(out, to_byte(mesh.colours[v][c]));
  }
  for (const auto& face : mesh.faces) {
    put(out, uint8_t{3});
    for (const uint32_t v : face) put(out, v);
  }
  return out;
}

}  // namespace

std::vector<std::string> write_mesh(const std::string& path, const Mesh& mesh,
                                    const WriteMeshOptions& options) {
  check_mesh(path, mesh);
  const std::string ending = lower_case(std::filesystem::path(path).extension().string());
  std::vector<std::string> paths = {path};
  std::string bytes;
  if (ending == ".obj") {
    WrittenMtl beside;
    if (needs_materials(mesh)) beside = write_mtl(path, mesh, options);
    paths.insert(paths.end(), beside.paths.begin(), beside.paths.end());
    bytes = obj_text(mesh, beside, options.is_z_up);
  } else if (ending == ".ply") {
    bytes = ply_bytes(mesh, options.is_z_up);
  } else if (ending == ".glb") {
    bytes = glb_bytes(mesh, path);
  } else if (ending == ".stl") {
    bytes = stl_bytes(mesh, path);
  } else if (ending == ".3mf") {
    bytes = three_mf_bytes(mesh, path);
  } else {
    throw UserError(cat(path, ": meshes are written as .glb, .obj, .ply, .stl or .3mf."));
  }
  write_checked(path, bytes);
  return paths;
}

}  // namespace t3d::io
