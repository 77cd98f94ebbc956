#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <string>

#include "t3d/raster/antialias.h"
#include "t3d/raster/barycentrics.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/rasterize.h"
#include "tests/support/golden_cases.h"

namespace t3d::raster {
namespace {

using testing::GoldenCases;
using testing::max_relative_error;
using testing::record_golden;

constexpr double kOutput = 1e-4;    // of the largest entry
constexpr double kGradient = 1e-3;  // of the largest entry
/// Of all pixels: the recorded rasterizer snaps vertices to a coarser grid, so that pixels at triangles'
/// edges show a neighbour.
constexpr double kOtherTriangle = 0.0075;

std::string file_of(const std::string& scene) {
  return "rasterizer/cases_" + scene + ".safetensors";
}

/// Tensors of one scene; gradients are asked of pos and attr.
struct Scene {
  explicit Scene(const std::string& name)
      : cases(file_of(name)),
        label("rasterizer/" + name + "."),
        pos(cases.tensor("pos").set_requires_grad(true)),
        attr(cases.tensor("attr").set_requires_grad(true)),
        tri(cases.tensor("tri")),
        rast(cases.tensor("rast")) {}

  /// Of the recorded triangles, so that edges' pixels are the same.
  Rasterized of_recorded_triangles() const { return barycentrics(pos, tri, rast.select(3, 3).to(at::kInt)); }
  void expect(const at::Tensor& actual, const std::string& entry, double tolerance) const {
    const double error = max_relative_error(actual, cases.tensor(entry));
    EXPECT_LT(error, tolerance) << label << entry;
    record_golden(label + entry, error);
  }
  void expect_gradient(const at::Tensor& loss, const at::Tensor& of, const std::string& entry) const {
    expect(torch::autograd::grad({loss}, {of}, {}, true)[0], entry, kGradient);
  }

  GoldenCases cases;
  std::string label;
  at::Tensor pos, attr, tri, rast;
};

/// How far each pixel's centre is from the nearest edge of its triangle, in pixels; infinite without one.
at::Tensor edge_distance(const Rasterized& image) {
  const at::Tensor u = image.rast.select(3, 0), v = image.rast.select(3, 1);  // [B,H,W]
  const at::Tensor u_slope = image.rast_db.slice(3, 0, 2), v_slope = image.rast_db.slice(3, 2, 4);
  const auto distance = [](const at::Tensor& b, const at::Tensor& slope) { return b / slope.norm(2, -1); };
  const at::Tensor nearest = at::minimum(at::minimum(distance(u, u_slope), distance(v, v_slope)),
                                         distance(1 - u - v, u_slope + v_slope));
  return nearest.masked_fill(image.rast.select(3, 3) == 0, std::numeric_limits<double>::infinity());
}

/// Where other triangles are seen, an edge of one of the two passes within 0.1 pixel of the centre: the grid
/// of the recorded rasterizer is 1/16 pixel, so that it moves edges by up to 0.045.
bool differs_at_edges(const Rasterized& ours, const Rasterized& recorded) {
  const at::Tensor id = ours.rast.select(3, 3), recorded_id = recorded.rast.select(3, 3);
  const at::Tensor at_edge = at::minimum(edge_distance(ours), edge_distance(recorded)) < 0.1;
  const at::Tensor crosses =
      (id > 0) & (recorded_id > 0) & ((ours.rast.select(3, 2) - recorded.rast.select(3, 2)).abs() < 5e-4);
  return ((id == recorded_id) | at_edge | crosses).all().item<bool>();
}

class GoldenRasterizer : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenRasterizer, TheSameTrianglesAreSeen) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  const Rasterized ours = rasterize(scene.pos, scene.tri, scene.rast.size(1), scene.rast.size(2));
  const at::Tensor id = ours.rast.select(3, 3), recorded = scene.rast.select(3, 3);  // [1,H,W]
  const at::Tensor same = id == recorded;
  const double differing = 1 - same.to(at::kDouble).mean().item<double>();
  EXPECT_LT(differing, kOtherTriangle);
  record_golden(scene.label + "ids (fraction that differs)", differing);
  EXPECT_TRUE(differs_at_edges(ours, scene.of_recorded_triangles()));
  // Where the recorded pixel is well inside its triangle, everything agrees.
  const at::Tensor u = scene.rast.select(3, 0), v = scene.rast.select(3, 1);
  const at::Tensor inside = same & (u > 0) & (v > 0) & (u + v < 1);
  for (const auto& [mine, entry] :
       {std::pair{ours.rast.slice(3, 0, 3), "rast"}, std::pair{ours.rast_db, "rast_db"}}) {
    const at::Tensor expected = scene.cases.tensor(entry).slice(3, 0, mine.size(3));
    const double error = max_relative_error(mine.index({inside}), expected.index({inside}));
    EXPECT_LT(error, kOutput) << entry;
    record_golden(scene.label + entry + " (same triangle)", error);
  }
}

