#include "t3d/io/write_mesh.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/write_glb.h"

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

/// `library`: name of the material file; empty: none.
std::string obj_text(const Mesh& mesh, const std::string& library) {
  std::string out = "# x right, y back, z up; vertex colours are sRGB\n";
  if (!library.empty()) out += "mtllib " + library + "\n";
  out.reserve(mesh.positions.size() * 96 + mesh.faces.size() * 40);
  for (size_t v = 0; v < mesh.positions.size(); ++v) {
    append_line(out, "v", mesh.positions[v]);
    if (!mesh.colours.empty() && library.empty()) append_line(out, "", clamped(mesh.colours[v]));
    out += '\n';
  }
  for (const Vec2f& uv : mesh.uvs) append_line(out, "vt", uv), out += '\n';
  for (const Vec3f& n : mesh.normals) append_line(out, "vn", n), out += '\n';
  if (!library.empty()) out += "g object\nusemtl default\n";
  for (const auto& face : mesh.faces) {
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
  return out;
}

template <class T>
void put(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint8_t to_byte(float v) {
  return static_cast<uint8_t>(std::lround(255 * std::clamp(std::isnan(v) ? 0.0f : v, 0.0f, 1.0f)));
}

std::string ply_bytes(const Mesh& mesh) {
  std::string out =
      cat("ply\nformat binary_little_endian 1.0\ncomment z up, colours are sRGB\nelement vertex ",
          mesh.positions.size(), "\nproperty float x\nproperty float y\nproperty float z\n");
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

void write_checked(const std::string& path, const std::string& bytes) {
  write_file_atomically(path, bytes);
  if (read_whole_file(path, bytes.size() + 1) != bytes)
    throw SystemError(cat(path, ": the file does not hold what was written to it; the disk may be failing."));
}

/// The material file and the texture beside an OBJ. Returns the material file's name.
std::string write_material(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options) {
  const auto beside = [&path](const char* ending) {
    return std::filesystem::path(path).replace_extension(ending);
  };
  const auto picture = options.texture_name.empty()
                           ? beside(options.jpeg ? ".jpg" : ".png")
                           : std::filesystem::path(path).replace_filename(options.texture_name);
  const auto library = beside(".mtl");
  const auto bytes = options.jpeg ? encode_jpeg(without_alpha(*only_texture(mesh)))
                                  : encode_png(without_alpha(*only_texture(mesh)));
  write_checked(picture.string(), std::string(bytes.begin(), bytes.end()));
  const Vec3f& colour = mesh.materials[0].base_colour;
  std::string text = "newmtl default\nKa 0 0 0\n";
  append_line(text, "Kd", colour);
  text += cat("\nmap_Kd ", picture.filename().string(), "\nKs 0 0 0\n");
  write_checked(library.string(), text);
  return library.filename().string();
}

}  // namespace

void write_mesh(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options) {
  check_mesh(path, mesh);
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string bytes;
  if (ending == ".obj") {
    bytes = obj_text(mesh, only_texture(mesh) != nullptr ? write_material(path, mesh, options) : "");
  } else if (ending == ".ply") {
    bytes = ply_bytes(mesh);
  } else if (ending == ".glb") {
    bytes = glb_bytes(mesh, path);
  } else {
    throw UserError(cat(path, ": meshes are written as .obj, .ply or .glb."));
  }
  write_checked(path, bytes);
}

}  // namespace t3d::io
