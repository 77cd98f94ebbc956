#include "t3d/mesh/surface_mesh.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/mesh/rows.h"
#include "t3d/mesh/unique_pairs.h"
#include "tests/support/gradient_error.h"

namespace t3d::mesh {
namespace {

using testing::fixed_factors;
using testing::gradient_error;

at::Tensor indices(at::ArrayRef<int64_t> values, int64_t width) {
  return at::tensor(values, at::kLong).reshape({-1, width});
}

/// Eight faces around the origin, counter-clockwise from outside, corners at distance 1.
SurfaceMesh octahedron(at::ScalarType type = at::kDouble) {
  const at::Tensor eye = at::eye(3, type);
  return {at::cat({eye, -eye}),
          indices({0, 1, 2, 1, 3, 2, 3, 4, 2, 4, 0, 2, 1, 0, 5, 3, 1, 5, 4, 3, 5, 0, 4, 5}, 3)};
}

/// The same with its corners moved about, texture coordinates, and without its last face: in a closed
/// octahedron opposite vertices have opposite normals whatever its corners are, and the terms of its edges
/// cancel.
SurfaceMesh lopsided() {
  SurfaceMesh mesh = octahedron();
  mesh.faces = mesh.faces.narrow(0, 0, 7);
  mesh.vertices = mesh.vertices + 0.2 * fixed_factors(mesh.vertices);
  mesh.uv = fixed_factors(at::empty({21, 2}, at::kDouble));
  mesh.uv_faces = at::arange(21, at::kLong).reshape({7, 3});
  return mesh;
}

TEST(SurfaceMesh, NormalsOfAConvexMeshPointOutwards) {
  const SurfaceMesh mesh = octahedron();
  EXPECT_TRUE(at::allclose(vertex_normals(mesh), mesh.vertices));
  const at::Tensor outwards = (face_normals(mesh) * face_corners(mesh).mean(1)).sum(1);
  EXPECT_TRUE((outwards > 0).all().item<bool>());
}

TEST(SurfaceMesh, TangentsFollowTheTextureAndStandOnTheNormals) {
  SurfaceMesh plane{at::tensor({0., 0., 0., 1., 0., 0., 0., 1., 0.}).reshape({3, 3}), indices({0, 1, 2}, 3)};
  plane.uv = at::tensor({0., 0., 0., 2., 2., 0.}).reshape({3, 2});  // u grows along y
  plane.uv_faces = plane.faces;
  EXPECT_TRUE(at::allclose(vertex_tangents(plane), at::tensor({0., 1., 0.}).expand({3, 3})));
  const SurfaceMesh mesh = lopsided();
  const at::Tensor tangents = vertex_tangents(mesh);
  EXPECT_TRUE(at::allclose(tangents.norm(2, at::IntArrayRef{1}), at::ones({6}, at::kDouble)));
  EXPECT_LT((tangents * vertex_normals(mesh)).sum(1).abs().max().item<double>(), 1e-12);
}

TEST(SurfaceMesh, VerticesThatNoFaceUsesHaveNumbers) {
  SurfaceMesh mesh = lopsided();
  mesh.vertices = at::cat({mesh.vertices, at::ones({1, 3}, at::kDouble)}).requires_grad_();
  EXPECT_TRUE(vertex_normals(mesh)[6].equal(at::tensor({0., 0., 1.}, at::kDouble)));
  EXPECT_TRUE(vertex_tangents(mesh)[6].equal(at::zeros({3}, at::kDouble)));
  const at::Tensor loss = vertex_tangents(mesh).sum() + normal_consistency(mesh) + laplacian_smoothness(mesh);
  EXPECT_TRUE(torch::autograd::grad({loss}, {mesh.vertices})[0].isfinite().all().item<bool>());
}

TEST(SurfaceMesh, TermsAreThoseOfAnOctahedron) {
  const SurfaceMesh mesh = octahedron();
  EXPECT_NEAR(normal_consistency(mesh).item<double>(), 1, 1e-12);    // neighbours' normals stand upright
  EXPECT_NEAR(laplacian_smoothness(mesh).item<double>(), 4, 1e-12);  // 4 v minus four corners that cancel
}

TEST(SurfaceMesh, TermsOfNothingAreZero) {
  const SurfaceMesh nothing{at::zeros({0, 3}), indices({}, 3)};
  EXPECT_EQ(normal_consistency(nothing).item<float>(), 0);
  EXPECT_EQ(laplacian_smoothness(nothing).item<float>(), 0);
  EXPECT_EQ(vertex_normals(nothing).size(0), 0);
  EXPECT_EQ(without_outliers(nothing, 0.5).faces.size(0), 0);
}

TEST(SurfaceMesh, GradientsMatchFiniteDifferences) {
  const auto error = [](const auto& of) {
    return gradient_error(
        [&](const at::Tensor& x) {
          SurfaceMesh mesh = lopsided();
          mesh.vertices = x;
          const at::Tensor value = of(mesh);
          return (value * fixed_factors(value)).sum();
        },
        lopsided().vertices);
  };
  EXPECT_LT(error(face_normals), 1e-7);
  EXPECT_LT(error(vertex_normals), 1e-7);
  EXPECT_LT(error([](const SurfaceMesh& mesh) { return vertex_tangents(mesh); }), 1e-6);
  EXPECT_LT(error(normal_consistency), 1e-7);
  EXPECT_LT(error(laplacian_smoothness), 1e-7);
}

TEST(SurfaceMesh, GradientsHaveGradients) {
  const auto slope = [](const at::Tensor& x) {
    SurfaceMesh mesh = octahedron();
    mesh.vertices = x;
    const c10::AutoGradMode with_gradients(true);
    const at::Tensor of = x.requires_grad() ? x : x.clone().requires_grad_();
    mesh.vertices = of;
    const at::Tensor loss = normal_consistency(mesh) + laplacian_smoothness(mesh).square();
    return torch::autograd::grad({loss}, {of}, {}, true, true)[0].square().sum();
  };
  EXPECT_LT(gradient_error(slope, lopsided().vertices), 1e-6);
}

TEST(SurfaceMesh, WithoutOutliersKeepsTextureCoordinatesOfTheFacesThatStay) {
  SurfaceMesh mesh = lopsided();
  mesh.vertices = at::cat({mesh.vertices, mesh.vertices.narrow(0, 0, 3) + 5});
  mesh.faces = at::cat({indices({6, 7, 8}, 3), mesh.faces});
  mesh.uv_faces = at::cat({indices({3, 2, 1}, 3), mesh.uv_faces});
  const SurfaceMesh kept = without_outliers(mesh, 2);
  EXPECT_TRUE(kept.vertices.equal(lopsided().vertices));
  EXPECT_TRUE(kept.faces.equal(lopsided().faces));
  EXPECT_TRUE(kept.uv_faces.equal(lopsided().uv_faces));
  mesh.vertices.requires_grad_();
  EXPECT_EQ(without_outliers(mesh, 2).faces.size(0), 8);
}

TEST(UniquePairs, AreSortedAndFoundAgain) {
  const at::Tensor pairs = indices({5, 1, 0, 7, 5, 0, 0, 7, 2, 2, 5, 1}, 2);
  const UniquePairs unique = unique_pairs(pairs);
  EXPECT_TRUE(unique.pairs.equal(indices({0, 7, 2, 2, 5, 0, 5, 1}, 2)));
  EXPECT_TRUE(unique.pairs.index_select(0, unique.place).equal(pairs));
  EXPECT_EQ(unique_pairs(indices({}, 2)).pairs.size(0), 0);
}

TEST(Rows, SumsAreTheTransposedGathering) {
  const at::Tensor x = at::rand({5, 2}, at::kDouble), y = at::rand({7, 2}, at::kDouble);
  const at::Tensor index = at::tensor({4, 0, 0, 3, 4, 4, 1}, at::kLong);
  EXPECT_NEAR((gather_rows(x, index) * y).sum().item<double>(),
              (x * sum_rows(y, index, 5)).sum().item<double>(), 1e-12);
}

}  // namespace
}  // namespace t3d::mesh
