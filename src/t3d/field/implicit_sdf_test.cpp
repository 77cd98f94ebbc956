#include "t3d/field/implicit_sdf.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/rng.h"
#include "t3d/field/mesh_distance.h"
#include "tests/support/box_file.h"

namespace t3d::field {
namespace {

using ::testing::HasSubstr;

const char* const kSmall =
    "pos_encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 12, base_resolution: 4}\n";

std::unique_ptr<Geometry> make(const std::string& text, const std::string& encoding = kSmall) {
  return geometries().make("implicit-sdf", config::read_yaml(encoding + text, "test.yaml"), "system.geometry",
                           {5, c10::kCPU});
}

at::Tensor points(int64_t n, uint64_t seed = 1) {
  Rng rng(seed);
  auto x = at::empty({n, 3}, at::kFloat);
  for (int64_t i = 0; i < x.numel(); ++i) x.data_ptr<float>()[i] = rng.uniform(-0.8f, 0.8f);
  return x;
}

at::Tensor length(const at::Tensor& x) {
  return x.norm(2, at::IntArrayRef{1}, true);
}

float largest(const at::Tensor& x) {
  return x.abs().max().item<float>();
}

TEST(ImplicitSdf, StartsAsItsBias) {
  const auto x = points(60);
  // The network adds a few thousandths of its own.
  EXPECT_LT(
      largest(make("sdf_bias: sphere\nsdf_bias_params: 0.5\n")->distance()->distance_at(x) - length(x) + 0.5),
      1e-2f);
  const auto scaled = x / at::tensor({0.5f, 0.25f, 1.f});
  EXPECT_LT(
      largest(make("sdf_bias: ellipsoid\nsdf_bias_params: [0.5, 0.25, 1]\n")->distance()->distance_at(x) -
              length(scaled) + 1),
      1e-2f);
  EXPECT_LT(largest(make("sdf_bias: -0.25\n")->distance()->distance_at(x) + 0.25), 1e-2f);
}

TEST(ImplicitSdf, NormalsPointOutwardsHoweverTheyAreFound) {
  const auto x = points(60);
  for (const char* type : {"finite_difference", "finite_difference_laplacian", "analytic"}) {
    const auto out = make(cat("sdf_bias: sphere\nsdf_bias_params: 0.5\nnormal_type: ", type, "\n"))
                         ->distance()
                         ->samples_at(x, true);
    EXPECT_GT((out.normal * x / length(x)).sum(1).min().item<float>(), 0.98f) << type;
    EXPECT_LT(largest(length(out.sdf_grad) - 1), 0.1f) << type;  // the slope of a distance
    EXPECT_LT(largest(length(out.normal) - 1), 1e-5f) << type;
  }
  const auto predicted = make("normal_type: pred\n")->distance()->samples_at(x, true);
  EXPECT_TRUE(predicted.sdf_grad.equal(predicted.normal));
}

TEST(ImplicitSdf, EvaluationWithoutGradientsLeavesNone) {
  const auto g = make("normal_type: analytic\n");
  const c10::AutoGradMode off(false);
  EXPECT_FALSE(g->distance()->samples_at(points(4), true).sdf_grad.requires_grad());
  EXPECT_FALSE(c10::GradMode::is_enabled());  // the reference leaves them on
}

/// Along the gradient the loss rises by the gradient's length, as central differences tell.
TEST(ImplicitSdf, TheEikonalTermsGradientIsItsSlope) {
  for (const char* type : {"finite_difference", "finite_difference_laplacian", "analytic"}) {
    const auto g =
        make(cat("sdf_bias: sphere\nsdf_bias_params: 0.5\nn_feature_dims: 0\nnormal_type: ", type, "\n"));
    auto table = g->parameters().at("encoding.encoding.encoding.params");
    Rng rng(3);
    for (int64_t i = 0; i < table.numel(); ++i) table.data_ptr<float>()[i] = 0.3f * rng.normal();
    const auto x = points(200);
    const auto loss = [&] {
      return (length(g->distance()->samples_at(x, true).sdf_grad.to(at::kDouble)) - 1).square().mean();
    };
    loss().backward();
    const double slope = table.grad().norm().item<double>();
    const c10::AutoGradMode off(false);
    constexpr double kStep = 3e-4;  // short: the slope of a ReLU network jumps
    const auto along = table.grad() / slope;
    table.add_(along, kStep);
    const double above = loss().item<double>();
    table.add_(along, -2 * kStep);
    const double below = loss().item<double>();
    EXPECT_GT(slope, 1e-2) << type;
    EXPECT_NEAR((above - below) / (2 * kStep) / slope, 1, 0.02) << type;
  }
}

TEST(ImplicitSdf, ProgressiveDifferencesTakeOneCellOfTheFinestOpenLevel) {
  const auto g =
      make("finite_difference_normal_eps: progressive\nradius: 2.0\n",
           "pos_encoding_config: {otype: ProgressiveBandHashGrid, n_levels: 8, log2_hashmap_size: 8, "
           "base_resolution: 16, per_level_scale: 2.0, start_level: 3, start_step: 10, update_steps: 5}\n");
  const auto& sdf = dynamic_cast<ImplicitSdf&>(*g);
  EXPECT_FLOAT_EQ(sdf.normal_eps(), 4.f / 64);  // before any step, too
  g->update_step(14);
  EXPECT_FLOAT_EQ(sdf.normal_eps(), 4.f / 64);
  g->update_step(20);
  EXPECT_FLOAT_EQ(sdf.normal_eps(), 4.f / 256);
  g->update_step(100000);
  EXPECT_FLOAT_EQ(sdf.normal_eps(), 4.f / 2048);
  EXPECT_THROW(make("finite_difference_normal_eps: progressive\n"), UserError);
  EXPECT_THROW(make("finite_difference_normal_eps: 0.0\n"), UserError);
}

TEST(ImplicitSdf, NamesItsTensorsAsThreestudioDoes) {
  NamedTensors parameters, buffers;
  make("isosurface_deformable_grid: true\n")->collect("geometry.", parameters, buffers);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters) names.push_back(name);
  EXPECT_THAT(
      names, ::testing::ElementsAre(
                 "geometry.deformation_network.layers.0.weight",
                 "geometry.deformation_network.layers.2.weight", "geometry.encoding.encoding.encoding.params",
                 "geometry.feature_network.layers.0.weight", "geometry.feature_network.layers.2.weight",
                 "geometry.sdf_network.layers.0.weight", "geometry.sdf_network.layers.2.weight"));
  EXPECT_EQ(buffers.count("geometry.bbox"), 1u);
}

TEST(ImplicitSdf, BadShapesAreNamed) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      make(text);
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(message("sdf_bias: spere\n"), HasSubstr("did you mean sphere?"));
  EXPECT_THAT(message("sdf_bias: sphere\n"), HasSubstr("geometry.sdf_bias_params"));
  EXPECT_THAT(message("sdf_bias: ellipsoid\nsdf_bias_params: [1, 2]\n"), HasSubstr("a list of 3"));
  EXPECT_THAT(message("sdf_bias: ellipsoid\nsdf_bias_params: [1, 2, -1]\n"), HasSubstr("above 0"));
  EXPECT_THAT(message("shape_init: ellipsoid\nshape_init_params: 1.0\n"), HasSubstr("shape_init_params"));
  EXPECT_THAT(message("isosurface_deformable_grid: true\nisosurface_method: mc-cpu\n"), HasSubstr("mt"));
  const auto mesh = make("shape_init: 'mesh:no/such.obj'\nshape_init_params: 1.0\n");
  EXPECT_THROW(mesh->initialize_shape(false), SystemError);
}

