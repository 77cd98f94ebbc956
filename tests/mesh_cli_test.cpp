#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/io/image.h"
#include "tests/support/optional_libraries.h"
#include "tests/support/run_program.h"
#include "tests/support/tetrahedron.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;
using testing::write_text;

constexpr const char* kOne =
    " --overwrite --cameras orbit --res 32 --samples 4 --train-views 1 --val-views 0 --test-views 0";

/// Mean of the opaque pixels of the one rendered image, 0 to 255.
double brightness(const std::string& folder) {
  const io::Image8 image = io::read_image(folder + "/train/r_0.png", 4);
  double sum = 0, n = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 4)
    if (image.pixels[i + 3] == 255)
      sum += image.pixels[i] + image.pixels[i + 1] + image.pixels[i + 2], n += 3;
  return n > 0 ? sum / n : -1;
}

TEST(RenderCommand, DrawsVertexColoursOfEveryFormatAlike) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  const char* faces[] = {"f 1 2 3\nf 1 4 2\nf 1 3 4\nf 2 4 3\n", "3 0 1 2\n3 0 3 1\n3 0 2 3\n3 1 3 2\n"};
  const char* positions[] = {"0 0 0", "1 0 0", "0 1 0", "0 0 1"};
  std::string obj, bytes,
      ply =
          "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
          "property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
          "element face 4\nproperty list uchar int vertex_indices\nend_header\n",
      off = "COFF\n4 4 6\n";
  for (const char* p : positions) {
    obj += std::string("v ") + p + " 0.8 0.8 0.8\n";
    bytes += std::string("v ") + p + " 204 204 204 255\n";
    ply += std::string(p) + " 204 204 204\n";
    off += std::string(p) + " 204 204 204 255\n";
  }
  write_text(folder / "a.obj", obj + faces[0]);
  write_text(folder / "b.obj", bytes + faces[0]);
  write_text(folder / "c.ply", ply + faces[1]);
  write_text(folder / "d.off", off + faces[1]);
  double first = 0;
  for (const char* name : {"a.obj", "b.obj", "c.ply", "d.off"}) {
    const auto result = run_t3d("render " + folder / name + " -o " + folder / "out" + kOne);
    ASSERT_EQ(result.exit_code, 0) << result.output;
    if (first == 0) first = brightness(folder / "out");
    EXPECT_GT(first, 50);
    EXPECT_NEAR(brightness(folder / "out"), first, 0.01) << name;
  }
}

TEST(RenderCommand, WarnsAboutAMissingTextureUnlessStrict) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "m.mtl", "newmtl m\nKd 1 0 0\nmap_Kd gone.png\n");
  write_text(folder / "a.obj", std::string("mtllib m.mtl\nusemtl m\n") + testing::kTetrahedron);
  const std::string command = "render " + folder / "a.obj" + " -o " + folder / "out" + kOne;
  const auto loose = run_t3d(command);
  EXPECT_EQ(loose.exit_code, 0) << loose.output;
  EXPECT_THAT(loose.output, HasSubstr("there is no 'gone.png'"));
  const auto strict = run_t3d(command + " --strict");
  EXPECT_EQ(strict.exit_code, 3) << strict.output;
  EXPECT_THAT(strict.output, HasSubstr("leave out --strict"));
}

TEST(RenderCommand, DrawsPhotogrammetrysTrOneOpaque) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "m.mtl", "newmtl m\nKd 1 1 1\nTr 1.000000\n");
  write_text(folder / "a.obj", std::string("mtllib m.mtl\nusemtl m\n") + testing::kTetrahedron);
  const auto result = run_t3d("render " + folder / "a.obj" + " -o " + folder / "out" + kOne);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("taken as opaque"));
  EXPECT_GT(brightness(folder / "out"), 50);
}

}  // namespace
}  // namespace t3d
