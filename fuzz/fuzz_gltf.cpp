#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/gltf/read_gltf.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_slot(const t3d::io::Mesh& mesh, const t3d::io::TextureSlot& slot) {
  if (!slot.is_set()) return;
  require(static_cast<size_t>(slot.texture) < mesh.textures.size());
  require(mesh.uv_set(slot.uv_set).size() == mesh.positions.size());
  require(slot.channel >= 0 && slot.channel < 4);
}

/// Whatever is read can be drawn: every index and every array fits.
void check(const t3d::io::Mesh& mesh) {
  const size_t n = mesh.positions.size();
  require(!mesh.faces.empty() && mesh.face_material.size() == mesh.faces.size() && mesh.normals.size() == n);
  for (const auto& face : mesh.faces)
    for (const uint32_t corner : face) require(corner < n && mesh.positions[corner].allFinite());
  for (const uint16_t material : mesh.face_material) require(material < mesh.materials.size());
  const auto fits = [n](const auto& values) { require(values.empty() || values.size() == n); };
  fits(mesh.uvs), fits(mesh.colours), fits(mesh.alphas);
  for (const auto& set : mesh.more_uvs) fits(set);
  for (const auto& normal : mesh.normals) require(normal.allFinite());
  for (const auto& texture : mesh.textures) require(!texture.pixels.empty() && texture.channels == 4);
  for (const auto& m : mesh.materials) {
    for (const auto* slot : m.slots()) check_slot(mesh, *slot);
    require(m.base_colour.allFinite() && m.emission.allFinite() && m.metallic >= 0 && m.metallic <= 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  t3d::io::gltf::Limits limits;
  limits.max_corners = 30000;
  limits.max_nodes = 1000;
  limits.max_decoded = limits.max_file = 1 << 20;
  limits.images.max_bytes = 1 << 20;
  try {
    check(t3d::io::gltf::read_gltf_bytes({reinterpret_cast<const char*>(data), size}, "/nowhere/fuzz.glb", {},
                                         limits));
  } catch (const t3d::UserError&) {
  } catch (const t3d::SystemError&) {  // files beside it
  }
  return 0;
}
