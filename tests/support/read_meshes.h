#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/read_mesh.h"
#include "tests/support/temporary_folder.h"

/// Reading of meshes in tests: with what the log says, and what errors say.
namespace t3d::testing {

struct ReadResult {
  io::Mesh mesh;
  std::string said;   // in the log
  std::string error;  // empty: it was read
};

inline ReadResult read_with_log(const std::string& path, const io::ReadMeshOptions& options = {}) {
  ReadResult result;
  ::testing::internal::CaptureStderr();
  try {
    result.mesh = io::read_mesh(path, options);
  } catch (const Error& error) {
    result.error = error.what();
  }
  result.said = ::testing::internal::GetCapturedStderr();
  return result;
}

/// A folder into which files are put, with their folders.
class MeshFolder : public TemporaryFolder {
 public:
  MeshFolder& put(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(*this / name).parent_path());
    write_text(*this / name, content);
    return *this;
  }
  /// 2x2 pixels; the lower left one is red, the others grey, or transparent where `clear`.
  MeshFolder& put_texture(const std::string& name, bool clear = false) {
    io::Image8 image(2, 2, 4);
    for (size_t i = 0; i < image.pixels.size(); ++i)
      image.pixels[i] = i % 4 == 3 ? static_cast<uint8_t>(clear ? 0 : 255) : uint8_t{128};
    const uint8_t red[4] = {255, 0, 0, 255};
    std::copy(red, red + 4, image.at(0, 1));
    const auto bytes = io::encode_png(image);
    return put(name, {bytes.begin(), bytes.end()});
  }
  /// "a.obj", z up.
  ReadResult read(const std::string& name, io::ReadMeshOptions options = {}) const {
    options.up = io::UpAxis::Z;
    return read_with_log(*this / name, options);
  }
};

/// The material of the first face.
inline const io::Material& first_material(const io::Mesh& mesh) {
  return mesh.materials.at(mesh.face_material.at(0));
}

/// The colour of the vertex at (x,y,0), or -1s.
inline Vec3f colour_at(const io::Mesh& mesh, float x, float y) {
  for (size_t v = 0; v < mesh.colours.size(); ++v)
    if (mesh.positions[v] == Vec3f(x, y, 0)) return mesh.colours[v];
  return Vec3f::Constant(-1);
}

inline void expect_near(const Vec3f& a, const Vec3f& b) {
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(a[i], b[i], 1e-5f) << a.transpose() << " and " << b.transpose();
}

}  // namespace t3d::testing
