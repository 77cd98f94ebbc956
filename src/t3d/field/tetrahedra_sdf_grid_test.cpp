#include "t3d/field/tetrahedra_sdf_grid.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/field/tet_grid.h"
#include "tests/support/golden_report.h"
#include "tests/support/message_of.h"
#include "tests/support/npz_writer.h"
#include "tests/support/temporary_folder.h"

namespace t3d::field {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const std::string kNet =
    "pos_encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 12, base_resolution: 4}\n";
const std::string kSphere = "shape_init: sphere\nshape_init_params: 0.5\n";
const std::string kGrid = kNet + "isosurface_resolution: 16\n";

std::unique_ptr<Geometry> make(const std::string& type, const std::string& text) {
  return geometries().make(type, config::read_yaml(text, "test.yaml"), "system.geometry", {5, c10::kCPU});
}

std::unique_ptr<Geometry> grid(const std::string& text = "") {
  auto geometry = make("tetrahedra-sdf-grid", kGrid + text);
  geometry->initialize_shape(false);
  return geometry;
}

at::Tensor lengths(const mesh::SurfaceMesh& mesh) {
  return mesh.vertices.norm(2, at::IntArrayRef{1});
}

at::Tensor tensor_of(const Geometry& geometry, const std::string& name) {
  NamedTensors all, buffers;
  geometry.collect("", all, buffers);
  all.insert(buffers.begin(), buffers.end());
  return all.at(name);
}

TEST(TetrahedraSdfGrid, BeginsAsItsShapeInItsBox) {
  const auto geometry = grid("radius: 1.5\n" + kSphere);
  const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
  EXPECT_LT((lengths(mesh) - 0.5).abs().max().item<float>(), 0.06f);
  EXPECT_TRUE(mesh.vertices.requires_grad());
  EXPECT_GT((mesh::vertex_normals(mesh) * mesh.vertices).sum(1).min().item<float>(), 0.3f);
}

TEST(TetrahedraSdfGrid, WithoutAShapeSaysHowToGetOne) {
  EXPECT_THAT(message_of<UserError>([] { grid()->surface()->surface_mesh(); }),
              HasSubstr("the signed distance is 0 at all vertices of the tetrahedra. Begin with a shape: set "
                        "geometry.shape_init"));
  const auto geometry = grid(kSphere);
  const c10::NoGradGuard no_grad;
  tensor_of(*geometry, "sdf").fill_(-1);
  EXPECT_THAT(message_of<UserError>([&] { geometry->surface()->surface_mesh(); }), HasSubstr("of one sign"));
}

TEST(TetrahedraSdfGrid, LearnsASmallerSphere) {
  const auto geometry = grid(kSphere);
  const at::Tensor sdf = tensor_of(*geometry, "sdf"), deformation = tensor_of(*geometry, "deformation");
  const auto loss = [&] { return (lengths(geometry->surface()->surface_mesh()) - 0.42).square().mean(); };
  const double before = loss().item<double>();
  for (int step = 0; step < 30; ++step) {
    const auto gradients = torch::autograd::grad({loss()}, {sdf, deformation});
    const c10::NoGradGuard no_grad;
    sdf.sub_(gradients[0], 20);
    deformation.sub_(gradients[1], 20);
  }
  EXPECT_LT(loss().item<double>(), 0.2 * before);
}

TEST(TetrahedraSdfGrid, AFixedShapeIsABufferAndCutOnce) {
  const auto geometry = grid("fix_geometry: true\n" + kSphere);
  EXPECT_EQ(geometry->parameters().count("sdf"), 0u);
  const mesh::SurfaceMesh first = geometry->surface()->surface_mesh();
  EXPECT_FALSE(first.vertices.requires_grad());
  EXPECT_TRUE(first.vertices.is_same(geometry->surface()->surface_mesh().vertices));
  tensor_of(*geometry, "sdf").add_(0.1);  // as a checkpoint does that is loaded later
  EXPECT_LT(lengths(geometry->surface()->surface_mesh()).max().item<float>(), 0.45f);
}

TEST(TetrahedraSdfGrid, HasNoFeaturesWhereItIsGeometryOnly) {
  const auto geometry = grid("geometry_only: true\n" + kSphere);
  EXPECT_EQ(geometry->appearance(), nullptr);
  EXPECT_EQ(geometry->parameters().size(), 2u);
}

TEST(TetrahedraSdfGrid, OutliersAreLeftOutWhereTheShapeDoesNotLearn) {
  const auto geometry =
      grid("isosurface_remove_outliers: true\nisosurface_outlier_n_faces_threshold: 0.2\n" + kSphere);
  {
    const c10::NoGradGuard no_grad;
    const at::Tensor sdf = tensor_of(*geometry, "sdf");
    const int64_t corner = sdf.view({-1}).argmax().item<int64_t>();
    sdf[corner] = -0.1;
  }
  const int64_t n_learning = geometry->surface()->surface_mesh().faces.size(0);
  const c10::NoGradGuard no_grad;
  EXPECT_LT(geometry->surface()->surface_mesh().faces.size(0), n_learning);
}

TEST(TetrahedraSdfGrid, WeightsKeepTheirShapeUnlessTheFirstShapeIsForced) {
  for (const bool is_forced : {false, true}) {
    const auto geometry =
        make("tetrahedra-sdf-grid", kGrid + kSphere + (is_forced ? "force_shape_init: true\n" : ""));
    geometry->initialize_shape(/*has_weights=*/true);
    EXPECT_EQ(tensor_of(*geometry, "sdf").any().item<bool>(), is_forced);
  }
}

TEST(TetrahedraSdfGrid, StartsAsAnotherGridAndAsDensitiesAndDistances) {
  const auto first = grid(kSphere);
  const auto second = grid("radius: 1\n");
  second->start_as(*first, true);
  EXPECT_TRUE(second->surface()->surface_mesh().vertices.equal(first->surface()->surface_mesh().vertices));
  const at::Tensor points = at::rand({9, 3}) - 0.5;
  EXPECT_TRUE(second->appearance()->features_at(points).equal(first->appearance()->features_at(points)));

  const auto distance = make("implicit-sdf", kNet + "sdf_bias: sphere\nsdf_bias_params: 0.4\n");
  const auto third = grid();
  third->start_as(*distance, true);
  EXPECT_LT((lengths(third->surface()->surface_mesh()) - 0.4).abs().max().item<float>(), 0.02f);
  EXPECT_TRUE(third->appearance()->features_at(points).equal(distance->appearance()->features_at(points)));
  EXPECT_LT(tensor_of(*third, "isosurface_bbox").abs().max().item<float>(), 0.6f);

  const auto density = make("implicit-volume", kNet + "isosurface_threshold: 4\n");
  third->start_as(*density, false);
  EXPECT_LE(tensor_of(*third, "sdf").abs().max().item<float>(), 1);
  EXPECT_NEAR(lengths(third->surface()->surface_mesh()).mean().item<float>(), 0.3f, 0.02f);
}

TEST(TetrahedraSdfGrid, SaysWhyItCannotStartAsAnother) {
  const auto first = grid(kSphere);
  const auto message = [&](const Geometry& from, const std::string& text, bool with_features = true) {
    return message_of<UserError>([&] { make("tetrahedra-sdf-grid", text)->start_as(from, with_features); });
  };
  EXPECT_THAT(message(*first, kNet + "isosurface_resolution: 8\n"), HasSubstr("isosurface_resolution=16"));
  EXPECT_THAT(message(*first, kGrid + "radius: 2\n"), HasSubstr("Set system.geometry.radius=1"));
  EXPECT_EQ(message(*first, kGrid + "radius: 2\n", false), "");
  EXPECT_THAT(message(*first, kGrid + "n_feature_dims: 5\n"), HasSubstr("feature_network"));
  const auto empty = make("implicit-volume", kNet + "density_bias: -30.0\n");
  EXPECT_THAT(message(*empty, kGrid), HasSubstr("isosurface_threshold"));
  EXPECT_THAT(message(*empty, kGrid), HasSubstr("set by system.geometry_convert_override"));
}

TEST(TetGrid, OurGridOf32IsTheShippedOneInItsOrder) {
  T3D_NEED_FILE(testing::data_folder() + "/tets/32_tets.npz");
  const mesh::TetLattice theirs = open_tet_lattice(32, c10::kCPU, testing::data_folder() + "/tets"),
                         ours = mesh::make_tet_lattice(32);
  EXPECT_TRUE(ours.vertices.equal(theirs.vertices));
  EXPECT_TRUE(ours.corners.equal(theirs.corners));
}

TEST(TetGrid, SaysWhatIsWrongWithAFile) {
  const testing::TemporaryFolder folder;
  using testing::npz_array;
  const auto message = [&](const std::string& vertices, const std::string& indices,
                           const char* name = "indices.npy") {
    testing::write_text(folder / "8_tets.npz",
                        testing::npz({{"vertices.npy", vertices}, {name, indices}}, true));
    return message_of<UserError>([&] { open_tet_lattice(8, c10::kCPU, folder.string()); });
  };
  const std::string corners = npz_array<double>("<f8", {4, 3}, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1});
  const std::string one = npz_array<int64_t>("<i8", {1, 4}, {0, 1, 2, 3});
  EXPECT_EQ(message(corners, one), "");
  EXPECT_EQ(open_tet_lattice(8, c10::kCPU, folder.string()).n_vertices(), 4);
  EXPECT_THAT(message(corners, one, "tets.npy"), HasSubstr("8_tets.npz: has no array indices"));
  EXPECT_THAT(message(npz_array<double>("<f8", {4, 3}, {0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1}), one),
              HasSubstr("outside of [0,1]"));
  EXPECT_THAT(message(corners, npz_array<int64_t>("<i8", {1, 4}, {0, 1, 2, 4})), HasSubstr("4 are there"));
  EXPECT_THAT(message(corners, npz_array<int64_t>("<i8", {2, 2}, {0, 1, 2, 3})),
              HasSubstr("[N,4] was expected"));
  EXPECT_THAT(message_of<UserError>([&] { open_tet_lattice(600, c10::kCPU, folder.string()); }),
              HasSubstr("made up to 512"));
}

}  // namespace
}  // namespace t3d::field
