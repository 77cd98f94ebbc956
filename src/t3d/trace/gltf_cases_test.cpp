#include <gtest/gtest.h>

#include "t3d/io/read_mesh.h"
#include "t3d/trace/scene.h"
#include "tests/support/golden_report.h"
#include "tests/support/optional_libraries.h"

namespace t3d::trace {
namespace {

/// A cube of side 1 whose sides show red, green above blue, yellow, with a white L in the red quarter:
/// recorded files that have one trait each.
std::string case_file(const std::string& name) {
  return std::string(T3D_SOURCE_DIR) + "/../shared/cases/" + name;
}

char name_of(const Vec3f& c) {
  const bool r = c.x() > 0.4f, g = c.y() > 0.3f, b = c.z() > 0.3f;
  if (r && g && b) return 'w';
  if (r && g) return 'y';
  return r ? 'r' : g ? 'g' : b ? 'b' : '?';
}

class FrontOfCube {
 public:
  explicit FrontOfCube(const std::string& name)
      : scene_(io::read_mesh(case_file(name)), Environment{}, AreaLight{}) {}

  /// Seen from +x, y to the right and z upwards.
  Hit at(float y, float z) const {
    Hit hit = {};
    EXPECT_TRUE(scene_.intersect({{5, y, z}, {-1, 0, 0}}, hit)) << y << " " << z;
    return hit;
  }
  char colour(float y, float z) const { return name_of(at(y, z).base_colour); }
  std::string colours() const {
    return {colour(-0.2f, 0.2f), colour(0.2f, 0.2f), colour(-0.2f, -0.2f), colour(0.2f, -0.2f)};
  }

 private:
  Scene scene_;
};

TEST(GltfCases, ShowWhatTheirFilesSay) {
  T3D_NEED_EMBREE();
  T3D_NEED_FILE(case_file("20-gltf-texture-transform-offset/c.glb"));
  EXPECT_EQ(FrontOfCube("20-gltf-texture-transform-offset/c.glb").colours(), "gryb");
  EXPECT_EQ(FrontOfCube("21-gltf-texcoord1/c.glb").colours(), "rgby");
  EXPECT_EQ(FrontOfCube("24-gltf-quantized/c.glb").colours(), "rgby");
  EXPECT_EQ(FrontOfCube("30c-gltf-opaque-with-alpha/c.glb").colours(), "rgby");
  EXPECT_EQ(FrontOfCube("35-gltf-uri-encoded/c.gltf").colours(), "rgby");

  const FrontOfCube clamped("34b-gltf-wrap-clamp/c.glb"), mirrored("34c-gltf-wrap-mirror/c.glb");
  EXPECT_EQ(clamped.colour(0.12f, 0.35f), 'g');
  EXPECT_EQ(clamped.colour(0.4f, 0.4f), 'g');
  EXPECT_EQ(mirrored.colour(0.12f, 0.35f), 'g');
  EXPECT_EQ(mirrored.colour(0.12f, -0.12f), 'y');
  EXPECT_EQ(mirrored.colour(0.3f, 0.4f), 'r');
}

TEST(GltfCases, HaveTheMaterialsOfTheirFiles) {
  T3D_NEED_EMBREE();
  T3D_NEED_FILE(case_file("23-gltf-specgloss/c.glb"));
  const FrontOfCube glossy("23-gltf-specgloss/c.glb");
  EXPECT_EQ(glossy.colours(), "rgby");
  EXPECT_EQ(glossy.at(0.2f, 0.2f).metallic, 0);
  EXPECT_NEAR(glossy.at(0.2f, 0.2f).specular.x(), 0.1f, 1e-6f);
  EXPECT_NEAR(glossy.at(0.2f, 0.2f).roughness, 0.8f, 1e-6f);

  const Hit glowing = FrontOfCube("36-gltf-emissive-texture/c.glb").at(-0.2f, -0.2f);
  EXPECT_EQ(name_of(glowing.emission), 'b');
  EXPECT_TRUE(glowing.base_colour.isZero());

  const FrontOfCube plastic("40x-gltf-metallic-texture/c.glb");
  EXPECT_EQ(plastic.colours(), "rgby");
  EXPECT_EQ(plastic.at(0.2f, 0.2f).metallic, 0);
}

TEST(GltfCases, ASkinnedMeshStandsByItsJointsAlone) {
  T3D_NEED_FILE(case_file("26-gltf-skinned/c.glb"));
  const Vec3f size = io::read_mesh(case_file("26-gltf-skinned/c.glb")).bounds().size();
  EXPECT_LT((size - Vec3f(1, 1, 2)).norm(), 1e-5f) << size.transpose();
}

}  // namespace
}  // namespace t3d::trace