at::Tensor box_distance(const at::Tensor& x, const at::Tensor& half) {
  const auto q = x.abs() - half;  // [N,3]
  return length(q.clamp_min(0)) + std::get<0>(q.max(1, true)).clamp_max(0);
}

class ShapeFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "t3d_shape_box.obj").string();
    testing::write_box_file(path_, {-1, -1, -0.5f}, {3, 1, 0.5f});
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(ShapeFile, MeshesAreCentredScaledAndTurned) {
  const auto x = points(500);
  // Half axes 2, 1, 0.5 in the file; the largest becomes 0.8.
  EXPECT_LT(largest(mesh_shape(path_, 0.8f, "+z", "+x")(x) - box_distance(x, at::tensor({0.8f, 0.4f, 0.2f}))),
            1e-5f);
  EXPECT_LT(largest(mesh_shape(path_, 0.8f, "+y", "+z")(x) - box_distance(x, at::tensor({0.2f, 0.8f, 0.4f}))),
            1e-5f);
  EXPECT_THROW(mesh_shape(path_, 1, "+y", "-y"), UserError);
  EXPECT_THROW(mesh_shape(path_, 1, "y", "+x"), UserError);
}

TEST_F(ShapeFile, ShapesAreLearnedBeforeTheFirstStep) {
  const auto x = points(400, 7);
  const std::vector<std::pair<std::string, at::Tensor>> cases = {
      {"shape_init: ellipsoid\nshape_init_params: [0.8, 0.5, 0.6]\n",
       length(x / at::tensor({0.8f, 0.5f, 0.6f})) - 1},
      {"shape_init: 'mesh:" + path_ + "'\nshape_init_params: 0.8\n",
       box_distance(x, at::tensor({0.8f, 0.4f, 0.2f}))}};
  for (const auto& [text, target] : cases) {
    const auto g = make(text + "force_shape_init: false\n");
    g->initialize_shape(/*has_weights=*/true);
    EXPECT_GT((g->distance()->distance_at(x) - target).square().mean().item<float>(), 0.01f)
        << text;  // left alone
    g->initialize_shape(false);
    EXPECT_LT((g->distance()->distance_at(x) - target).square().mean().sqrt().item<float>(), 0.02f) << text;
  }
}

