#include "t3d/render/mesh_rasterizer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/field/encoding.h"
#include "t3d/field/network.h"
#include "t3d/raster/rasterize.h"
#include "t3d/shading/pbr_material.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"
#include "tests/support/message_of.h"

namespace t3d::render {
namespace {

using testing::golden_path;
using testing::GoldenCases;
using testing::GoldenOptions;
using ::testing::HasSubstr;
using testing::max_relative_error;
using testing::message_of;

const config::Node kNoKeys{config::Node::Map{}};

config::Node yaml_of(const nlohmann::json& block) {
  return config::read_yaml(block.dump(), "options.json");
}

/// A mesh whose vertices learn, with features of an encoding and a network.
class LearnedMesh : public field::Geometry, public field::SurfaceField, public field::AppearanceField {
 public:
  float radius() const override { return box; }
  const field::SurfaceField* surface() const override { return this; }
  const field::AppearanceField* appearance() const override { return network ? this : nullptr; }
  mesh::SurfaceMesh surface_mesh() const override { return mesh; }
  at::Tensor features_at(const at::Tensor& points) const override {
    return (*network)((*encoding)((points + box) / (2 * box)));
  }

  mesh::SurfaceMesh mesh;
  float box = 1;
  std::unique_ptr<field::Encoding> encoding;
  std::unique_ptr<field::Network> network;
};

/// The geometry of recorded cases.
LearnedMesh recorded_mesh(const GoldenCases& cases, const GoldenOptions& options) {
  LearnedMesh out;
  out.mesh.vertices = field::learned(cases.as_float("v_pos").clone()),
  out.mesh.faces = cases.tensor("t_pos_idx");
  if (cases.contains("v_tex"))
    out.mesh.uv = cases.as_float("v_tex"), out.mesh.uv_faces = cases.tensor("t_tex_idx");
  const GoldenOptions geometry = options.block("geometry");
  out.box = static_cast<float>(geometry.number("radius"));
  if (!options.has("feature_network_weights")) return out;
  const field::BuildContext context;
  out.encoding = field::make_encoding(3, yaml_of(geometry.at("pos_encoding_config")), "encoding", context);
  out.encoding->update_step(options.whole("global_step"));
  out.network =
      field::make_network(out.encoding->n_outputs(), static_cast<int>(geometry.whole("n_feature_dims")),
                          yaml_of(geometry.at("mlp_network_config")), "network", context);
  const io::SafetensorsFile weights(golden_path(options.text("feature_network_weights")));
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : out.network->parameters()) tensor.copy_(weights.tensor(name));
  return out;
}

/// With the recorded light and table in place of files.
std::unique_ptr<shading::Material> recorded_pbr_material(const GoldenOptions& keys, double scale) {
  const GoldenCases light(keys.text("latlong")), table(keys.text("fg_lut"));
  shading::EnvironmentLightOptions o;
  o.smallest = keys.whole("min_res");
  o.min_roughness = static_cast<float>(keys.number("light_min_roughness"));
  o.max_roughness = static_cast<float>(keys.number("light_max_roughness"));
  o.weight = shading::TexelWeight::Threestudio;
  shading::PbrMaterial::Config config;
  config.min_metallic = static_cast<float>(keys.number("min_metallic"));
  config.max_metallic = static_cast<float>(keys.number("max_metallic"));
  config.min_roughness = static_cast<float>(keys.number("min_roughness"));
  config.max_roughness = static_cast<float>(keys.number("max_roughness"));
  config.use_bump = keys.truth("use_bump");
  const auto base = shading::cube_of_latlong(light.as_float("latlong") * scale, keys.whole("max_res"));
  return std::make_unique<shading::PbrMaterial>(config, std::make_shared<shading::EnvironmentLight>(base, o),
                                                table.as_float("fg_lut"));
}

std::unique_ptr<shading::Material> material_of(const GoldenOptions& options) {
  if (options.block("material").text("type") == "pbr-material")
    return recorded_pbr_material(options.block("material"),
                                 options.block("material").number("environment_scale"));
  nlohmann::json keys = options.at("material");
  const std::string type = keys.at("type");
  keys.erase("type");
  auto made = shading::materials().make(type, yaml_of(keys), "material", {});
  made->update_step(options.whole("global_step"));
  return made;
}

std::unique_ptr<shading::Background> background_of(const GoldenOptions& options) {
  nlohmann::json keys = options.at("background");
  const std::string type = keys.at("type");
  keys.erase("type");
  return shading::backgrounds().make(type, yaml_of(keys), "background", {});
}

RenderRequest request_of(const GoldenCases& cases, const GoldenOptions& options) {
  const int64_t B = options.whole("batch_size"), H = options.whole("height"), W = options.whole("width");
  RenderRequest request(B, {H, W}, [=] {
    const auto ahead = at::zeros({B, H, W, 3});
    ahead.select(3, 2).fill_(-1);
    return Rays{at::zeros({B, H, W, 3}), ahead};
  });
  request.mvp = cases.as_float("mvp_mtx");
  request.c2w = at::eye(4).repeat({B, 1, 1});
  request.c2w.narrow(1, 0, 3).select(2, 3).copy_(cases.as_float("camera_positions"));
  request.light_positions = cases.as_float("light_positions");
  request.wants_colour = options.truth("render_rgb");
  return request;
}

class RecordedRenderings : public ::testing::TestWithParam<const char*> {};

TEST_P(RecordedRenderings, AreReproducedWithTheirGradients) {
  const std::string file = std::string("nvdiff-rasterizer/cases_") + GetParam() + ".safetensors";
  T3D_NEED_CASES(file);
  const GoldenCases cases(file);
  const GoldenOptions options(file);
  LearnedMesh geometry = recorded_mesh(cases, options);
  const auto material = material_of(options);
  const auto background = background_of(options);
  MeshRasterizer renderer({}, {&geometry, material.get(), background.get()}, {});
  const RenderRequest request = request_of(cases, options);
  const at::Tensor recorded = cases.as_float("rast");
  const auto clip = to_clip_space(geometry.mesh.vertices, request.mvp);
  const raster::Rasterized own =
      raster::rasterize(clip, geometry.mesh.faces.to(at::kInt), recorded.size(1), recorded.size(2));
  EXPECT_EQ(at::ne(own.rast.select(3, 3), recorded.select(3, 3)).sum().item<int64_t>(), 0);

  Rng rng(1, 0);
  const RenderOutput out =
      renderer.draw(ProjectedSurface(geometry.mesh, clip, own.rast), request, options.truth("training"), rng);
  at::Tensor loss = at::zeros({});
  for (const char* name : {"opacity", "comp_normal", "comp_rgb"}) {
    const at::Tensor& image = output_field(name).of_output(out);
    ASSERT_EQ(image.defined(), cases.contains(name)) << name;
    if (!image.defined()) continue;
    EXPECT_LT(max_relative_error(image, cases.tensor(name)), 1e-4) << name;
    loss = loss + (image * cases.as_float(std::string("R.") + name)).sum();
  }
  EXPECT_LT(max_relative_error(loss, cases.tensor("loss")), 1e-4);
  loss.backward();
  EXPECT_LT(max_relative_error(geometry.mesh.vertices.grad(), cases.tensor("grad.v_pos")), 1e-3);
  if (!geometry.network) return;
  for (const auto& [name, weight] : geometry.network->parameters())
    EXPECT_LT(max_relative_error(weight.grad(), cases.tensor("grad.feature_network." + name)), 1e-3) << name;
}

INSTANTIATE_TEST_SUITE_P(Cases, RecordedRenderings,
                         ::testing::Values("normal", "nomaterial", "diffuse", "pbr"),
                         [](const auto& each) { return std::string(each.param); });

/// Two triangles across the view, facing the camera at the origin that looks along -z.
LearnedMesh square() {
  LearnedMesh out;
  out.mesh.vertices = field::learned(
      at::tensor({-1.0f, -1.0f, -3.0f, 1.0f, -1.0f, -3.0f, 1.0f, 1.0f, -3.0f, -1.0f, 1.0f, -3.0f})
          .reshape({4, 3}));
  out.mesh.faces = at::tensor({0, 1, 2, 0, 2, 3}, at::kLong).reshape({2, 3});
  return out;
}

struct SquareScene {
  LearnedMesh geometry = square();
  std::unique_ptr<shading::Material> material = shading::materials().make("no-material", kNoKeys, "test", {});
  std::unique_ptr<shading::Background> background =
      shading::backgrounds().make("solid-color-background", kNoKeys, "test", {});
  Scene scene() { return {&geometry, material.get(), background.get()}; }
};

TEST(MeshRasterizer, NormalsAloneNeedNoFeatures) {
  SquareScene s;
  MeshRasterizer renderer({}, s.scene(), {});
  EXPECT_FALSE(renderer.makes("comp_rgb"));
  EXPECT_TRUE(renderer.makes("comp_normal"));
  RenderRequest request(1, {16, 16}, [] {
    return Rays{at::zeros({1, 16, 16, 3}), at::ones({1, 16, 16, 3})};
  });
  request.c2w = at::eye(4).unsqueeze(0);
  request.mvp = at::tensor({1.0f, 0.0f, 0.0f, 0.0f, 0.0f, -1.0f, 0.0f, 0.0f, 0.0f, 0.0f, -1.0f, -0.2f, 0.0f,
                            0.0f, -1.0f, 0.0f})
                    .reshape({1, 4, 4});
  Rng rng(1, 0);
  EXPECT_THAT(message_of<UserError>([&] { renderer(request, true, rng); }), HasSubstr("geometry_only=false"));
  request.wants_colour = false;
  const RenderOutput out = renderer(request, true, rng);
  EXPECT_FALSE(out.comp_rgb.defined());
  // The square covers a third of the width, and faces the camera.
  EXPECT_NEAR(out.opacity.mean().item<float>(), 1.0 / 9, 0.02);
  EXPECT_EQ(out.opacity[0][8][8].item<float>(), 1.0f);
  EXPECT_NEAR(out.comp_normal[0][8][8][2].item<float>(), 1.0f, 1e-6);
  // A wider square covers more: the outline's gradient points outwards.
  out.opacity.sum().backward();
  const auto outwards =
      (s.geometry.mesh.vertices.grad() * s.geometry.mesh.vertices.detach()).narrow(1, 0, 2).sum();
  EXPECT_GT(outwards.item<float>(), 0);
}

TEST(MeshRasterizer, IsForGeometriesWithASurfaceAndDrawsWholeImages) {
  SquareScene s;
  const Scene scene = s.scene();
  const auto patches =
      config::read_yaml("{base_renderer_type: nvdiff-rasterizer, base_renderer: {}}", "test");
  EXPECT_THAT(message_of<UserError>([&] { renderers().make("patch-renderer", patches, "test", scene, {}); }),
              HasSubstr("renders whole images alone"));
  struct Empty : field::Geometry {
    float radius() const override { return 1; }
  } empty;
  EXPECT_THAT(message_of<UserError>([&] {
                renderers().make("nvdiff-rasterizer", kNoKeys, "test",
                                 Scene{&empty, scene.material, scene.background}, {});
              }),
              HasSubstr("needs a surface"));
}

}  // namespace
}  // namespace t3d::render
