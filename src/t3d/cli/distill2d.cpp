#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/cli/toybox_prompt.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_prompts.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/optim/make_optimizer.h"
#include "t3d/run/loop.h"

namespace t3d::cli {
namespace {

namespace gd = t3d::guidance;
using config::Node;

constexpr double kSheetEvery_s = 10;
constexpr double kFront_deg = 90;  // MVDream's count: our azimuth 0

struct Distill2dOptions {
  std::string prompt, negative, output, model = "toybox", method = "vsd", space = "latents", device = "auto";
  std::string timesteps;
  int64_t particles = 4, batch = 0, steps = 500, views = 0;
  double guidance = 0, rate = 0.03, lora_rate = 1e-4, elevation_deg = 15;
  uint64_t seed = 0;
  bool overwrite = false;
};

config::Schedule line(double from, double to, int64_t n_steps) {
  return config::Schedule(Node(Node::List{Node(int64_t{0}), Node(from), Node(to), Node(n_steps)}));
}

bool is_asynchronous(const std::string& method) {
  return method == "asd" || method == "csd";
}

/// The keys that the methods share.
template <class Config>
Config common(const Distill2dOptions& o, double guidance_scale) {
  Config c;
  c.pretrained_model_name_or_path = o.model;
  c.guidance_scale = guidance_scale;
  c.view_dependent_prompting = false;
  c.n_view = o.views;
  if (o.timesteps == "annealed") {
    c.min_step_percent = line(0.5, 0.02, o.steps);
    c.max_step_percent = line(0.98, 0.5, o.steps);
  }
  return c;
}

std::unique_ptr<gd::Guidance> make_guidance(const Distill2dOptions& o, const gd::GuidanceContext& context) {
  if (is_asynchronous(o.method)) {
    auto c = common<gd::StableDiffusionAsd::Config>(o, o.guidance);
    c.shift.ratio = o.method == "asd" ? 0.1 : 0;
    c.shift.is_random = true;
    return std::make_unique<gd::StableDiffusionAsd>(c, context);
  }
  if (o.method == "vsd") {
    auto c = common<gd::StableDiffusionVsd::Config>(o, o.guidance);
    c.pretrained_model_name_or_path_lora = o.model;
    return std::make_unique<gd::StableDiffusionVsd>(c, context);
  }
  // threestudio's count of these two is one less.
  auto c = common<gd::StableDiffusionSds::Config>(o, o.guidance - 1);
  c.use_sjc = o.method == "sjc";
  return std::make_unique<gd::StableDiffusionSds>(c, context);
}

/// The cameras of one particle's views: around the object, the front first.
gd::Views cameras_of(const Distill2dOptions& o) {
  gd::Views views;
  views.camera_to_world = diffusion::orbit_cameras(o.views, o.elevation_deg, kFront_deg).reshape({-1, 4, 4});
  views.angles.elevation_deg = at::full({o.views}, o.elevation_deg, at::kFloat);
  views.angles.azimuth_deg = at::arange(o.views).to(at::kFloat) * (360.0 / static_cast<double>(o.views));
  return views;
}

/// Pictures or latents that are moved by a guidance, each with all of its views.
class Particles {
 public:
  Particles(const Distill2dOptions& o, gd::Guidance& guidance, c10::Device device)
      : o_(o), guidance_(guidance), cameras_(cameras_of(o)), rng_(o.seed) {
    const auto& model = guidance.model();
    const bool is_latent = o.space == "latents";
    const int64_t height = is_latent ? model.latent_height : model.image_height();
    const int64_t width = is_latent ? model.latent_width : model.image_width();
    const int64_t channels = is_latent ? model.denoiser->latent_channels() : 3;
    gd::NamedTensors own;
    for (int64_t i = 0; i < o.particles; ++i) {
      auto x = gd::draw_normal({o.views, height, width, channels}, rng_, device);
      if (!is_latent) x = 0.5 + 0.1 * x;
      particles_.push_back(x.contiguous().requires_grad_());
      own.emplace(cat("particle_", i), particles_.back());
    }
    gd::NamedTensors trained, buffers;
    guidance.collect("guidance.", trained, buffers);
    optimize(mover_, "Adam", own, o.rate);
    if (!trained.empty()) optimize(learner_, "AdamW", trained, o.lora_rate);
  }

  /// One step of `batch` particles, and of what the guidance learns. Returns the gradient's norm, on the
  /// device.
  at::Tensor step(int64_t number, const gd::PromptEmbeddings& prompt) {
    guidance_.update_step(number);
    const auto chosen = choose();
    std::vector<at::Tensor> rows;
    for (const size_t i : chosen) rows.push_back(particles_[i]);
    const auto n = static_cast<int64_t>(rows.size());
    gd::Views views;
    views.rgb = at::cat(rows);
    views.is_latent = o_.space == "latents";
    views.camera_to_world = cameras_.camera_to_world.repeat({n, 1, 1});
    views.angles = {cameras_.angles.elevation_deg.repeat({n}), cameras_.angles.azimuth_deg.repeat({n}), {}};
    const auto out = guidance_(views, prompt, rng_);
    at::Tensor total;
    for (const auto& [name, loss] : out.losses) total = total.defined() ? total + loss : loss;
    total.backward();
    for (auto* optimizer : {mover_.get(), learner_.get()}) {
      if (optimizer == nullptr) continue;
      optimizer->step(number + 1, {1.0});
      optimizer->clear_gradients();
    }
    return out.metrics.at("grad_norm");
  }