TEST_P(GoldenRasterizer, TheSecondLayerIsTheSame) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  DepthPeeler peeler(scene.pos, scene.tri, scene.rast.size(1), scene.rast.size(2));
  peeler.next_layer();
  const Rasterized layer = peeler.next_layer();
  const at::Tensor ours = layer.rast, recorded = scene.cases.tensor("layer2.rast");
  const at::Tensor same = ours.select(3, 3) == recorded.select(3, 3);
  EXPECT_LT(1 - same.to(at::kDouble).mean().item<double>(), kOtherTriangle);
  EXPECT_TRUE(
      differs_at_edges(layer, barycentrics(scene.pos, scene.tri, recorded.select(3, 3).to(at::kInt))));
  const at::Tensor u = recorded.select(3, 0), v = recorded.select(3, 1);
  const at::Tensor inside = same & (u > 0) & (v > 0) & (u + v < 1);
  const double error =
      max_relative_error(ours.slice(3, 0, 3).index({inside}), recorded.slice(3, 0, 3).index({inside}));
  EXPECT_LT(error, kOutput);
  record_golden(scene.label + "layer2.rast (same triangle)", error);
}

TEST_P(GoldenRasterizer, BarycentricsAndTheirGradientMatch) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  const Rasterized out = scene.of_recorded_triangles();
  const at::Tensor expected = scene.rast.slice(3, 0, 3);  // not the index, whose size would hide the others
  const double error = max_relative_error(out.rast.slice(3, 0, 3), expected);
  EXPECT_LT(error, kOutput);
  record_golden(scene.label + "rast", error);
  EXPECT_TRUE(out.rast.select(3, 3).equal(scene.rast.select(3, 3)));
  scene.expect(out.rast_db, "rast_db", kOutput);
  const at::Tensor weights = scene.cases.tensor("R.rast").slice(3, 0, 2);
  scene.expect_gradient((out.rast.slice(3, 0, 2) * weights).sum(), scene.pos, "grad.rast.pos");
}

TEST_P(GoldenRasterizer, InterpolationAndItsGradientsMatch) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  const at::Tensor weights = scene.cases.tensor("R");
  const Interpolated given =
      interpolate_with_derivatives(scene.attr, scene.rast, scene.tri, scene.cases.tensor("rast_db"));
  scene.expect(given.out, "interp", kOutput);
  scene.expect(given.out_da, "interp_da", kOutput);
  scene.expect_gradient((given.out * weights).sum(), scene.attr, "grad.interp.attr");
  const at::Tensor made = interpolate(scene.attr, scene.of_recorded_triangles().rast, scene.tri);
  scene.expect(made, "interp", kOutput);
  scene.expect_gradient((made * weights).sum(), scene.pos, "grad.interp.pos");
}

TEST_P(GoldenRasterizer, AntialiasingAndItsGradientsMatch) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  const at::Tensor weights = scene.cases.tensor("R");
  const at::Tensor color = scene.cases.tensor("color").set_requires_grad(true);
  const at::Tensor out = antialias(color, scene.rast, scene.pos, scene.tri);
  scene.expect(out, "antialias", kOutput);
  scene.expect_gradient((out * weights).sum(), color, "grad.antialias.color");
  scene.expect_gradient((antialias(color, scene.rast, scene.pos, scene.tri) * weights).sum(), scene.pos,
                        "grad.antialias.pos");
  const at::Tensor whole = antialias(interpolate(scene.attr, scene.of_recorded_triangles().rast, scene.tri),
                                     scene.rast, scene.pos, scene.tri);
  scene.expect_gradient((whole * weights).sum(), scene.pos, "grad.full.pos");
}

/// The mask at 256x256 of the sphere. There is no recorded depth: that of the recorded triangles.
TEST_P(GoldenRasterizer, MasksAndTheirGradientMatch) {
  T3D_NEED_FILE(testing::golden_path(file_of(GetParam())));
  const Scene scene(GetParam());
  if (!scene.cases.contains("r256.tri_id")) return;
  const at::Tensor id = scene.cases.tensor("r256.tri_id").to(at::kInt).unsqueeze(0);  // [1,H,W]
  const Rasterized ours = rasterize(scene.pos, scene.tri, id.size(1), id.size(2));
  const Rasterized recorded = barycentrics(scene.pos, scene.tri, id);
  EXPECT_LT((ours.rast.select(3, 3) != id).to(at::kDouble).mean().item<double>(), kOtherTriangle);
  EXPECT_TRUE(differs_at_edges(ours, recorded));
  const at::Tensor mask = (id > 0).to(at::kFloat).unsqueeze(-1);
  const at::Tensor out = antialias(mask, recorded.rast, scene.pos, scene.tri).squeeze(-1).squeeze(0);
  scene.expect(out, "r256.mask_antialiased", kOutput);
  scene.expect_gradient((out * scene.cases.as_float("r256.R")).sum(), scene.pos, "r256.grad.pos");
}

INSTANTIATE_TEST_SUITE_P(Scenes, GoldenRasterizer, ::testing::Values("sphere", "triangles"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace t3d::raster
