#pragma once

#include <map>
#include <vector>

#include "t3d/io/gltf/gltf_buffers.h"
#include "t3d/io/read_mesh.h"

namespace t3d::io::gltf {

/// Turns the materials of a file that are in use into those of a mesh, with the textures that they need.
class Materials {
 public:
  /// Materials and textures go to `mesh`.
  Materials(Buffers& buffers, const ReadMeshOptions& options, Mesh& mesh)
      : buffers_(buffers), options_(options), mesh_(mesh) {}

  /// Index into mesh.materials of the material that `index` names; the format's default where it does not
  /// exist. Throws UserError (broken entries, images that cannot be read), SystemError (image files that are
  /// not there).
  uint16_t use(const Value& index);

  /// The TEXCOORD_n that the mesh's sets of texture coordinates hold, by set; at least one.
  std::vector<int> uv_sets() const { return uv_sets_.empty() ? std::vector<int>{0} : uv_sets_; }

 private:
  Material read(const Value& source);
  void read_metallic_roughness(const Value& source, Material& out);
  void read_specular_glossiness(const Value& source, Material& out);
  void read_coat(const Value& source, Material& out);
  /// Fills the slot from a textureInfo; false when there is none, or none is loaded.
  bool read_slot(const Value& info, TextureSlot& slot);
  void read_transform(const Value& extension, TextureSlot& slot) const;
  void read_sampler(const Value& texture, TextureSlot& slot) const;
  int image(const Value& texture);
  int uv_set(int n, const Value& place);

  Buffers& buffers_;
  const ReadMeshOptions& options_;
  Mesh& mesh_;
  std::map<int64_t, uint16_t> used_;  // by the file's index; -1: the default
  std::map<size_t, int> images_;
  std::vector<int> uv_sets_;
};

}  // namespace t3d::io::gltf
