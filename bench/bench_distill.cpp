// Score distillation from a perfect prior: the toybox recipe with a denoiser that knows the objects of a
// caption. It tells what the recipe itself loses, apart from what a trained prior gets wrong.
//
//   bench_distill [caption] [out folder] [key=value ...]        defaults: "a red mushroom with a white stem"
//
// Prints the silhouettes' overlap with the nearest object, over 8 views, and seconds per step.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/guidance/multiview_sds.h"
#include "t3d/ops/startup.h"
#include "t3d/system/outputs.h"
#include "t3d/toybox/render_objects.h"
#include "tests/support/no_prompt.h"

namespace t3d {
namespace {

constexpr float kFov_deg = 40, kCloseness = 0.71f;
constexpr int kSide = 128, kObjects = 3;

/// [n,4,h,w] of pictures of one object, rgba in [0,1].
at::Tensor render(const trace::Scene& scene, const at::Tensor& camera_to_world, float distance, int side) {
  std::vector<at::Tensor> all;
  for (int64_t b = 0; b < camera_to_world.size(0); ++b) {
    Camera camera;
    camera.lens = Lens::from_fov_x(side, side, kFov_deg * 3.14159265f / 180);
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 4; ++c)
        camera.camera_to_world(r, c) =
            camera_to_world[b][r][c].item<float>() * (c == 3 && r < 3 ? distance : 1);
    trace::RenderSettings settings;
    settings.samples = 2;
    const auto image = trace::render_view(scene, camera, settings).rgba;
    auto bytes = at::empty({side, side, 4}, at::kByte);
    std::copy(image.pixels.begin(), image.pixels.end(), bytes.data_ptr<uint8_t>());
    all.push_back(bytes.to(at::kFloat).permute({2, 0, 1}) / 255);
  }
  return at::stack(all);
}

/// The best prediction there is where objects are one of a few: their mean by how well each explains x_t.
class KnowsTheObjects : public diffusion::Denoiser {
 public:
  KnowsTheObjects(const std::string& caption, std::shared_ptr<const diffusion::Autoencoder> vae)
      : vae_(std::move(vae)) {
    const auto description = toybox::parse_caption(caption);
    for (int i = 0; i < kObjects; ++i)
      scenes.emplace_back(
          new trace::Scene(toybox::lit_scene(toybox::make_object(description, static_cast<uint64_t>(i)))));
  }

  at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                     const diffusion::Condition& condition) const override {
    const c10::NoGradGuard no_grad;
    const int64_t n = latents.size(0) / 2;  // guided and unguided rows are the same to us
    const auto cameras = condition.camera.slice(0, 0, n).reshape({n, 4, 4});
    std::vector<at::Tensor> clean, fit;
    const double a = schedule.alpha_bar(t[0].item<int64_t>());
    const auto noisy = latents.slice(0, 0, n);
    for (const auto& scene : scenes) {
      const auto rgba = render(*scene, cameras, distance(), kSide);
      const auto alpha = rgba.narrow(1, 3, 1);
      const auto rgb = rgba.narrow(1, 0, 3) * alpha + grey * (1 - alpha);
      const auto x = vae_->to_latents(rgb * 2 - 1, at::zeros({n, 4, kSide / 4, kSide / 4}));
      clean.push_back(x);
      fit.push_back(-(noisy - std::sqrt(a) * x).square().sum() / (2 * std::max(1 - a, 1e-5)));
    }
    const auto weights = at::softmax(at::stack(fit), 0);
    auto mean = at::zeros_like(noisy);
    for (int i = 0; i < kObjects; ++i) mean += weights[i] * clean[static_cast<size_t>(i)];
    return at::cat({mean, mean});
  }
  diffusion::Prediction prediction() const override { return diffusion::Prediction::Sample; }
  static float distance() { return kCloseness / std::tan(kFov_deg * 3.14159265f / 360); }

  std::vector<std::unique_ptr<trace::Scene>> scenes;
  diffusion::NoiseSchedule schedule;
  float grey = 0.7f;  ///< as the recipe's background

