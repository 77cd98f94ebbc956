#include "t3d/io/gltf/read_gltf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "tests/support/gltf_builder.h"

namespace t3d::io::gltf {
namespace {

using testing::GltfBuilder;
using ::testing::HasSubstr;

/// What reading says: "" when it works.
std::string outcome(const std::string& bytes, const Limits& limits = {}) {
  try {
    read_gltf_bytes(bytes, "a.glb", {}, limits);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

/// With a texture, a skin, a morph target and sparse positions.
GltfBuilder rich_file() {
  GltfBuilder file;
  file.material()["pbrMetallicRoughness"]["baseColorTexture"]["index"] =
      file.add_texture(GltfBuilder::png(1, 1, {9, 9, 9, 255}));
  file.attribute("JOINTS_0") =
      file.add<uint8_t>(std::vector<uint8_t>(16, 0), GltfBuilder::kUnsignedByte, "VEC4");
  file.attribute("WEIGHTS_0") = file.add<float>(std::vector<float>(16, 0.25f), GltfBuilder::kFloat, "VEC4");
  file.json["skins"] = GltfBuilder::Json::parse(R"([{"joints": [0]}])");
  file.node()["skin"] = 0;
  return file;
}

TEST(ReadGltf, EveryCutOffFileIsExplained) {
  const std::string whole = rich_file().glb();
  ASSERT_EQ(outcome(whole), "");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(outcome(whole.substr(0, n)), "") << n;
  EXPECT_EQ(outcome(whole + "anything"), "");
}

TEST(ReadGltf, EveryChangedByteIsReadOrExplained) {
  const std::string whole = rich_file().glb();
  for (size_t i = 0; i < whole.size(); ++i)
    for (const char change : {'\x01', '\x80', '\x7f'}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ change);
      try {
        read_gltf_bytes(changed, "a.glb", {});
      } catch (const UserError&) {
      } catch (const SystemError&) {  // a buffer that became a file
      }
    }
}

TEST(ReadGltf, CountsOfInstancesAreHeldAgainstTheLimits) {
  GltfBuilder file;
  const auto n = file.add<float>(std::vector<float>(300, 0.0f), GltfBuilder::kFloat, "VEC3");
  file.node()["extensions"]["EXT_mesh_gpu_instancing"]["attributes"]["TRANSLATION"] = n;
  Limits limits;
  EXPECT_EQ(outcome(file.glb(), limits), "");
  limits.max_corners = 599;
  EXPECT_THAT(outcome(file.glb(), limits), HasSubstr("more than 199 triangles"));
  limits.max_nodes = 99;
  EXPECT_THAT(outcome(file.glb(), limits), HasSubstr("has 100 instances"));

  // Counts without data behind them take no memory before they are refused.
  const int zeros = file.add_accessor(-1, GltfBuilder::kFloat, 4000000000u, "VEC3");
  GltfBuilder empty;
  empty.json["accessors"] = file.json["accessors"];
  empty.json["bufferViews"] = file.json["bufferViews"];
  empty.bytes = file.bytes;
  empty.primitive()["attributes"] = {{"POSITION", zeros}};
  empty.primitive().erase("indices");
  EXPECT_THAT(outcome(empty.glb()), HasSubstr("4000000000 without a buffer view"));
}

TEST(ReadGltf, DeepNodeTreesDoNotExhaustTheStack) {
  GltfBuilder file;
  constexpr int kNodes = 200000;
  auto nodes = GltfBuilder::Json::array();
  for (int i = 0; i + 1 < kNodes; ++i) nodes.push_back({{"children", {i + 1}}});
  nodes.push_back({{"mesh", 0}});
  file.json["nodes"] = nodes;
  EXPECT_EQ(outcome(file.glb()), "");
}

TEST(ReadGltf, TextThatIsNoGltfIsNamedAsSuch) {
  EXPECT_THAT(outcome(R"({"frames": []})"), HasSubstr("no glTF"));
  EXPECT_THAT(outcome("glTF\x01"), HasSubstr("cut off or is no GLB"));
  EXPECT_THAT(outcome("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(outcome(""), HasSubstr("a.glb"));
}

}  // namespace
}  // namespace t3d::io::gltf
