#pragma once

#include <map>
#include <string>
#include <vector>

#include "t3d/io/polygon_mesh.h"
#include "t3d/io/resolve_path.h"

namespace t3d::io {

/// The image files that a mesh names, each read once. A missing one is a warning and leaves the part in its
/// plain colour, or with ReadMeshOptions::strict a SystemError.
class MeshTextures {
 public:
  MeshTextures(std::string path, const ReadMeshOptions& options, std::vector<Image8>& textures)
      : path_(std::move(path)), options_(options), textures_(textures) {}

  /// Index of the texture that is named so in a file of `folder`, or -1: missing, or textures are not wanted.
  /// Looked for beside that file, then beside the mesh.
  int find(const std::string& name, const std::string& folder);

  /// options.texture, or the one image beside the mesh that is named as its texture (chair_texture.png
  /// beside chair.obj), where no texture was named and `looks_around`. To be called once all others were
  /// found, for meshes with texture coordinates.
  void put_on_the_rest(std::vector<Material>& materials, bool looks_around = true);

  /// Says in the log which names were not as written and which textures are missing.
  void say();

 private:
  int read(const std::string& file);
  std::string neighbour() const;

  std::string path_;
  const ReadMeshOptions& options_;
  std::vector<Image8>& textures_;
  std::map<std::string, PathResolver> paths_;  // by folder
  std::map<std::string, int> by_file_;
  std::vector<std::string> missing_;
  bool has_named_ = false;
};

}  // namespace t3d::io
