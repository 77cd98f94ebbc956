// The whole chain from cameras to a mesh, with the truth in the diffusion model's place: a guidance that
// compares the pictures with renders of an object.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/paths.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/io/write_mesh.h"
#include "t3d/system/run.h"
#include "t3d/system/scene_mesh.h"
#include "t3d/toybox/render_objects.h"
#include "tests/support/no_prompt.h"
#include "tests/support/optional_libraries.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;

/// Cameras of a batch in the path tracer's form; the lens is read off the projection.
Camera camera_of(const at::Tensor& c2w, const at::Tensor& mvp, int side) {
  const auto projection = at::matmul(mvp, c2w);  // P w2c c2w
  Camera camera;
  const float focal = projection[0][0].item<float>() * static_cast<float>(side) / 2;
  camera.lens.width = camera.lens.height = side;
  camera.lens.fx = camera.lens.fy = focal;
  camera.lens.cx = camera.lens.cy = static_cast<float>(side) / 2;
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) camera.camera_to_world(r, c) = c2w[r][c].item<float>();
  return camera;
}

/// Distance to renders of one object over a background of the same grey.
class Truth : public guidance::Guidance {
 public:
  explicit Truth(const std::string& caption)
      : scene_(toybox::lit_scene(toybox::make_object(toybox::parse_caption(caption), 1))) {}

  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng&) override {
    const int64_t n = views.rgb.size(0), side = views.rgb.size(1);
    std::vector<at::Tensor> loss;
    for (int64_t b = 0; b < n; ++b) {
      trace::RenderSettings settings;
      settings.samples = 4;
      settings.seed = static_cast<uint64_t>(b);
      const auto image =
          trace::render_view(
              scene_, camera_of(views.camera_to_world[b], views.mvp[b], static_cast<int>(side)), settings)
              .rgba;
      auto bytes = at::empty({side, side, 4}, at::kByte);
      std::copy(image.pixels.begin(), image.pixels.end(), bytes.data_ptr<uint8_t>());
      const auto rgba = bytes.to(at::kFloat) / 255;
      const auto alpha = rgba.narrow(2, 3, 1);
      // The corner pixel shows the background alone.
      const auto grey = views.rgb[b][0][0].detach().reshape({1, 1, 3});
      loss.push_back((views.rgb[b] - (rgba.narrow(2, 0, 3) * alpha + grey * (1 - alpha))).square().mean());
    }
    guidance::GuidanceOutput out;
    out.losses["loss_sds"] = at::stack(loss).mean();
    return out;
  }
  void update_step(int64_t) override {}
  at::Tensor decode(const at::Tensor& latents) const override { return latents; }
  const guidance::Model& model() const override { return model_; }

 private:
  trace::Scene scene_;
  guidance::Model model_;
};

/// Losses under all names that recipes use, towards grey.
class AnyLoss : public guidance::Guidance {
 public:
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng&) override {
    guidance::GuidanceOutput out;
    out.losses[name] = (views.rgb - 0.5).square().mean();
    return out;
  }
  void update_step(int64_t) override {}
  at::Tensor decode(const at::Tensor& latents) const override { return latents.narrow(3, 0, 3).sigmoid(); }
  const guidance::Model& model() const override { return model_; }

  std::string name;

 private:
  guidance::Model model_;
};

/// What makes a system's scene small, and lets a stage on a mesh begin with a ball instead of another run.
std::vector<std::string> at_their_smallest(const config::Node& system) {
  const auto has = [&](const char* path) { return config::find_at(system, path) != nullptr; };
  std::vector<std::string> overrides;
  if (config::to_string(*system.find("renderer_type"), "renderer_type") == "nvdiff-rasterizer")
    overrides.emplace_back("system.geometry.isosurface_resolution=16");
  else
    overrides.push_back(cat("system.renderer.", has("renderer.base_renderer") ? "base_renderer." : "",
                            "num_samples_per_ray=32"));
  if (has("geometry.pos_encoding_config"))
    overrides.emplace_back("system.geometry.pos_encoding_config.log2_hashmap_size=10");
  else if (has("geometry.shape_init"))  // learned before the first step
    overrides.emplace_back(
        "system.geometry.pos_encoding_config={otype: HashGrid, n_levels: 4, log2_hashmap_size: 10, "
        "base_resolution: 4}");
  if (has("geometry_convert_from"))
    for (const char* text : {"system.geometry_convert_from=null", "system.geometry.shape_init=sphere",
                             "system.geometry.shape_init_params=0.4"})
      overrides.emplace_back(text);
  if (has("weights")) overrides.emplace_back("system.weights=null");
  return overrides;
}

TEST(Recipes, EveryOneTakesStepsAndWritesItsViews) {
  const testing::TemporaryFolder folder;
  int n_recipes = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(T3D_SOURCE_DIR) / "configs")) {
    auto root =
        entry.path().extension() == ".yaml" ? config::read_yaml_file(entry.path().string()) : config::Node();
    if (root.find("system_type") == nullptr) continue;
    const std::string name = entry.path().stem().string();
    SCOPED_TRACE(name);
    ++n_recipes;
    std::vector<std::string> overrides = at_their_smallest(*root.find("system"));
    for (const std::string& text :
         {std::string("system.prompt_processor.prompt=a cube"), "trial_dir=" + (folder / name),
          std::string("trainer.max_steps=2"), std::string("data.width=12"), std::string("data.height=12"),
          std::string("data.batch_size=4"), std::string("data.resolution_milestones=[]"),
          std::string("data.eval_width=12"), std::string("data.eval_height=12"),
          std::string("data.n_val_views=1"), std::string("trainer.enable_progress_bar=false")})
      overrides.push_back(text);
    for (const std::string& text : overrides) config::apply_override(root, text);
    config::resolve_interpolations(root);
    const auto& loss = *root.find("system")->find("loss");
    system::SystemContext context;
    context.make_guidance = [&loss] {
      auto guidance = std::make_unique<AnyLoss>();
      for (const char* each : {"sds", "vsd", "asd"})
        if (loss.find(std::string("lambda_") + each) != nullptr) guidance->name = std::string("loss_") + each;
      return guidance;
    };
    context.make_prompt = [] { return std::make_unique<testing::NoPrompt>(); };
    system::Run run(system::read_experiment(root), context);
    EXPECT_EQ(run.fit().steps, 2);
    run.validate();
    EXPECT_TRUE(fs::exists(folder / (name + "/save/it2-0.png")));
  }
  EXPECT_GE(n_recipes, 21);
}

