#include "t3d/field/geometry.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "t3d/core/config/read_yaml.h"
#include "tests/support/box_file.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d::field {
namespace {

using testing::message_of;

using ::testing::HasSubstr;

const char* kSmall =
    "pos_encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 12, base_resolution: 4}\n";

std::unique_ptr<Geometry> make(const std::string& type, const std::string& text) {
  return geometries().make(type, config::read_yaml(text, "test.yaml"), "system.geometry", {5, c10::kCPU});
}

at::Tensor points(int64_t n) {
  return at::rand({n, 3}) - 0.5;
}

/// A shape that can do nothing, as one of a kind that no caller knows yet.
class Box : public Geometry {
 public:
  float radius() const override { return 1; }
};

TEST(Geometry, CanDoWhatItsTypeIsListedWith) {
  const auto lists = [](const char* ability, const std::string& type) {
    const auto able = geometries().names_with(ability);
    return std::find(able.begin(), able.end(), type) != able.end();
  };
  const testing::TemporaryFolder folder;
  const std::string box = folder / "box.obj";
  testing::write_box_file(box, {-1, -1, -1}, {1, 1, 1});
  for (const std::string& type : geometries().names()) {
    SCOPED_TRACE(type);
    std::string keys = type == "volume-grid" ? "grid_size: [4, 4, 4]\n" : kSmall;
    if (type == "tetrahedra-sdf-grid") keys += "isosurface_resolution: 8\n";
    if (type == "custom-mesh") keys += "shape_init: 'mesh:" + box + "'\nshape_init_params: 0.5\n";
    const auto g = make(type, keys);
    EXPECT_EQ(g->density() != nullptr, lists(Geometry::kDensity, type));
    EXPECT_EQ(g->distance() != nullptr, lists(Geometry::kDistance, type));
    EXPECT_EQ(g->surface() != nullptr, lists(Geometry::kSurface, type));
    EXPECT_TRUE(g->density() != nullptr || g->distance() != nullptr || g->surface() != nullptr);
    ASSERT_NE(g->appearance(), nullptr);
    EXPECT_EQ(g->appearance()->features_at(points(2)).sizes(), (std::vector<int64_t>{2, 3}));
  }
}

TEST(Geometry, NamesTheTypesThatCanDoWhatItCannot) {
  const auto volume = make("implicit-volume", kSmall), surface = make("implicit-sdf", kSmall);
  EXPECT_EQ(&need_density(*volume, "x"), volume->density());
  EXPECT_EQ(&need_distance(*surface, "x"), surface->distance());
  EXPECT_EQ(
      message_of<UserError>([&] { need_distance(*volume, "neus-volume-renderer", "another renderer_type"); }),
      "neus-volume-renderer needs a signed distance, which the geometry does not have. Use "
      "geometry_type=implicit-sdf or another renderer_type.");
  const Box box;
  for (const Geometry* without : std::vector<const Geometry*>{surface.get(), &box})
    EXPECT_EQ(message_of<UserError>([&] { need_density(*without, "the export of a mesh"); }),
              "the export of a mesh needs a density, which the geometry does not have. Use "
              "geometry_type=implicit-volume or volume-grid.");
}

TEST(Geometry, SurfacesAreHadFromAllButWhatKnowsNone) {
  const auto volume = make("implicit-volume", kSmall);
  EXPECT_EQ(&need_surface(*volume, "x"), volume->surface());
  const Box box;
  EXPECT_EQ(message_of<UserError>([&] { need_surface(box, "nvdiff-rasterizer"); }),
            "nvdiff-rasterizer needs a surface, which the geometry does not have. Use "
            "geometry_type=implicit-volume, implicit-sdf, volume-grid, tetrahedra-sdf-grid or custom-mesh.");
}

TEST(ImplicitVolume, StartsAsMagic3dsBlob) {
  const auto g = make("implicit-volume", kSmall);
  const auto x = points(50);
  const auto blob = at::softplus(10 * (1 - x.norm(2, at::IntArrayRef{1}, true) / 0.5));
  EXPECT_LT((g->density()->density_at(x) - blob).abs().max().item<float>(), 1e-2f);
}

TEST(ImplicitVolume, StartsAsDreamFusionsBlob) {
  const auto g = make("implicit-volume", cat(kSmall, "density_bias: blob_dreamfusion\n"));
  const auto x = points(50);
  const auto blob = at::softplus(10 * at::exp(-0.5 * x.pow(2).sum(1, true) / 0.25));
  EXPECT_LT((g->density()->density_at(x) - blob).abs().max().item<float>(), 1e-2f);
}

TEST(ImplicitVolume, NormalsPointOutwardsHoweverTheyAreFound) {
  const auto x = points(40);
  const auto outwards = x / x.norm(2, at::IntArrayRef{1}, true);
  for (const char* type : {"finite_difference", "finite_difference_laplacian", "analytic"}) {
    const auto g = make("implicit-volume", cat(kSmall, "normal_type: ", type, "\n"));
    const auto normal = g->density()->samples_at(x, true).normal;
    EXPECT_GT((normal * outwards).sum(1).min().item<float>(), 0.95f) << type;
  }
  const auto predicted = make("implicit-volume", cat(kSmall, "normal_type: pred\n"));
  EXPECT_NEAR(
      predicted->density()->samples_at(x, true).normal.norm(2, at::IntArrayRef{1}).max().item<float>(), 1,
      1e-5);
}

TEST(ImplicitVolume, AnalyticNormalsTeachTheParameters) {
  const auto g = make("implicit-volume", cat(kSmall, "normal_type: analytic\n"));
  g->density()->samples_at(points(40), true).normal.select(1, 0).sum().backward();
  EXPECT_GT(g->parameters().at("encoding.encoding.encoding.params").grad().abs().sum().item<float>(), 0);
}

TEST(ImplicitVolume, AnalyticNormalsWorkWithoutGradientsToo) {
  const auto g = make("implicit-volume", cat(kSmall, "normal_type: analytic\n"));
  const c10::AutoGradMode off(false);
  EXPECT_FALSE(g->density()->samples_at(points(4), true).normal.requires_grad());
}

TEST(ImplicitVolume, NoNormalTypeIsAnErrorWhenNormalsAreAskedFor) {
  const auto g = make("implicit-volume", cat(kSmall, "normal_type: null\n"));
  EXPECT_FALSE(g->density()->samples_at(points(4), false).normal.defined());
  EXPECT_THROW(g->density()->samples_at(points(4), true), UserError);
}

TEST(ImplicitVolume, NamesItsTensorsAsThreestudioDoes) {
  NamedTensors parameters, buffers;
  make("implicit-volume", kSmall)->collect("geometry.", parameters, buffers);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters) names.push_back(name);
  EXPECT_THAT(names, ::testing::ElementsAre("geometry.density_network.layers.0.weight",
                                            "geometry.density_network.layers.2.weight",
                                            "geometry.encoding.encoding.encoding.params",
                                            "geometry.feature_network.layers.0.weight",
                                            "geometry.feature_network.layers.2.weight"));
  EXPECT_EQ(buffers.at("geometry.bbox").size(0), 2);
}

