#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/frequency.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/spherical_harmonics.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::ops {
namespace {

using testing::GoldenCases;
using testing::max_relative_error;
using testing::record_golden;

const char* const kGrids = "grid-encoding/cases_hashgrid.safetensors";
const char* const kDirections = "grid-encoding/cases_directions.safetensors";

std::vector<std::string> grid_cases() {
  return testing::GoldenOptions(kGrids).runs();
}

HashGridLayout layout_of(const GoldenCases& cases, const std::string& name) {
  const at::Tensor c = cases.tensor(name + ".config").to(at::kDouble).contiguous();
  const double* v = c.data_ptr<double>();
  HashGridConfig config;
  config.n_levels = static_cast<int>(v[0]);
  config.n_features = static_cast<int>(v[1]);
  config.log2_table = static_cast<int>(v[2]);
  config.base_resolution = static_cast<int>(v[3]);
  config.per_level_scale = v[4];
  config.n_dims = static_cast<int>(v[5]);
  config.interpolation = v[6] == 0 ? Interpolation::Linear : Interpolation::Smoothstep;
  return HashGridLayout::make(config);
}

TEST(GoldenGridEncoding, LevelsHaveTheRecordedSizes) {
  T3D_NEED_CASES(kGrids);
  const GoldenCases cases(kGrids);
  for (const std::string& name : grid_cases()) {
    const HashGridLayout layout = layout_of(cases, name);
    const at::Tensor levels = cases.tensor(name + ".levels").to(at::kDouble);
    ASSERT_EQ(levels.size(0), static_cast<int64_t>(layout.levels.size()));
    for (int64_t l = 0; l < levels.size(0); ++l) {
      const HashGridLevel& level = layout.levels[l];
      EXPECT_NEAR(level.scale / levels[l][0].item<double>(), 1, 1e-5) << name << " level " << l;
      EXPECT_EQ(level.resolution, levels[l][1].item<double>()) << name << " level " << l;
      EXPECT_EQ(level.n_entries, levels[l][2].item<double>()) << name << " level " << l;
      EXPECT_EQ(level.first_entry, levels[l][3].item<double>()) << name << " level " << l;
    }
    EXPECT_EQ(layout.n_params(), cases.tensor(name + ".params").numel());
  }
}

/// The recordings come from a build with fast mathematics, whose finest levels are off by level_diff from
/// exact arithmetic; float32 without it has errors of the same size, and a level's scale, an exponential in
/// float32, may be some units in the last place away, which moves the position in its cell by that much.
void expect_level_parity(const std::string& name, const at::Tensor& y, const at::Tensor& expected,
                         const at::Tensor& level_diff, const HashGridLayout& layout) {
  const int n_features = layout.config.n_features;
  for (int64_t l = 0; l < level_diff.size(0); ++l) {
    const at::Tensor a = y.slice(1, l * n_features, (l + 1) * n_features).to(at::kDouble);
    const at::Tensor b = expected.slice(1, l * n_features, (l + 1) * n_features).to(at::kDouble);
    EXPECT_LT((a - b).abs().max().item<double>(),
              1e-6 + 3 * level_diff[l].item<double>() + 5e-7 * layout.levels[l].scale)
        << name << " level " << l;
  }
}

TEST(GoldenGridEncoding, OutputsAndGradientsMatch) {
  T3D_NEED_CASES(kGrids);
  const GoldenCases cases(kGrids);
  for (const std::string& name : grid_cases()) {
    const HashGridLayout layout = layout_of(cases, name);
    for (at::ScalarType type : {at::kFloat, at::kDouble}) {
      const std::string suffix = type == at::kFloat ? ".float" : ".double";
      at::Tensor x = cases.tensor(name + ".x").to(type).set_requires_grad(true);            // [N,D]
      at::Tensor params = cases.tensor(name + ".params").to(type).set_requires_grad(true);  // [P]
      const at::Tensor dy = cases.tensor(name + ".dy").to(type);                            // [N,L*F]
      const at::Tensor y = hash_grid_encode(x, params, layout);
      const auto gradients = torch::autograd::grad({(y * dy).sum()}, {x, params});

      const at::Tensor level_diff = cases.tensor(name + ".level_diff");
      for (const char* of : {".y", ".y_f64"}) {
        expect_level_parity(name + of, y, cases.tensor(name + of), level_diff, layout);
        record_golden("grid-encoding/" + name + of + suffix, max_relative_error(y, cases.tensor(name + of)));
      }
      for (const char* of : {".dx", ".dx_f64"}) {
        const double error = max_relative_error(gradients[0], cases.tensor(name + of));
        EXPECT_LT(error, 1e-3) << name << of;
        record_golden("grid-encoding/" + name + of + suffix, error);
      }
      at::Tensor expected = at::zeros({layout.n_params()}, at::kDouble);
      const at::Tensor index = cases.tensor(name + ".dparams.index").to(at::kLong);
      expected.index_put_({index}, cases.tensor(name + ".dparams.value").to(at::kDouble));
      const double error = max_relative_error(gradients[1], expected);
      EXPECT_LT(error, 1e-3) << name;
      record_golden("grid-encoding/" + name + ".dparams" + suffix, error);
      EXPECT_EQ(gradients[1].count_nonzero().item<int64_t>(), index.numel()) << name;
    }
  }
}

TEST(GoldenGridEncoding, SphericalHarmonicsMatch) {
  T3D_NEED_CASES(kDirections);
  const GoldenCases cases(kDirections);
  for (const int64_t degree : testing::GoldenOptions(kDirections).block("sh").wholes("degrees")) {
    const std::string name = "sh.degree" + std::to_string(degree);
    at::Tensor x = cases.as_float("x").clone().set_requires_grad(true);
    const at::Tensor y = spherical_harmonics(x * 2 - 1, static_cast<int>(degree));
    const double error = max_relative_error(y, cases.tensor(name + ".y"));
    EXPECT_LT(error, 1e-5) << name;
    record_golden("grid-encoding/" + name + ".y", error);
    if (!cases.contains(name + ".dy")) continue;
    const at::Tensor dx = torch::autograd::grad({(y * cases.as_float(name + ".dy")).sum()}, {x})[0];
    const double dx_error = max_relative_error(dx, cases.tensor(name + ".dx"));
    EXPECT_LT(dx_error, 1e-5) << name;
    record_golden("grid-encoding/" + name + ".dx", dx_error);
  }
}

TEST(GoldenGridEncoding, FrequenciesMatch) {
  T3D_NEED_CASES(kDirections);
  const GoldenCases cases(kDirections);
  at::Tensor x = cases.as_float("freq.x").clone().set_requires_grad(true);
  const at::Tensor dy = cases.as_float("freq.dy");
  const int64_t n_frequencies = testing::GoldenOptions(kDirections).block("freq").whole("n_frequencies");
  const at::Tensor y = frequency_encode(x, static_cast<int>(n_frequencies));
  const at::Tensor dx = torch::autograd::grad({(y * dy).sum()}, {x})[0];
  const double error = max_relative_error(y, cases.tensor("freq.y"));
  const double dx_error = max_relative_error(dx, cases.tensor("freq.dx"));
  EXPECT_LT(error, 1e-4);
  EXPECT_LT(dx_error, 1e-4);
  record_golden("grid-encoding/freq.y", error);
  record_golden("grid-encoding/freq.dx", dx_error);
}

}  // namespace
}  // namespace t3d::ops
