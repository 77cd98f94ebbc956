// The whole chain from cameras to a mesh, with the truth in the diffusion model's place: a guidance that
// compares the pictures with renders of an object.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/io/write_mesh.h"
#include "t3d/system/run.h"
#include "t3d/system/scene_mesh.h"
#include "t3d/toybox/render_objects.h"

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
  void update_step(int64_t, int64_t) override {}
  at::Tensor decode(const at::Tensor& latents) const override { return latents; }
  const guidance::Model& model() const override { return model_; }

 private:
  trace::Scene scene_;
  guidance::Model model_;
};

class NoPrompt : public guidance::PromptProcessor {
 public:
  const guidance::PromptEmbeddings& embeddings() const override { return embeddings_; }
  const std::string& prompt() const override { return text_; }
  const std::vector<std::string>& direction_prompts() const override { return texts_; }

 private:
  std::string text_;
  std::vector<std::string> texts_;
  guidance::PromptEmbeddings embeddings_{at::zeros({1, 1}), at::zeros({1, 1}), at::zeros({4, 1, 1})};
};

TEST(Distill, TruthInTheModelsPlaceComesOutAsAMesh) {
  const std::string folder = (fs::temp_directory_path() / "t3d_distill").string();
  fs::remove_all(folder);
  auto root = config::read_yaml_file(std::string(T3D_SOURCE_DIR) + "/configs/toybox.yaml");
  const auto set = [&root](const std::string& text) { config::apply_override(root, text); };
  const char* steps = std::getenv("T3D_DISTILL_STEPS");
  set(std::string("trainer.max_steps=") + (steps != nullptr ? steps : "60"));
  set("trial_dir=" + folder);
  set("system.prompt_processor.prompt=the truth");
  set("system.loss.lambda_sds=1000");
  config::resolve_interpolations(root);
  system::SystemContext context;
  const char* caption = std::getenv("T3D_DISTILL_CAPTION");
  const std::string text = caption != nullptr ? caption : "a red mushroom with a white stem";
  context.make_guidance = [&] { return std::make_unique<Truth>(text); };
  context.make_prompt = [] { return std::make_unique<NoPrompt>(); };
  system::Run run(system::read_experiment(root), context);
  const auto report = run.fit();
  std::printf("%lld steps in %.1f s, loss %.4g\n", static_cast<long long>(report.steps), report.seconds,
              report.last.at("train/loss"));
  run.validate();
  const io::Mesh mesh = system::scene_mesh(run.system());
  io::write_mesh(folder + "/mesh.obj", mesh);
  EXPECT_GT(mesh.faces.size(), 500u);
}

}  // namespace
}  // namespace t3d
