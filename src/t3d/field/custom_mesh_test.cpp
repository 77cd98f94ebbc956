#include "t3d/field/custom_mesh.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "tests/awkward_meshes.h"
#include "tests/support/box_file.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d::field {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const std::string kNet =
    "pos_encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 12, base_resolution: 4}\n";

std::unique_ptr<Geometry> make(const std::string& text) {
  return geometries().make("custom-mesh", config::read_yaml(kNet + text, "test.yaml"), "system.geometry",
                           {5, c10::kCPU});
}

std::string keys_of(const std::string& path, const std::string& more = "") {
  return "shape_init: 'mesh:" + path + "'\nshape_init_params: 0.8\n" + more;
}

TEST(CustomMesh, IsTheFileInItsPlace) {
  const testing::TemporaryFolder folder;
  testing::write_box_file(folder / "box.obj", {1, 2, 3}, {3, 3, 3.5f});
  const auto geometry = make(keys_of(folder / "box.obj"));
  const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
  EXPECT_EQ(mesh.vertices.size(0), 8);
  EXPECT_EQ(mesh.faces.size(0), 12);
  EXPECT_TRUE(at::allclose(mesh.vertices.amax(0), at::tensor({0.8f, 0.4f, 0.2f})));
  EXPECT_TRUE(at::allclose(mesh.vertices.amin(0), at::tensor({-0.8f, -0.4f, -0.2f})));
  EXPECT_FALSE(mesh.vertices.requires_grad());
  EXPECT_GT((mesh::vertex_normals(mesh) * mesh.vertices).sum(1).min().item<float>(), 0);
  EXPECT_EQ(geometry->appearance()->features_at(mesh.vertices).sizes(), (std::vector<int64_t>{8, 3}));
  const auto turned =
      make(keys_of(folder / "box.obj", "shape_init_mesh_up: +x\nshape_init_mesh_front: +y\n"));
  EXPECT_TRUE(
      at::allclose(turned->surface()->surface_mesh().vertices.amax(0), at::tensor({0.4f, 0.2f, 0.8f})));
}

TEST(CustomMesh, KeepsTextureCoordinatesWithoutSeamsInItsNormals) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "fold.obj",
                      "v 0 0 0\nv 1 0 0\nv 1 1 0.2\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt 0.5 0.5\n"
                      "f 1/1 2/2 3/3\nf 1/5 3/3 4/4\n");
  const mesh::SurfaceMesh mesh = make(keys_of(folder / "fold.obj"))->surface()->surface_mesh();
  EXPECT_EQ(mesh.vertices.size(0), 4);
  ASSERT_TRUE(mesh.uv.defined());
  const at::Tensor corners = mesh.uv.index_select(0, mesh.uv_faces.reshape({-1}));
  EXPECT_TRUE(at::allclose(
      corners, at::tensor({0.f, 0.f, 1.f, 0.f, 1.f, 1.f, 0.5f, 0.5f, 1.f, 1.f, 0.f, 1.f}).reshape({6, 2})));
}

TEST(CustomMesh, AwkwardFilesAreMeshesOrSayWhatIsWrong) {
  const testing::TemporaryFolder folder;
  for (const auto& awkward : testing::awkward_meshes()) {
    SCOPED_TRACE(awkward.name);
    testing::write_text(folder / awkward.name, awkward.text);
    std::unique_ptr<Geometry> geometry;
    const std::string message = message_of([&] { geometry = make(keys_of(folder / awkward.name)); });
    ASSERT_EQ(geometry == nullptr, !message.empty());
    EXPECT_THAT(message, HasSubstr(awkward.message));
    if (geometry == nullptr) continue;
    const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
    EXPECT_EQ(mesh.faces.size(0), awkward.n_faces);
    EXPECT_TRUE(mesh.vertices.isfinite().all().item<bool>());
    EXPECT_TRUE(mesh::vertex_normals(mesh).isfinite().all().item<bool>());
    EXPECT_TRUE(mesh::normal_consistency(mesh).isfinite().item<bool>());
  }
}

TEST(CustomMesh, SaysWhichKeysItNeeds) {
  EXPECT_THAT(message_of<UserError>([] { make(""); }), HasSubstr("geometry.shape_init is missing"));
  EXPECT_THAT(message_of<UserError>([] { make("shape_init: sphere\nshape_init_params: 1\n"); }),
              HasSubstr("expected mesh:PATH"));
  EXPECT_THAT(message_of<UserError>([] { make("shape_init: mesh:a.obj\n"); }),
              HasSubstr("shape_init_params"));
  EXPECT_THAT(message_of<Error>([] { make(keys_of("nowhere.obj")); }), HasSubstr("nowhere.obj"));
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "empty.obj", "");
  EXPECT_THAT(message_of<UserError>([&] { make(keys_of(folder / "empty.obj")); }), HasSubstr("empty.obj"));
}

TEST(CustomMesh, TakesFeaturesOfAnotherCustomMeshAlone) {
  const testing::TemporaryFolder folder;
  testing::write_box_file(folder / "box.obj", {0, 0, 0}, {1, 1, 1});
  const auto first = make(keys_of(folder / "box.obj")), second = make(keys_of(folder / "box.obj"));
  const at::Tensor points = at::rand({5, 3});
  at::Tensor(first->parameters().at("feature_network.layers.0.weight")).set_requires_grad(false).mul_(2);
  second->start_as(*first, true);
  EXPECT_TRUE(second->appearance()->features_at(points).equal(first->appearance()->features_at(points)));
  const auto volume = geometries().make("implicit-volume", config::read_yaml(kNet, "test.yaml"),
                                        "system.geometry", {5, c10::kCPU});
  EXPECT_THAT(message_of<UserError>([&] { second->start_as(*volume, true); }),
              HasSubstr("tetrahedra-sdf-grid"));
}

}  // namespace
}  // namespace t3d::field