  /// [P V,H,W,3] in [0,1] on the CPU.
  at::Tensor pictures() const {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> rows;
    for (const auto& x : particles_)
      rows.push_back((o_.space == "latents" ? guidance_.decode(x) : x.clamp(0, 1)).to(at::kCPU, at::kFloat));
    return at::cat(rows);
  }
  std::map<std::string, at::Tensor> tensors() const {
    std::map<std::string, at::Tensor> out;
    for (size_t i = 0; i < particles_.size(); ++i)
      out.emplace(cat("particle_", i), particles_[i].detach().to(at::kCPU));
    return out;
  }

 private:
  static void optimize(std::unique_ptr<optim::Optimizer>& optimizer, const char* name,
                       const gd::NamedTensors& tensors, double rate) {
    optimizer = optim::optimizers().make(name, Node(Node::Map{{"lr", Node(rate)}}), "optimizer",
                                         {optim::ParameterGroup{"particles", tensors, {}}});
  }

  /// `batch` particles without repetition.
  std::vector<size_t> choose() {
    std::vector<size_t> all(particles_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    const auto n = static_cast<size_t>(o_.batch);
    if (n == all.size()) return all;
    for (size_t i = 0; i < n; ++i)
      std::swap(all[i], all[i + rng_.below(static_cast<uint32_t>(all.size() - i))]);
    all.resize(n);
    return all;
  }

  const Distill2dOptions& o_;
  gd::Guidance& guidance_;
  gd::Views cameras_;
  Rng rng_;
  std::vector<at::Tensor> particles_;  // each [V,s,s,C]
  std::unique_ptr<optim::Optimizer> mover_, learner_;
};

/// A row for each particle, a column for each view.
void write_sheet(const std::string& path, const at::Tensor& pictures, int64_t n_views) {
  const int64_t n = pictures.size(0) / n_views, h = pictures.size(1), w = pictures.size(2);
  const auto sheet =
      pictures.reshape({n, n_views, h, w, 3}).permute({0, 2, 1, 3, 4}).contiguous();  // [P,H,V,W,3]
  io::ImageF image(static_cast<int>(n_views * w), static_cast<int>(n * h), 3);
  std::copy_n(sheet.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
  io::write_png(path, io::to_8bit(image), io::ReadBack::Yes);
}

/// Moving the particles is the step, and the sheet is what is kept of the work.
class Distillation : public run::Step {
 public:
  Distillation(Particles& particles, const gd::StableDiffusionPrompts& prompts, std::string sheet,
               int64_t n_views)
      : particles_(particles), prompts_(prompts), sheet_(std::move(sheet)), n_views_(n_views) {}

  int64_t n_done() const override { return n_done_; }
  bool take(bool /*is_due*/) override {
    norm_ = particles_.step(n_done_, prompts_.embeddings());
    ++n_done_;
    return true;  // reading the norm would wait for the device
  }
  void save(run::Keep /*keep*/) override {
    if (norm_.defined() && !std::isfinite(norm_.item<float>()))
      throw UserError(cat("the gradient is not finite at step ", n_done_ - 1, ". Lower --lr or --guidance."));
    write_sheet(sheet_, particles_.pictures(), n_views_);
  }
  std::string saved_work() const override {
    return cat("the pictures after ", counted(n_done_, "step"), " are in ", sheet_,
               "; this command begins anew each time");
  }

 private:
  Particles& particles_;
  const gd::StableDiffusionPrompts& prompts_;
  std::string sheet_;
  int64_t n_views_, n_done_ = 0;
  at::Tensor norm_;  // of the last step's gradient, on the device
};

/// Fills in what depends on the method and the model.
void complete(Distill2dOptions& o, const gd::Model& model) {
  if (o.views == 0) o.views = model.takes_cameras ? 4 : 1;
  if (o.views > 1 && !model.takes_cameras)
    throw UserError(cat("--views ", o.views, ": ", model.name,
                        " takes one picture at a time. Leave the option out, or use an MVDream-like model."));
}

int distill2d(Distill2dOptions o) {
  const double began = now_s();
  const StopToken stop = stop_on_signals();
  if (!o.prompt.empty() && std::filesystem::path(o.model).filename() == "toybox") parse_prompt(o.prompt);
  check_new_folder(o.output, o.overwrite);
  o.model = diffusion::find_model(o.model);
  if (o.guidance == 0) o.guidance = o.method == "sds" || o.method == "sjc" ? 100 : 7.5;
  if (o.timesteps.empty()) o.timesteps = is_asynchronous(o.method) ? "annealed" : "random";
  if (o.batch == 0 || o.batch > o.particles) o.batch = o.particles;

  gd::GuidanceContext context;
  context.seed = o.seed;
  context.device = device_named(o.device);
  gd::ModelRequest request;
  request.name = o.model;
  request.cpu_bfloat16 = has_bfloat16();
  request.device = context.device;
  const auto model = gd::open_model(request);
  complete(o, *model);
  context.open = [model](const gd::ModelRequest&) { return model; };
  gd::StableDiffusionPrompts::Config words;
  words.prompt = o.prompt;
  words.negative_prompt = o.negative;
  words.pretrained_model_name_or_path = o.model;
  words.use_cache = false;
  const gd::StableDiffusionPrompts prompts(words, context);
  const auto guidance = make_guidance(o, context);
  Particles particles(o, *guidance, context.device);
  make_folders(o.output);

  const std::string sheet = o.output + "/particles.png";
  Distillation step(particles, prompts, sheet, o.views);
  run::Policy policy;
  policy.label = o.method;
  policy.control.stop = stop;
  policy.n_steps = o.steps;
  policy.save_every_s = kSheetEvery_s;
  policy.saves_at_end = false;  // below, where the pictures are looked at first
  run::Loop(step, policy).run();

  const auto pictures = particles.pictures();
  if (!at::isfinite(pictures).all().item<bool>())
    throw UserError("the pictures are not finite. Lower --lr or --guidance.");
  write_sheet(sheet, pictures, o.views);
  io::write_safetensors(o.output + "/particles.safetensors", particles.tensors(), {{"space", o.space}});
  const nlohmann::json report = {
      {"prompt", o.prompt},        {"negative", o.negative},   {"model", o.model},
      {"method", o.method},        {"particles", o.particles}, {"views", o.views},
      {"steps", o.steps},          {"guidance", o.guidance},   {"space", o.space},
      {"timesteps", o.timesteps},  {"batch", o.batch},         {"lr", o.rate},
      {"lora_lr", o.lora_rate},    {"seed", o.seed},           {"version", T3D_VERSION},
      {"seconds", now_s() - began}};
  io::write_json_file(o.output + "/run.json", report);
  log::info(cat(sheet, ": ", counted(o.particles, "particle"), " by ", o.method,
                o.views > 1 ? cat(", ", o.views, " views each") : "", ", ", counted(o.steps, "step"), " in ",
                human_seconds(now_s() - began)));
  print_result(o.output);
  return 0;
}

}  // namespace

void add_distill2d_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<Distill2dOptions>();
  auto* c = app.add_subcommand("distill2d", "Score distillation on pictures instead of a 3D scene");
  c->add_option("PROMPT", o->prompt, "What to show")->required();
  c->add_option("-o,--output", o->output, "Folder of the result")->required();
  c->add_option("--model", o->model, "Folder, file or name of the model; see t3d models")
      ->capture_default_str();
  c->add_option("--method", o->method, "How the score becomes a gradient")
      ->check(CLI::IsMember({"sds", "sjc", "csd", "asd", "vsd"}))
      ->capture_default_str();
  c->add_option("--particles", o->particles, "Pictures, or sets of views, made together")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  c->add_option("--batch", o->batch, "Of them that move in one step [all]")->check(CLI::Range(1, 1024));
  c->add_option("--steps", o->steps, "Optimizer steps")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  c->add_option("--guidance", o->guidance, "Weight of the prompt [sds, sjc: 100; others: 7.5]")
      ->check(CLI::Range(0.001, 10000.0));
  c->add_option("--negative", o->negative, "What to move away from");
  c->add_option("--timesteps", o->timesteps,
                "random: the whole range; annealed: a window that falls [asd, csd: annealed; others: random]")
      ->check(CLI::IsMember({"random", "annealed"}));
  c->add_option("--space", o->space, "What moves: latents, or pixels through the autoencoder")
      ->check(CLI::IsMember({"latents", "pixels"}))
      ->capture_default_str();
  c->add_option("--views", o->views, "Views of a particle, for models that take cameras [4]")
      ->check(CLI::Range(1, 64));
  c->add_option("--elevation", o->elevation_deg, "Of the views, degrees")
      ->check(CLI::Range(-90.0, 90.0))
      ->capture_default_str();
  c->add_option("--lr", o->rate, "Learning rate of the particles (Adam)")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  c->add_option("--lora-lr", o->lora_rate, "Learning rate of VSD's low-rank weights (AdamW)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  c->add_option("--seed", o->seed, "Another seed gives other pictures")->capture_default_str();
  c->add_option("--device", o->device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  c->add_flag("--overwrite", o->overwrite, "Write into a folder that is not empty");
  c->callback([o, &run] { run = [o] { return distill2d(*o); }; });
}

}  // namespace t3d::cli
