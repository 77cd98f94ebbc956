#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/io/image.h"
#include "t3d/io/read_mesh.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tetrahedron.h"

/// t3d mesh from the outside.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_t3d;
using testing::TemporaryFolder;
using testing::write_text;

TEST(MeshCommand, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", testing::kTetrahedron);
  const std::pair<std::string, const char*> cases[] = {
      {"mesh " + folder / "a.obj", "has nothing to do"},
      {"mesh " + folder / "a.obj" + " --uv --check", "Name its file with -o"},
      {"mesh " + folder / "a.obj" + " -o " + folder / "a.fbx", ".3mf"},
      {"mesh " + folder / "a.obj" + " -o " + folder / "a.glb --bake-normals", "Add --uv"}};
  for (const auto& [command, expected] : cases) {
    const auto result = run_t3d(command);
    EXPECT_EQ(result.exit_code, 2) << command;
    EXPECT_THAT(result.output, HasSubstr(expected)) << command;
  }
  EXPECT_EQ(run_t3d("mesh " + folder / "gone.obj --check").exit_code, 3);
  EXPECT_FALSE(fs::exists(folder / "a.glb"));
}

TEST(MeshCommand, ChecksAnswerByTheirExitCode) {
  const TemporaryFolder folder;
  write_text(folder / "whole.obj", testing::kTetrahedron);
  const auto fine = run_t3d("mesh " + folder / "whole.obj --check");
  EXPECT_EQ(fine.exit_code, 0) << fine.output;
  EXPECT_THAT(fine.output, HasSubstr("watertight                   yes"));
  EXPECT_THAT(fine.output, Not(HasSubstr("wrong")));
  write_text(folder / "open.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 3\nf 2 4 3\n");
  const auto open = run_t3d("mesh " + folder / "open.obj --check");
  EXPECT_EQ(open.exit_code, 1) << open.output;
  EXPECT_THAT(open.output, HasSubstr("boundary edges               4"));
  EXPECT_THAT(open.output, HasSubstr("wrong"));
}

TEST(MeshCommand, EveryFormatKeepsTheShapeAndTheAxesItShould) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 3\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n");
  const auto size_of = [&](const std::string& name, io::UpAxis up) {
    io::ReadMeshOptions options;
    options.up = up;
    return io::read_mesh(folder / name, options).bounds().size();
  };
  for (const char* name : {"b.glb", "b.obj", "b.ply", "b.stl", "b.3mf"}) {
    const auto result = run_t3d("mesh " + folder / "a.obj" + " -o " + folder / name + " --check");
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_GT(fs::file_size(folder / name), 100u);
  }
  EXPECT_EQ(size_of("b.obj", io::UpAxis::Z), Vec3f(1, 2, 3)) << "as it was";
  EXPECT_EQ(size_of("b.ply", io::UpAxis::Z), Vec3f(1, 2, 3));
  EXPECT_EQ(size_of("b.stl", io::UpAxis::Z), Vec3f(3, 1, 2)) << "from y up to z up";
  EXPECT_EQ(size_of("b.glb", io::UpAxis::Y), Vec3f(3, 1, 2));
  const std::string zip = testing::read_text(folder / "b.3mf");
  EXPECT_EQ(zip.substr(0, 2), "PK");
  // And from z up.
  ASSERT_EQ(run_t3d("mesh " + folder / "a.obj" + " --up z -o " + folder / "c.stl").exit_code, 0);
  EXPECT_EQ(size_of("c.stl", io::UpAxis::Z), Vec3f(1, 2, 3));
  EXPECT_EQ(run_t3d("mesh " + folder / "b.glb" + " --up z --check").exit_code, 2);
}

TEST(MeshCommand, UnwrapsAndBakesWhatWasOnTheMesh) {
  const TemporaryFolder folder;
  io::Image8 green(8, 8, 3);
  for (size_t i = 0; i < green.pixels.size(); ++i) green.pixels[i] = i % 3 == 1 ? 200 : 20;
  io::write_png(folder / "g.png", green);
  write_text(folder / "m.mtl", "newmtl m\nmap_Kd g.png\n");
  write_text(folder / "a.obj",
             "mtllib m.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\n"
             "f 1/1 3/2 2/3\nf 1/1 2/2 4/3\nf 1/1 4/2 3/3\nf 2/1 3/2 4/3\n");
  const auto before = run_t3d("mesh " + folder / "a.obj --check");
  EXPECT_EQ(before.exit_code, 1);
  EXPECT_THAT(before.output, HasSubstr("overlapping texels"));
  const auto result = run_t3d("mesh " + folder / "a.obj" + " -o " + folder / "b.glb" +
                              " --uv --bake-normals --texture-size 64 --check");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("texture 1                    64 x 64, 3 channels"));
  const io::Mesh mesh = io::read_mesh(folder / "b.glb");
  ASSERT_EQ(mesh.textures.size(), 2u);
  const io::Material& m = mesh.materials.at(0);
  ASSERT_TRUE(m.base_texture.is_set() && m.normal_texture.is_set());
  const uint8_t* colour = mesh.textures[static_cast<size_t>(m.base_texture.texture)].at(30, 30);
  EXPECT_NEAR(colour[1], 200, 1);
  EXPECT_NEAR(colour[0], 20, 1);
  const uint8_t* normal = mesh.textures[static_cast<size_t>(m.normal_texture.texture)].at(30, 30);
  EXPECT_NEAR(normal[2], 255, 1) << "the same mesh: straight up";
}

}  // namespace
}  // namespace t3d
