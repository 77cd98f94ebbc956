#include "t3d/io/read_mesh.h"

#include <filesystem>
#include <fstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/log.h"
#include "t3d/io/gltf/read_gltf.h"
#include "t3d/io/image_format.h"
#include "t3d/io/mesh_textures.h"
#include "t3d/io/obj/read_obj.h"
#include "t3d/io/parse_stl_off.h"
#include "t3d/io/ply/read_ply.h"
#include "t3d/io/text_lines.h"

namespace t3d::io {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxFile = uint64_t{4} << 30;

std::string lower_extension(const std::string& path) {
  return lower_case(fs::path(path).extension().string());
}

void check_readable(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw SystemError(cat(path, ": no such file. Check the path."));
  if (fs::is_directory(path, ignored))
    throw SystemError(cat(path, ": is a folder, where a mesh file is expected. Name a file in it."));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError(cat(path, ": cannot be opened", errno_text(), ". Check its permissions."));
  std::string start(4096, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(file.gcount()));
  if (!start.empty()) refuse_placeholder(start, path, "a mesh");
}

/// A download that failed, or a repository without its large files.
void check_content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(64, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(file.gcount()));
  const std::string content =
      known_content({reinterpret_cast<const uint8_t*>(start.data()), start.size(), path});
  for (const char* word : {"Git LFS", "web page", "archive"})
    if (content.find(word) != std::string::npos)
      throw UserError(cat(path, ": this is ", content, ", where a mesh is expected. Get the file itself."));
}

Mesh read_off(const std::string& path, const ReadMeshOptions& options) {
  int64_t n_skipped = 0;
  PolygonMesh mesh =
      parse_off(as_utf8(read_whole_file(path, kMaxFile)), path, options.skip_bad_faces, n_skipped);
  if (n_skipped > 0)
    log::warning(cat(path, ": left out ", n_skipped,
                     n_skipped == 1 ? " face that points" : " faces that point", " past the vertices"));
  if (!mesh.uvs.empty()) {
    MeshTextures textures(path, options, mesh.textures);
    mesh.materials.push_back(plain_grey());
    textures.put_on_the_rest(mesh.materials);
    if (mesh.textures.empty()) mesh.materials.clear();
  }
  return build_mesh(std::move(mesh), path, options);
}

}  // namespace

bool is_mesh_file(const std::string& path) {
  const std::string extension = lower_extension(path);
  for (const char* known : {".obj", ".glb", ".gltf", ".ply", ".stl", ".off"})
    if (extension == known) return true;
  return false;
}

Mesh read_mesh(const std::string& path, const ReadMeshOptions& options) {
  check_readable(path);
  const std::string extension = lower_extension(path);
  if (is_mesh_file(path)) check_content(path);
  if (extension == ".glb" || extension == ".gltf") return gltf::read_gltf(path, options);
  if (extension == ".obj") return obj::read_obj(path, options);
  if (extension == ".ply") return ply::read_ply(path, options);
  if (extension == ".stl") return build_mesh(parse_stl(read_whole_file(path, kMaxFile), path), path, options);
  if (extension == ".off") return read_off(path, options);
  if (extension == ".splat" || extension == ".ksplat" || extension == ".spz")
    throw UserError(
        cat(path, ": this is a Gaussian splat, not a mesh. Export a mesh from the program that made it."));
  throw UserError(
      cat(path, ": not a mesh file that can be read; expected .obj, .glb, .gltf, .ply, .stl or .off."));
}

}  // namespace t3d::io
