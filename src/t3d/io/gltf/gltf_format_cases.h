#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/io/gltf/read_gltf.h"
#include "tests/support/format_table.h"
#include "tests/support/gltf_builder.h"

/// What the lines of docs/formats.md about glTF share; each list of them is a source of its own.
namespace t3d::io::gltf::format {

using testing::FormatCase;
using testing::GltfBuilder;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using Json = GltfBuilder::Json;

constexpr float kPi = 3.14159265f;

/// The axes of the file are kept.
inline Mesh read(const GltfBuilder& file) {
  ReadMeshOptions options;
  options.up = UpAxis::Z;
  return read_gltf_bytes(file.glb(), "a.glb", options);
}

inline std::string refusal(const GltfBuilder& file) {
  try {
    read(file);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

inline std::string said(const GltfBuilder& file) {
  ::testing::internal::CaptureStderr();
  read(file);
  return ::testing::internal::GetCapturedStderr();
}

inline std::string one_pixel(std::vector<uint8_t> rgba = {255, 255, 255, 255}) {
  return GltfBuilder::png(1, 1, rgba);
}

inline void expect_box(const Mesh& mesh, const Vec3f& min, const Vec3f& max) {
  const Box3f box = mesh.bounds();
  EXPECT_LT((box.min - min).norm(), 2e-4f) << box.min.transpose();
  EXPECT_LT((box.max - max).norm(), 2e-4f) << box.max.transpose();
}

/// Corner 0 of the first face that lies at `position`.
inline size_t vertex_at(const Mesh& mesh, const Vec3f& position) {
  for (size_t i = 0; i < mesh.positions.size(); ++i)
    if ((mesh.positions[i] - position).norm() < 1e-3f) return i;
  ADD_FAILURE() << "no vertex at " << position.transpose();
  return 0;
}

/// Where the base colour's texture is read for the square's corner (0, 0), whose own coordinates are (0, 0).
inline Vec2f textured_corner(const Mesh& mesh, const Vec3f& position = Vec3f::Zero()) {
  const TextureSlot& slot = mesh.materials[0].base_texture;
  EXPECT_TRUE(slot.is_set());
  return slot.transformed(mesh.uv_set(slot.uv_set)[vertex_at(mesh, position)]);
}

inline void expect_near(const Vec2f& found, const Vec2f& expected) {
  EXPECT_LT((found - expected).norm(), 1e-4f) << found.transpose();
}

inline GltfBuilder textured(const Json& info = Json::object(), const Json& sampler = nullptr) {
  GltfBuilder file;
  Json slot = info;
  slot["index"] = file.add_texture(one_pixel(), "image/png", sampler);
  file.material()["pbrMetallicRoughness"]["baseColorTexture"] = slot;
  return file;
}

inline Json transform(const Json& members) {
  return {{"extensions", {{"KHR_texture_transform", members}}}};
}

std::vector<FormatCase> file_cases();
std::vector<FormatCase> texture_cases();
std::vector<FormatCase> material_cases();

}  // namespace t3d::io::gltf::format