TEST(ImplicitVolume, TheSameSeedGivesTheSameField) {
  const auto x = points(10);
  EXPECT_TRUE(make("implicit-volume", kSmall)
                  ->appearance()
                  ->features_at(x)
                  .equal(make("implicit-volume", kSmall)->appearance()->features_at(x)));
}

TEST(VolumeGrid, ReadsXFromTheLastAxis) {
  const auto g = make("volume-grid", "grid_size: [4, 4, 8]\ndensity_bias: 0.0\ndensity_activation: none\n");
  auto grid = g->parameters().at("grid");  // [1,4,4,4,8]
  {
    const c10::AutoGradMode off(false);
    grid.select(1, 0).select(-1, 7).fill_(1);
  }
  const auto x = at::tensor({0.875f, 0.f, 0.f, -0.875f, 0.f, 0.f}).reshape({2, 3});
  const auto density = g->density()->density_at(x);
  EXPECT_NEAR(density[0].item<float>(), 1, 1e-5);
  EXPECT_NEAR(density[1].item<float>(), 0, 1e-5);
}

TEST(VolumeGrid, LearnsTheScaleOnlyBesideANumber) {
  EXPECT_EQ(make("volume-grid", "grid_size: [4, 4, 4]\n")->parameters().count("density_scale"), 0u);
  EXPECT_EQ(
      make("volume-grid", "grid_size: [4, 4, 4]\ndensity_bias: -4.0\n")->parameters().count("density_scale"),
      1u);
}

TEST(Geometries, StartAsAnEarlierOneOfTheirKind) {
  const auto x = points(30);
  const std::string wide = cat(kSmall, "n_feature_dims: 5\n");
  auto other = geometries().make("implicit-volume", config::read_yaml(kSmall, "t"), "g", {99, c10::kCPU});
  const auto shape = make("implicit-volume", kSmall), whole = make("implicit-volume", kSmall),
             narrow = make("implicit-volume", wide);
  shape->start_as(*other, false);
  EXPECT_TRUE(shape->density()->density_at(x).equal(other->density()->density_at(x)));
  EXPECT_FALSE(shape->appearance()->features_at(x).equal(other->appearance()->features_at(x)));
  whole->start_as(*other, true);
  EXPECT_TRUE(whole->appearance()->features_at(x).equal(other->appearance()->features_at(x)));
  narrow->start_as(*other, true);  // other channels: features of its own
  EXPECT_TRUE(narrow->density()->density_at(x).equal(other->density()->density_at(x)));
  EXPECT_TRUE(shape->density()->density_at(x).requires_grad());

  EXPECT_THROW(make("implicit-volume", cat(kSmall, "radius: 2.0\n"))->start_as(*other, true), UserError);
  EXPECT_THROW(make("implicit-sdf", kSmall)->start_as(*other, true), UserError);
  EXPECT_THROW(
      make("implicit-volume", "pos_encoding_config: {otype: HashGrid, n_levels: 3, log2_hashmap_size: 12}\n")
          ->start_as(*other, true),
      UserError);
}

TEST(Geometries, SuggestTheNearestName) {
  try {
    make("implicit-volum", "");
    FAIL();
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean implicit-volume?"));
  }
}

}  // namespace
}  // namespace t3d::field
