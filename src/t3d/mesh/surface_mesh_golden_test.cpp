#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <functional>

#include "t3d/mesh/surface_mesh.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::mesh {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;

constexpr double kOutput = 1e-4, kGradient = 1e-3;
const char *const kClosed = "mesh-losses/cases_closed.safetensors", *const kOpen =
                                                                        "mesh-losses/cases_open.safetensors";

class GoldenMeshes : public ::testing::TestWithParam<const char*> {};

SurfaceMesh mesh_of(const GoldenCases& cases, const std::string& prefix = "") {
  SurfaceMesh mesh{cases.tensor(prefix + "v_pos"), cases.tensor(prefix + "t_pos_idx")};
  if (cases.contains(prefix + "v_tex"))
    mesh.uv = cases.tensor(prefix + "v_tex"), mesh.uv_faces = cases.tensor(prefix + "t_tex_idx");
  return mesh;
}

void expect_near(const GoldenCases& cases, const std::string& name, const at::Tensor& actual,
                 double allowed) {
  const double error = testing::max_relative_error(actual, cases.tensor(name));
  testing::record_golden("mesh-losses/" + name, error);
  EXPECT_LT(error, allowed) << name;
}

/// The value of `of` and the gradient of its sum with the recorded weights, where there are any.
void expect_parity(const GoldenCases& cases, const std::string& name, SurfaceMesh mesh,
                   const std::function<at::Tensor(const SurfaceMesh&)>& of) {
  mesh.vertices = mesh.vertices.clone().requires_grad_();
  const at::Tensor value = of(mesh);
  expect_near(cases, name, value, kOutput);
  const size_t dot = name.find('.');
  const std::string gradient =
      dot == std::string::npos ? "grad." + name : name.substr(0, dot) + ".grad." + name.substr(dot + 1);
  if (!cases.contains(gradient)) return;
  const at::Tensor loss = cases.contains("R." + name) ? (value * cases.tensor("R." + name)).sum() : value;
  expect_near(cases, gradient, torch::autograd::grad({loss}, {mesh.vertices})[0], kGradient);
}

TEST_P(GoldenMeshes, NormalsTangentsAndTermsMatch) {
  T3D_NEED_CASES(GetParam());
  const GoldenCases cases(GetParam());
  const SurfaceMesh mesh = mesh_of(cases);
  expect_parity(cases, "v_nrm", mesh, vertex_normals);
  expect_parity(cases, "v_tng", mesh, [](const SurfaceMesh& m) { return vertex_tangents(m); });
  expect_parity(cases, "normal_consistency", mesh, normal_consistency);
  expect_parity(cases, "laplacian", mesh, laplacian_smoothness);
  EXPECT_TRUE(unique_edges(mesh.faces).equal(cases.tensor("edges")));
}

INSTANTIATE_TEST_SUITE_P(All, GoldenMeshes, ::testing::Values(kClosed, kOpen),
                         [](const auto& info) { return info.param == kClosed ? "Closed" : "Open"; });

TEST(GoldenMeshes, DegenerateFacesAndUnusedVerticesMatch) {
  T3D_NEED_CASES(kClosed);
  const GoldenCases cases(kClosed);
  const SurfaceMesh mesh = mesh_of(cases, "degenerate.");
  EXPECT_TRUE(unique_edges(mesh.faces).equal(cases.tensor("degenerate.edges")));
  expect_parity(cases, "degenerate.v_nrm", mesh, vertex_normals);
  expect_parity(cases, "degenerate.normal_consistency", mesh, normal_consistency);
  expect_parity(cases, "degenerate.laplacian", mesh, laplacian_smoothness);
}

using Corner = std::array<float, 3>;

/// Faces by the places of their corners, the smallest one first, in an order that does not depend on theirs.
std::vector<std::array<Corner, 3>> as_set(const at::Tensor& vertices, const at::Tensor& faces) {
  const at::Tensor corners = vertices.index_select(0, faces.reshape({-1})).contiguous();
  std::vector<std::array<Corner, 3>> out(static_cast<size_t>(faces.size(0)));
  const float* v = corners.data_ptr<float>();
  for (auto& face : out) {
    for (Corner& corner : face)
      for (float& x : corner) x = *v++;
    std::rotate(face.begin(), std::min_element(face.begin(), face.end()), face.end());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(GoldenMeshes, WithoutOutliersTheSamePartsStay) {
  T3D_NEED_CASES(kClosed);
  const GoldenCases cases(kClosed);
  const GoldenOptions options(kClosed);
  for (const std::string set : {"outlier", "connect"}) {
    const SurfaceMesh mesh = mesh_of(cases, set + ".");
    for (const auto& [name, run] : options.at(set).items()) {
      SCOPED_TRACE(set + "." + name);
      const SurfaceMesh kept = without_outliers(mesh, run.at("outlier_n_faces_threshold").get<double>());
      const at::Tensor vertices = cases.tensor(set + "." + name + ".v_pos");
      EXPECT_EQ(kept.vertices.size(0), vertices.size(0));
      EXPECT_EQ(as_set(kept.vertices, kept.faces),
                as_set(vertices, cases.tensor(set + "." + name + ".t_pos_idx")));
    }
  }
}

}  // namespace
}  // namespace t3d::mesh