/// All triangles, one by one; sums of solid angles.
TEST_F(ShapeFile, TheTreeFindsWhatLookingAtAllTrianglesFinds) {
  // A bumpy closed sphere, and the same with a hole.
  std::vector<Vec3f> positions;
  std::vector<std::array<uint32_t, 3>> faces;
  constexpr uint32_t kRows = 24, kColumns = 40;
  for (uint32_t i = 0; i <= kRows; ++i)
    for (uint32_t j = 0; j < kColumns; ++j) {
      const float a = 3.14159265f * static_cast<float>(i) / kRows,
                  b = 6.2831853f * static_cast<float>(j) / kColumns;
      const float r = 0.6f + 0.1f * std::sin(3 * a) * std::sin(5 * b);
      positions.push_back(r * Vec3f(std::sin(a) * std::cos(b), std::sin(a) * std::sin(b), std::cos(a)));
    }
  for (uint32_t i = 0; i < kRows; ++i)
    for (uint32_t j = 0; j < kColumns; ++j) {
      const uint32_t p = i * kColumns + j, q = i * kColumns + (j + 1) % kColumns;
      faces.push_back({p, p + kColumns, q});
      faces.push_back({q, p + kColumns, q + kColumns});
    }
  const MeshDistance tree(positions, faces);
  const auto x = points(300, 3);
  int n_inside = 0;
  for (int64_t k = 0; k < x.size(0); ++k) {
    const Vec3f p(x.data_ptr<float>()[3 * k], x.data_ptr<float>()[3 * k + 1], x.data_ptr<float>()[3 * k + 2]);
    float nearest = 1e9f;
    for (const auto& f : faces) {
      const MeshDistance one(positions, {f});
      nearest = std::min(nearest, one.unsigned_distance(p));
    }
    const float theta = std::acos(p.z() / p.norm()), phi = std::atan2(p.y(), p.x());
    const bool is_inside = p.norm() < 0.6f + 0.1f * std::sin(3 * theta) * std::sin(5 * phi);
    n_inside += is_inside ? 1 : 0;
    const float winding = tree.winding_number(p);
    EXPECT_FLOAT_EQ(tree.unsigned_distance(p), nearest);
    if (nearest > 0.02f) {
      EXPECT_NEAR(winding, is_inside ? 1 : 0, 0.1) << p.transpose();
      EXPECT_EQ(tree(p) < 0, is_inside);
    }
  }
  EXPECT_GT(n_inside, 20);
  // Without the faces of one corner there is still an inside.
  const MeshDistance holed(positions, {faces.begin() + 200, faces.end()});
  EXPECT_LT(holed(Vec3f(0, 0, -0.2f)), 0);
  EXPECT_GT(holed(Vec3f(0.9f, 0, 0)), 0);
}

}  // namespace
}  // namespace t3d::field