/// T3D_DISTILL_STEPS, T3D_DISTILL_CAPTION and T3D_DISTILL_OUT make a longer experiment of it.
std::string setting(const char* name, const std::string& otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : otherwise;
}

const char* const kMushroom = "a red mushroom with a white stem";

struct Distilled {
  system::FitReport report;
  io::Mesh mesh;
};

/// The toybox recipe's cameras on the truth; `change` has the last word about the recipe.
Distilled distil(const std::string& folder, const std::string& caption,
                 const std::function<void(config::Node&)>& change) {
  auto root = config::read_yaml_file(std::string(T3D_SOURCE_DIR) + "/configs/toybox.yaml");
  for (const std::string& text :
       {"trainer.max_steps=" + setting("T3D_DISTILL_STEPS", "50"), "trial_dir=" + folder,
        "data.width=" + setting("T3D_DISTILL_SIDE", "40"), "data.height=" + setting("T3D_DISTILL_SIDE", "40"),
        std::string("data.resolution_milestones=[]"), std::string("data.eval_width=128"),
        std::string("data.eval_height=128"), std::string("system.prompt_processor.prompt=the truth"),
        std::string("system.loss={lambda_sds: 1000.0}")})
    config::apply_override(root, text);
  change(root);
  config::resolve_interpolations(root);
  system::SystemContext context;
  context.make_guidance = [&] { return std::make_unique<Truth>(caption); };
  context.make_prompt = [] { return std::make_unique<testing::NoPrompt>(); };
  system::Run run(system::read_experiment(root), context);
  Distilled out;
  out.report = run.fit();
  run.validate();
  out.mesh = system::scene_mesh(run.system(), {96, 0.02});
  io::write_mesh(folder + "/mesh.obj", out.mesh);
  return out;
}

void expect_mushroom(const Distilled& made, double most_error) {
  EXPECT_GT(made.mesh.faces.size(), 500u);
  EXPECT_LT(made.report.last.at("train/loss_sds"), most_error);  // mean squared error
  Vec3f cap = Vec3f::Zero(), stem = Vec3f::Zero();
  float n_cap = 0, n_stem = 0;
  for (size_t i = 0; i < made.mesh.positions.size(); ++i) {
    if (made.mesh.positions[i].z() > 0.15f) cap += made.mesh.colours[i], ++n_cap;
    if (made.mesh.positions[i].z() < -0.15f) stem += made.mesh.colours[i], ++n_stem;
  }
  ASSERT_GT(n_cap, 100);
  ASSERT_GT(n_stem, 30);
  EXPECT_GT(cap.x() / n_cap, cap.y() / n_cap + 0.25f);      // red above
  EXPECT_NEAR(stem.x() / n_stem, stem.y() / n_stem, 0.2f);  // no colour below
}

TEST(Distill, TruthInTheModelsPlaceComesOutAsAMesh) {
  T3D_NEED_EMBREE();
  const testing::TemporaryFolder temporary;
  const std::string caption = setting("T3D_DISTILL_CAPTION", kMushroom);
  const auto made = distil(setting("T3D_DISTILL_OUT", temporary.string()), caption, [](config::Node&) {});
  if (caption == kMushroom) expect_mushroom(made, 0.01);
}

/// The same with a signed distance that NeuS's renderer shows.
TEST(Distill, TruthInTheModelsPlaceComesOutAsASignedDistance) {
  T3D_NEED_EMBREE();
  const testing::TemporaryFolder temporary;
  const std::string caption = setting("T3D_DISTILL_CAPTION", kMushroom);
  const auto made = distil(setting("T3D_DISTILL_OUT", temporary.string()), caption, [](config::Node& root) {
    auto& system = *root.find("system");
    auto encoding = *system.find("geometry")->find("pos_encoding_config");
    auto geometry = config::read_yaml(
        "{radius: 0.65, sdf_bias: sphere, sdf_bias_params: 0.35, "
        "normal_type: finite_difference_laplacian, finite_difference_normal_eps: 0.02}",
        "here");
    geometry.set("pos_encoding_config", encoding);
    system.set("geometry", geometry);
    system.find("optimizer")
        ->set("params",
              config::read_yaml("{geometry.encoding: {lr: 0.005}, geometry.sdf_network: {lr: 0.002}, "
                                "geometry.feature_network: {lr: 0.01}, renderer: {lr: 0.001}}",
                                "here"));
    for (const char* text : {"system.geometry_type=implicit-sdf", "system.renderer_type=neus-volume-renderer",
                             "system.renderer.learned_variance_init=0.4", "system.loss.lambda_eikonal=20.0",
                             "system.loss.lambda_sparsity=0.0"})
      config::apply_override(root, text);
  });
  if (caption == kMushroom) expect_mushroom(made, 0.025);  // a sphere's is 0.044
}

}  // namespace
}  // namespace t3d
