#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/mesh/marching_tetrahedra.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::mesh {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;

constexpr double kOutput = 1e-4, kGradient = 1e-3;
const char *const kCases = "dmtet/cases.safetensors", *const kGeometry =
                                                          "tetrahedra-sdf-grid/cases.safetensors";

void expect_near(const GoldenCases& cases, const std::string& name, const at::Tensor& actual,
                 double allowed) {
  const double error = testing::max_relative_error(actual, cases.tensor(name));
  testing::record_golden("dmtet/" + name, error);
  EXPECT_LT(error, allowed) << name;
}

TetLattice lattice_in(const GoldenCases& cases) {
  return lattice_of(cases.tensor("grid_vertices"), cases.tensor("tets"),
                    static_cast<int>(cases.number("resolution")));
}

TEST(GoldenMarchingTetrahedra, MeshesTheirTermsAndAllGradientsMatch) {
  T3D_NEED_CASES(kCases);
  const GoldenCases cases(kCases);
  const TetLattice lattice = lattice_in(cases);
  for (const std::string& run : GoldenOptions(kCases).runs()) {
    SCOPED_TRACE(run);
    const bool is_deformed = GoldenOptions(kCases).run(run).truth("deformation");
    const std::string own = run + "sdf";
    const at::Tensor level = cases.tensor(cases.contains(own) ? own : "sdf").clone().requires_grad_();
    const at::Tensor deformation =
        is_deformed ? cases.tensor("deformation").clone().requires_grad_() : at::Tensor();
    const SurfaceMesh mesh = marching_tetrahedra(lattice, level, deformation);
    EXPECT_TRUE(mesh.faces.equal(cases.tensor(run + "faces")));
    expect_near(cases, run + "verts", mesh.vertices, kOutput);
    if (!cases.contains(run + "R")) continue;
    EXPECT_TRUE(unique_edges(mesh.faces).equal(cases.tensor(run + "edges")));

    const auto gradient = [&](const std::string& name, const at::Tensor& loss) {
      for (const auto& [of, tensor] :
           {std::make_pair("sdf", level), std::make_pair("deformation", deformation)}) {
        const std::string recorded = run + "grad." + of + name;
        if (!cases.contains(recorded)) continue;
        expect_near(cases, recorded, torch::autograd::grad({loss}, {tensor}, {}, true)[0], kGradient);
      }
    };
    gradient("", (mesh.vertices * cases.tensor(run + "R")).sum());
    const at::Tensor normals = vertex_normals(mesh);
    expect_near(cases, run + "v_nrm", normals, kOutput);
    gradient(".normals", (normals * cases.tensor(run + "Rn")).sum());
    for (const auto& [name, term] : {std::make_pair("normal_consistency", normal_consistency(mesh)),
                                     std::make_pair("laplacian", laplacian_smoothness(mesh))}) {
      expect_near(cases, run + name, term, kOutput);
      gradient(std::string(".") + name, term);
    }
  }
  EXPECT_TRUE(lattice.ends.t().to(at::kLong).equal(cases.tensor("all_edges")));
}

TEST(GoldenMarchingTetrahedra, EveryCaseOfOneTetrahedronMatches) {
  T3D_NEED_CASES(kCases);
  const GoldenCases cases(kCases);
  const TetLattice lattice = lattice_of(cases.tensor("single.verts_in"), at::arange(4).reshape({1, 4}), 1);
  for (const auto& number : GoldenOptions(kCases).at("single").at("cases")) {
    const auto k = number.get<int64_t>();
    const std::string name = "single.case" + std::to_string(k) + ".";
    const at::Tensor signs =
        at::arange(4).mul(0).add(k).bitwise_right_shift(at::arange(4)).bitwise_and(1) * 2 - 1;
    const SurfaceMesh mesh = marching_tetrahedra(lattice, cases.tensor("single.magnitude") * signs);
    EXPECT_TRUE(mesh.faces.equal(cases.tensor(name + "faces"))) << name;
    expect_near(cases, name + "verts", mesh.vertices, kOutput);
  }
}

TEST(GoldenMarchingTetrahedra, PatternsOfACubeMatch) {
  T3D_NEED_CASES(kGeometry);
  const GoldenCases cases(kGeometry);
  const TetLattice lattice = lattice_of(cases.tensor("cube.vertices"), cases.tensor("cube.tets"), 1);
  const at::Tensor levels = cases.tensor("cube.sdf");
  int64_t vertex = 0, face = 0;
  for (int64_t i = 0; i < levels.size(0); ++i) {
    const SurfaceMesh mesh = marching_tetrahedra(lattice, levels[i]);
    const int64_t n_vertices = cases.tensor("cube.n_verts")[i].item<int64_t>(),
                  n_faces = cases.tensor("cube.n_faces")[i].item<int64_t>();
    ASSERT_EQ(mesh.vertices.size(0), n_vertices) << "pattern " << i;
    EXPECT_TRUE(mesh.faces.equal(cases.tensor("cube.faces").narrow(0, face, n_faces))) << "pattern " << i;
    EXPECT_LT(
        testing::max_relative_error(mesh.vertices, cases.tensor("cube.verts").narrow(0, vertex, n_vertices)),
        kOutput);
    vertex += n_vertices, face += n_faces;
  }
  EXPECT_EQ(vertex, cases.tensor("cube.verts").size(0));
}

}  // namespace
}  // namespace t3d::mesh