 private:
  std::shared_ptr<const diffusion::Autoencoder> vae_;
};

double overlap(system::Run& run, const trace::Scene& scene) {
  double sum = 0;
  constexpr int kViews = 8;
  for (int i = 0; i < kViews; ++i) {
    const auto batch = run.views().circle_view(i, kViews, kSide, kSide);
    const auto ours = run.system().render_view(batch).opacity.reshape({kSide, kSide}) > 0.5;
    const auto truth = render(scene, batch.c2w, 1, kSide)[0][3] > 0.5;
    sum += ours.logical_and(truth).sum().item<double>() /
           std::max(1.0, ours.logical_or(truth).sum().item<double>());
  }
  return sum / kViews;
}

void bench(const std::string& caption, const std::string& folder, const std::vector<std::string>& overrides) {
  auto root = config::read_yaml_file(std::string(T3D_SOURCE_DIR) + "/configs/toybox.yaml");
  const std::string distance = cat("[", kCloseness, ", ", kCloseness, "]"),
                    fov = cat("[", kFov_deg, ", ", kFov_deg, "]");
  for (const std::string& text :
       {std::string("system.prompt_processor.prompt=the truth"), "trial_dir=" + folder,
        "data.fovy_range=" + fov, "data.camera_distance_range=" + distance,
        cat("data.eval_fovy_deg=", kFov_deg), cat("data.eval_camera_distance=", KnowsTheObjects::distance()),
        std::string("system.background.random_aug_range=[0.7, 0.7]")})
    config::apply_override(root, text);
  for (const std::string& text : overrides) config::apply_override(root, text);
  config::resolve_interpolations(root);

  const std::string vae_folder = std::string(T3D_SOURCE_DIR) + "/models/toybox/vae";
  const auto weights = diffusion::Weights::from(
      diffusion::safetensors_source(diffusion::find_weights(vae_folder)), at::kFloat, c10::kCPU);
  auto model = std::make_shared<guidance::Model>();
  model->vae = std::make_shared<diffusion::Autoencoder>(
      diffusion::read_autoencoder_config(vae_folder + "/config.json"), weights);
  diffusion::NoiseScheduleConfig noise;
  noise.zero_terminal_snr = true;
  model->schedule = diffusion::NoiseSchedule(noise);
  auto denoiser = std::make_shared<KnowsTheObjects>(caption, model->vae);
  denoiser->schedule = model->schedule;
  model->denoiser = denoiser;
  model->latent_height = model->latent_width = kSide / 4, model->reduction = 4, model->takes_cameras = true;

  system::SystemContext context;
  const auto keys = *root.find("system")->find("guidance");
  context.make_guidance = [&] {
    return std::make_unique<guidance::MultiviewSds>(
        config::read_struct<guidance::MultiviewSds::Config>(keys, "system.guidance"), model);
  };
  context.make_prompt = [] { return std::make_unique<testing::NoPrompt>(); };
  system::Run run(system::read_experiment(root), context);
  const auto report = run.fit();
  double best = 0;
  for (const auto& scene : denoiser->scenes) best = std::max(best, overlap(run, *scene));
  system::write_preview(run, folder + "/preview.png", 4, 192);
  std::printf("\"%s\": overlap %.3f, %.2f s a step, %s\n", caption.c_str(), best,
              report.seconds / static_cast<double>(std::max<int64_t>(1, report.steps)), folder.c_str());
}

}  // namespace
}  // namespace t3d

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  std::vector<std::string> words(argv + 1, argv + argc), overrides;
  std::string caption = "a red mushroom with a white stem", folder = "out/bench_distill";
  int n_plain = 0;
  for (const auto& word : words) {
    if (word.find('=') != std::string::npos)
      overrides.push_back(word);
    else
      (n_plain++ == 0 ? caption : folder) = word;
  }
  try {
    t3d::bench(caption, folder, overrides);
  } catch (const t3d::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code();
  }
  return 0;
}
