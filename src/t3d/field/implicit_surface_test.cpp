#include "t3d/field/implicit_surface.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/field/geometry.h"
#include "t3d/mesh/marching_tetrahedra.h"
#include "tests/support/gradient_error.h"
#include "tests/support/message_of.h"

namespace t3d::field {
namespace {

using testing::fixed_factors;
using ::testing::HasSubstr;
using testing::message_of;

const std::string kNet =
    "pos_encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 12, base_resolution: 4}\n"
    "isosurface_resolution: 16\n";
const std::string kBall = "sdf_bias: sphere\nsdf_bias_params: 0.3\n";

std::unique_ptr<Geometry> make(const std::string& type, const std::string& text) {
  return geometries().make(type, config::read_yaml(kNet + text, "test.yaml"), "system.geometry",
                           {5, c10::kCPU});
}

at::Tensor lengths(const mesh::SurfaceMesh& mesh) {
  return mesh.vertices.norm(2, at::IntArrayRef{1});
}

std::vector<at::Tensor> parameters_of(const Geometry& geometry) {
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : geometry.parameters()) all.push_back(tensor);
  return all;
}

TEST(ImplicitSurface, IsFinerInTheTightBox) {
  const auto error = [](const std::string& text) {
    const auto mesh = make("implicit-sdf", kBall + text)->surface()->surface_mesh();
    return (lengths(mesh) - 0.3).abs().max().item<float>();
  };
  EXPECT_LT(error(""), 0.01f);
  EXPECT_LT(2 * error(""), error("isosurface_coarse_to_fine: false\n"));
}

TEST(ImplicitSurface, HasTheWholeGradientOfTheField) {
  const auto geometry = make("implicit-sdf", kBall + "isosurface_coarse_to_fine: false\n");
  const auto loss = [](const mesh::SurfaceMesh& mesh) {
    return (mesh.vertices * fixed_factors(mesh.vertices)).sum() + mesh::laplacian_smoothness(mesh);
  };
  const mesh::SurfaceMesh ours = geometry->surface()->surface_mesh();
  // Every vertex of the lattice with a graph.
  const mesh::TetLattice lattice = mesh::make_tet_lattice(16);
  const at::Tensor points = in_box(lattice.vertices, cube(1, c10::kCPU));
  mesh::SurfaceMesh whole = mesh::marching_tetrahedra(lattice, geometry->distance()->distance_at(points));
  whole.vertices = in_box(whole.vertices, cube(1, c10::kCPU));
  EXPECT_TRUE(ours.faces.equal(whole.faces));
  EXPECT_LT((ours.vertices - whole.vertices).abs().max().item<float>(), 1e-5f);
  const auto parameters = parameters_of(*geometry);
  const auto of_ours = torch::autograd::grad({loss(ours)}, parameters, {}, false, false, true),
             of_whole = torch::autograd::grad({loss(whole)}, parameters, {}, false, false, true);
  int n_learning = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    ASSERT_EQ(of_ours[i].defined(), of_whole[i].defined());
    if (!of_ours[i].defined()) continue;
    ++n_learning;
    EXPECT_LT((of_ours[i] - of_whole[i]).abs().max().item<float>(),
              1e-3f * of_whole[i].abs().max().item<float>());
  }
  EXPECT_GE(n_learning, 3);
}

TEST(ImplicitSurface, ADeformableGridLearnsItsDeformation) {
  const auto geometry = make("implicit-sdf", kBall + "isosurface_deformable_grid: true\n");
  const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
  const at::Tensor weight = geometry->parameters().at("deformation_network.layers.0.weight");
  EXPECT_GT(torch::autograd::grad({mesh.vertices.square().sum()}, {weight})[0].abs().max().item<float>(), 0);
}

TEST(ImplicitSurface, IsTheSameInChunks) {
  const auto mesh = [](const char* chunk) {
    const c10::NoGradGuard no_grad;
    return make("implicit-volume", cat("isosurface_threshold: 5\nisosurface_chunk: ", chunk, "\n"))
        ->surface()
        ->surface_mesh();
  };
  const mesh::SurfaceMesh whole = mesh("0"), parts = mesh("1000");
  EXPECT_TRUE(whole.faces.equal(parts.faces));
  EXPECT_LT((whole.vertices - parts.vertices).abs().max().item<float>(), 1e-5f);
}

TEST(ImplicitSurface, OfADensityIsAtItsThreshold) {
  for (const char* type : {"implicit-volume", "volume-grid"}) {
    SCOPED_TRACE(type);
    const std::string keys =
        std::string(type) == "volume-grid" ? "pos_encoding_config: null\ngrid_size: [8, 8, 8]\n" : "";
    const auto geometry = geometries().make(
        type,
        config::read_yaml(
            (keys.empty() ? kNet : std::string("isosurface_resolution: 16\ngrid_size: [8, 8, 8]\n")) +
                "isosurface_threshold: auto\n",
            "test.yaml"),
        "system.geometry", {5, c10::kCPU});
    const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
    const at::Tensor values = geometry->density()->density_at(mesh.vertices);
    EXPECT_LT((values.max() - values.min()).item<float>(), 1.f);
    EXPECT_GT((mesh::vertex_normals(mesh) * mesh.vertices).sum(1).min().item<float>(), 0);
  }
}

TEST(ImplicitSurface, WhereThereIsNoneSaysWhatToChange) {
  const auto message = [](const char* type, const std::string& text) {
    return message_of<UserError>([&] { make(type, text)->surface()->surface_mesh(); });
  };
  EXPECT_THAT(message("implicit-volume", "isosurface_threshold: 1000\n"),
              HasSubstr("isosurface_threshold=1000"));
  EXPECT_THAT(message("implicit-volume", "isosurface_threshold: 1000\n"), HasSubstr("or write auto"));
  EXPECT_THAT(message("implicit-sdf", "sdf_bias: 1.0\n"), HasSubstr("geometry.shape_init"));
  EXPECT_THAT(message("implicit-sdf", "sdf_bias: -1.0\n"), HasSubstr("no surface"));
  EXPECT_THAT(message("implicit-sdf", kBall + "isosurface: false\n"),
              HasSubstr("geometry.isosurface is false"));
  EXPECT_THAT(message("implicit-sdf", "isosurface_threshold: aut\n"), HasSubstr("expected a number or auto"));
}

TEST(ImplicitSurface, ASurfaceThatLeavesTheBoxIsOpenThere) {
  const auto geometry = make("implicit-sdf", "sdf_bias: sphere\nsdf_bias_params: 1.2\n");
  const c10::NoGradGuard no_grad;
  const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
  EXPECT_NE(2 * mesh::unique_edges(mesh.faces).size(0), 3 * mesh.faces.size(0));
  const mesh::TetLattice lattice = mesh::make_tet_lattice(4);
  bool has_warned = false;
  warn_if_cut_off(lattice, lattice.vertices.select(1, 0) - 0.5, has_warned, "");
  EXPECT_TRUE(has_warned);
  has_warned = false;
  warn_if_cut_off(lattice, (lattice.vertices - 0.5).norm(2, at::IntArrayRef{1}) - 0.3, has_warned, "");
  EXPECT_FALSE(has_warned);
}

}  // namespace
}  // namespace t3d::field
