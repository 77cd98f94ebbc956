#include "t3d/system/system.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/sentence.h"
#include "t3d/field/encoding.h"
#include "t3d/io/image_grid.h"
#include "t3d/render/strips.h"
#include "t3d/system/guidance_grid.h"
#include "t3d/system/loss_names.h"
#include "t3d/system/regularisers.h"
#include "t3d/system/render_request.h"

namespace t3d::system {
namespace {

constexpr const char* kNothingToLearn =
    "system.loss: every weight is 0, so that nothing is learned. Raise one.";
constexpr uint64_t kRenderStream = 0x5e7d, kGuidanceStream = 0x6a1d, kEvalStream = 0xe7a1;

/// Draws of one step and purpose: nothing of them has to be in a checkpoint.
Rng stream_of(uint64_t seed, uint64_t purpose, int64_t step) {
  return Rng(seed, (purpose << 44) ^ static_cast<uint64_t>(step));
}

std::map<std::string, config::Schedule> read_losses(const SystemConfig& config) {
  const config::Node& block = config.loss;
  std::map<std::string, config::Schedule> all;
  if (block.is_null()) return all;
  if (!block.is_map()) config::reject(block, "system.loss", "a block of lambda_NAME");
  check_loss_names(
      block, guidance::guidances().loss_names(config.guidance_type, config.guidance, "system.guidance"));
  for (const auto& [name, node] : block.map()) all.emplace(name, config::Schedule(node));
  return all;
}

/// What to do where a rendering lacks a field.
std::string way_to(const std::string& field) {
  if (field == "geometry.normal") return "Use a material that needs normals (requires_normal: true)";
  if (field == "comp_normal")
    return "Use renderer_type=nvdiff-rasterizer, or set renderer.return_comp_normal=true with a material "
           "that "
           "needs normals";
  if (field == "mesh_vertices" || field == "mesh_faces") return "Use renderer_type=nvdiff-rasterizer";
  if (field == "geometry.sdf_grad" || field == "geometry.sdf")
    return cat("Use geometry_type=",
               alternatives(field::geometries().names_with(field::Geometry::kDistance)));
  if (field == "z_variance" || field == "geometry.density")
    return cat("Use nerf-volume-renderer with geometry_type=",
               alternatives(field::geometries().names_with(field::Geometry::kDensity)));
  return "Use another renderer";
}

}  // namespace

io::ImageF to_image(const at::Tensor& pixels) {
  const auto flat = (pixels.dim() == 4 ? pixels[0] : pixels).detach().to(at::kCPU, at::kFloat).contiguous();
  io::ImageF image(static_cast<int>(flat.size(1)), static_cast<int>(flat.size(0)),
                   static_cast<int>(flat.size(2)));
  std::copy_n(flat.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
  return image;
}

System::System(const SystemConfig& config, const SystemContext& context)
    : config_(config),
      context_(context),
      loss_(read_losses(config)),
      freq_(config::read_struct<FrequencyConfig>(
          config.freq.is_null() ? config::Node(config::Node::Map{}) : config.freq, "system.freq")) {
  const field::BuildContext build{context.seed, context.device, context.control};
  geometry_ = field::geometries().make(config.geometry_type, keys_of("geometry", config.geometry),
                                       "system.geometry", build.part("geometry"));
  material_ = shading::materials().make(config.material_type, keys_of("material", config.material),
                                        "system.material", build.part("material"));
  background_ = shading::backgrounds().make(
      config.background_type.empty() ? "solid-color-background" : config.background_type,
      keys_of("background", config.background), "system.background", build.part("background"));
  renderer_ = render::renderers().make(
      config.renderer_type, keys_of("renderer", config.renderer), "system.renderer",
      render::Scene{geometry_.get(), material_.get(), background_.get()}, build.part("renderer"));
}

void System::note_weights(const std::string& part, const config::Node& block) {
  const config::Node* weights = block.find("weights");
  if (weights != nullptr && !weights->is_null())
    part_weights_[part] = config::to_string(*weights, cat("system.", part, ".weights"));
}

config::Node System::keys_of(const std::string& part, const config::Node& block) {
  note_weights(part, block);
  return field::without_keys(block, {"weights"});
}

field::Component* System::part(const std::string& name) const {
  if (name == "geometry") return geometry_.get();
  if (name == "material") return material_.get();
  if (name == "background") return background_.get();
  return name == "renderer" ? static_cast<field::Component*>(renderer_.get()) : nullptr;
}

void System::open_guidance() {
  if (guidance_ != nullptr) return;
  guidance::GuidanceContext build;
  build.seed = context_.seed, build.device = context_.device, build.open = context_.open;
  build.reads_weights = context_.reads_weights;
  prompt_ = context_.make_prompt
                ? context_.make_prompt()
                : guidance::prompt_processors().make(config_.prompt_processor_type, config_.prompt_processor,
                                                     "system.prompt_processor", build);
  note_weights("guidance", config_.guidance);  // its own keys hold it, where it has something that learns
  guidance_ = context_.make_guidance ? context_.make_guidance()
                                     : guidance::guidances().make(config_.guidance_type, config_.guidance,
                                                                  "system.guidance", build);
}

guidance::Guidance& System::open() const {
  T3D_CHECK(guidance_ != nullptr, "the guidance is not open");
  return *guidance_;
}

void System::update_step(int64_t step, bool is_training) {
  step_ = step;
  background_->update_step(step);
  geometry_->update_step(step);
  if (guidance_ != nullptr) guidance_->update_step(step);
  material_->update_step(step);
  renderer_->update_step(step);
  if (is_training) renderer_->update_grid(step);  // evaluation leaves the occupancy grid as it is
}

StepLosses System::losses_of(const render::RenderOutput& out, const data::CameraBatch& batch,
                             int64_t step) const {
  Rng rng = stream_of(context_.seed, kGuidanceStream, step);
  StepLosses losses;
  for (const auto& part : plan())
    if (const auto* pass = std::get_if<GuidancePass>(&part))
      add_guidance(losses, out, *pass, batch, rng);
    else
      add_term(losses, out, term(std::get<std::string>(part)));
  if (out.inv_std.defined()) losses.metrics["inv_std"] = out.inv_std.detach();
  for (const auto& [name, schedule] : loss_) losses.lambdas.emplace(name, schedule.at(step));
  if (!losses.total.defined() || !losses.total.requires_grad()) throw UserError(kNothingToLearn);
  return losses;
}

StepLosses System::training_step(const data::CameraBatch& batch, int64_t step, double scale,
                                 int64_t max_rays) {
  step_ = step;
  const int64_t shown_before = shown_step_;
  const bool in_strips =
      max_rays > 0 && can_render_strips() && batch.n() * batch.height * batch.width > max_rays;
  try {
    return in_strips ? step_in_strips(batch, step, scale, max_rays) : step_at_once(batch, step, scale);
  } catch (...) {  // what this attempt left would hold memory, and count in the next one
    renderer_->drop_own_loss();
    shown_step_ = shown_before;
    throw;
  }
}

StepLosses System::step_at_once(const data::CameraBatch& batch, int64_t step, double scale) {
  Rng rng = stream_of(context_.seed, kRenderStream, step);
  StepLosses losses = losses_of((*renderer_)(request_of(batch), /*is_training=*/true, rng), batch, step);
  (losses.total * scale).backward();
  losses.total = losses.total.detach();
  learn_renderer(losses, scale);
  return losses;
}

void System::learn_renderer(StepLosses& losses, double scale) {
  const auto own = renderer_->take_own_loss();
  if (!own.defined()) return;
  losses.metrics["loss_proposal"] = own.detach();
  (own * scale).backward();
}

StepLosses System::step_in_strips(const data::CameraBatch& batch, int64_t step, double scale,
                                  int64_t max_rays) {
  Rng rng = stream_of(context_.seed, kRenderStream, step);
  const render::RenderRequest request = request_of(batch);
  const auto background = (*background_)(request.rays().directions, /*is_training=*/true, rng);  // [B,H,W,C]
  const render::StripRenderer strips(*renderer_, request, background, max_rays, rng);
  render::Strips whole = strips.without_graph();
  StepLosses losses = losses_of(whole.joined, batch, step);
  (losses.total * scale).backward();
  losses.total = losses.total.detach();
  strips.backward(whole);
  learn_renderer(losses, scale);
  return losses;
}

bool System::wants_colour() const {
  const auto is_colour = [](const std::string& field) { return field.rfind("comp_rgb", 0) == 0; };
  for (const auto& part : plan()) {
    const auto* pass = std::get_if<GuidancePass>(&part);
    const auto looks_at =
        pass != nullptr ? std::vector<std::string>{pass->image} : term(std::get<std::string>(part)).needs;
    if (std::any_of(looks_at.begin(), looks_at.end(), is_colour)) return true;
  }
  return false;
}

render::RenderRequest System::request_of(const data::CameraBatch& batch) const {
  render::RenderRequest request = render_request(batch);
  request.wants_colour = wants_colour();
  return request;
}

render::RenderOutput System::render_view(const data::CameraBatch& batch) {
  const c10::NoGradGuard no_grad;
  Rng rng = stream_of(context_.seed, kEvalStream, 0);
  return (*renderer_)(request_of(batch), /*is_training=*/false, rng);
}

io::Image8 System::rgb_picture(const render::RenderOutput& out) const {
  return io::picture_of_rgb(
      to_image(out.comp_rgb.defined() ? out.comp_rgb.narrow(-1, 0, 3) : out.comp_normal));
}

std::vector<NamedPicture> System::pictures(const render::RenderOutput& out) const {
  std::vector<NamedPicture> all;
  if (out.comp_rgb.defined()) all.push_back({"rgb", rgb_picture(out)});
  if (out.comp_normal.defined()) all.push_back({"normal", io::picture_of_rgb(to_image(out.comp_normal))});
  all.push_back({"opacity", io::picture_of_values(to_image(out.opacity), io::ValueRange{0.f, 1.f},
                                                  io::ColourMap::None)});
  return all;
}

NamedTensors System::parameters() const {
  NamedTensors parameters, buffers;
  geometry_->collect("geometry.", parameters, buffers);
  material_->collect("material.", parameters, buffers);
  background_->collect("background.", parameters, buffers);
  renderer_->collect("renderer.", parameters, buffers);
  if (guidance_ != nullptr) guidance_->collect("guidance.", parameters, buffers);
  return parameters;
}

NamedTensors System::buffers() const {
  NamedTensors parameters, buffers;
  geometry_->collect("geometry.", parameters, buffers);
  material_->collect("material.", parameters, buffers);
  background_->collect("background.", parameters, buffers);
  renderer_->collect("renderer.", parameters, buffers);
  if (guidance_ != nullptr) guidance_->collect("guidance.", parameters, buffers);
  return buffers;
}

std::optional<render::OwnLearning> System::renderer_learning() const {
  auto own = renderer_->own_learning();
  if (!own) return own;
  NamedTensors named;
  for (const auto& [name, tensor] : own->parameters) named.emplace("renderer." + name, tensor);
  own->parameters = named;
  return own;
}

std::vector<std::string> System::part_names() const {
  return {"geometry", "geometry.encoding", "material",           "background",      "background.encoding",
          "renderer", "guidance",          "background.network", "prompt_processor"};
}

void System::require_outputs() const {
  const auto require = [this](const std::string& field, const std::string& who, const std::string& or_else) {
    if (renderer_->makes(field)) return;
    throw UserError(cat(who, " needs ", field, ", which ", config_.renderer_type, " does not render here. ",
                        way_to(field), or_else, "."));
  };
  for (const auto& part : plan()) {
    if (const auto* pass = std::get_if<GuidancePass>(&part)) {
      require(pass->image, "the guidance", "");
      continue;
    }
    const Term& each = term(std::get<std::string>(part));
    const std::string key = "lambda_" + each.name;
    if (!each.absent_weight) lambda(key);
    const auto weight = loss_.find(key);
    if (weight == loss_.end() || weight->second.maximum() <= 0) continue;
    for (const std::string& field : each.needs)
      require(field, "system.loss." + key, ", or set system.loss." + key + "=0");
  }
}

void System::require_losses() const {
  require_outputs();
  if (context_.make_guidance) return;  // a stand-in, whose losses nobody knows before it has been called
  for (const std::string& name : guidance::loss_names(config_.guidance_type, config_.guidance))
    lambda("lambda_" + name);
  for (const auto& [name, schedule] : loss_)
    if (schedule.at(0) != 0) return;
  throw UserError(kNothingToLearn);
}

double System::lambda(const std::string& name, std::optional<double> absent) const {
  const auto found = loss_.find(name);
  if (found != loss_.end()) return found->second.at(step_);
  if (absent) return *absent;
  std::vector<std::string> known;
  for (const auto& [key, schedule] : loss_) known.push_back(key);
  throw UserError(cat("system.loss has no ", name, end_or_suggestion(name, known), " ", config_.guidance_type,
                      " needs it: add system.loss.", name, "=1."));
}

void System::add_term(StepLosses& losses, const render::RenderOutput& out, const Term& term) const {
  const double weight = lambda("lambda_" + term.name, term.absent_weight);
  if (!term.is_always_logged && !(weight > 0)) return;
  for (const std::string& field : term.needs) {
    if (render::output_field(field).of_output(out).defined()) continue;
    T3D_CHECK(weight == 0, "the term ", term.name, " needs ", field);  // require_outputs
    return;
  }
  const auto number = [this](const std::string& name, double absent) { return lambda(name, absent); };
  const at::Tensor value = term.value({out, number, shape_guide()});
  losses.metrics["loss_" + term.name] = value.detach();
  if (weight == 0) return;
  const auto weighted = value * weight;
  losses.total = losses.total.defined() ? losses.total + weighted : weighted;
}

void System::add_guidance(StepLosses& losses, const render::RenderOutput& out, const GuidancePass& pass,
                          const data::CameraBatch& batch, Rng& rng) const {
  const at::Tensor image = pass.make ? pass.make(out) : render::output_field(pass.image).of_output(out);
  guidance::Views views;
  // A ray that meets nothing has no normal.
  views.rgb = pass.image == "comp_normal" ? at::nan_to_num(image) : image;
  views.is_latent = pass.is_latent;
  views.angles.elevation_deg = batch.elevation.to(at::kCPU);
  views.angles.azimuth_deg = batch.azimuth.to(at::kCPU);
  views.angles.distance = batch.camera_distances.to(at::kCPU);
  views.camera_to_world = batch.c2w, views.mvp = batch.mvp_mtx;
  const bool is_due = freq_.guidance_eval > 0 && step_ % freq_.guidance_eval == 0;
  if (is_due && shown_step_ != step_) {  // once, however many parts and losses the step has
    shown_step_ = step_;
    Rng again = rng;  // the same timesteps and noise; the step's own draws stay as they are
    losses.guidance_picture = guidance_grid(open().evaluate(views, prompt_->embeddings(), again),
                                            views.angles, prompt_->embeddings());
  }
  const auto given = open()(views, prompt_->embeddings(), rng);
  for (const auto& [name, value] : given.metrics) losses.metrics[pass.prefix + name] = value;
  for (const auto& [name, value] : given.losses) {
    losses.metrics[pass.prefix + name] = value.detach();
    const double weight = pass.factor * lambda("lambda_" + name.substr(std::string("loss_").size()));
    if (weight == 0) continue;
    const auto term = value * weight;
    losses.total = losses.total.defined() ? losses.total + term : term;
  }
}

}  // namespace t3d::system
