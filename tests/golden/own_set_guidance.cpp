#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>
#include <cmath>

#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/safetensors.h"
#include "tests/golden/double_models.h"
#include "tests/golden/own_set.h"

/// The methods' own equations, written out once more in double precision.
namespace t3d::testing {
namespace {

namespace ds = t3d::diffusion;

const std::string kPrompts = "sds/prompts.safetensors";

/// a_t [B,1,1,1] of the options' betas (scaled_linear).
at::Tensor signal_at(const nlohmann::json& options, const at::Tensor& t) {
  const auto betas = at::linspace(std::sqrt(options["beta_start"].get<double>()),
                                  std::sqrt(options["beta_end"].get<double>()),
                                  options["num_train_timesteps"].get<int64_t>(), at::kDouble)
                         .square();
  return (1 - betas).cumprod(0).index_select(0, t).reshape({-1, 1, 1, 1});
}

at::Tensor noised(const at::Tensor& x, const at::Tensor& noise, const at::Tensor& a) {
  return a.sqrt() * x + (1 - a).sqrt() * noise;
}

/// The noise that a network finds.
at::Tensor noise_of(const nlohmann::json& type, const at::Tensor& output, const at::Tensor& noisy,
                    const at::Tensor& a) {
  return type == "v_prediction" ? a.sqrt() * output + (1 - a).sqrt() * noisy : output;
}

at::Tensor weight_of(const nlohmann::json& strategy, const at::Tensor& a) {
  if (strategy == "uniform") return at::ones_like(a);
  return strategy == "fantasia3d" ? a.sqrt() * (1 - a) : 1 - a;
}

/// Rows of x without their part along y's rows.
at::Tensor across(const at::Tensor& x, const at::Tensor& y) {
  const auto dot = [](const at::Tensor& p, const at::Tensor& q) { return (p * q).sum({1, 2, 3}, true); };
  return x - dot(x, y) / dot(y, y).clamp_min(1e-6) * y;
}

/// ------------------------------------------------------------------------------------ prompts

struct Mixture {
  std::array<double, 4> parts{};  // side, front, back, overhead
  std::array<int64_t, 2> against{};
  std::array<double, 2> weights{};
};

double wrapped(double azimuth) {
  return azimuth - 360 * std::floor((azimuth + 180) / 360);
}

int64_t direction_of(const nlohmann::json& o, double elevation, double azimuth) {
  const double a = wrapped(azimuth);
  if (elevation > o["overhead_threshold"].get<double>()) return 3;
  const double back = o["back_threshold"], front = o["front_threshold"];
  if (a > 180 - back || a < -180 + back) return 2;
  return a > -front && a < front ? 1 : 0;
}

double curve(const nlohmann::json& abc, double r) {
  return abc[0].get<double>() * std::exp(-abc[1].get<double>() * r) + abc[2].get<double>();
}

Mixture mixture_of(const nlohmann::json& o, double elevation, double azimuth) {
  Mixture m;
  if (direction_of(o, elevation, azimuth) == 3) {
    m.parts[3] = 1;
    m.against = {4, 4};  // the negative prompt, without weight
    return m;
  }
  const double away = std::abs(wrapped(azimuth));
  if (away < 90) {
    const double r = 1 - away / 90;
    m.parts[1] = r, m.parts[0] = 1 - r;
    m.against = {1, 0};
    m.weights = {-curve(o["perp_neg_f_fs"], r), -curve(o["perp_neg_f_sf"], 1 - r)};
  } else {
    const double r = 2 - away / 90;
    m.parts[0] = r, m.parts[2] = 1 - r;
    m.against = {0, 1};
    m.weights = {-curve(o["perp_neg_f_sb"], r), -curve(o["perp_neg_f_fsb"], r)};
  }
  return m;
}

nlohmann::json with_directions(nlohmann::json options) {
  options["overhead_threshold"] = 50.0, options["front_threshold"] = 35.0, options["back_threshold"] = 60.0;
  options["perp_neg_f_sb"] = {1.2, 0.4, -0.5}, options["perp_neg_f_fsb"] = {0.9, 0.6, 0.8};
  options["perp_neg_f_fs"] = {3.5, 0.45, -2.0}, options["perp_neg_f_sf"] = {3.0, 0.7, -1.5};
  return options;
}

struct Texts {
  at::Tensor plain, negative, by_view;  // [T,C], [T,C], [4,T,C]
};

Texts add_prompts(OwnSet& set) {
  const std::string model = "sd1-tiny";
  auto options = with_directions(
      {{"pretrained_model_name_or_path", model}, {"use_cache", false}, {"use_perp_neg", true}});
  const std::string prompt = "two green teapots", negative = "dark, out of focus";
  options["prompt"] = prompt, options["negative_prompt"] = negative;
  options["view_dependent_prompt_front"] = true;
  options["embedding_dtype"] = "float32";
  std::vector<std::string> by_view;
  for (const char* name : {"side", "front", "backside", "overhead"})
    by_view.push_back(cat(name, " view of ", prompt));
  options["prompts_vd"] = by_view;
  const auto tokenizer = ds::ClipTokenizer::from_folder(set.path(model + "/tokenizer"));
  const auto encoder = ds::load_clip_text_model(set.path(model + "/text_encoder"), at::kDouble, c10::kCPU);
  const auto embed = [&](const std::string& text) {
    return in_float(
        encoder(at::tensor(tokenizer.encode_padded(text).ids, at::kLong).unsqueeze(0)).last_hidden_state[0]);
  };
  std::vector<at::Tensor> rows;
  for (const auto& text : by_view) rows.push_back(embed(text));
  const Texts texts{embed(prompt), embed(negative), at::stack(rows)};
  const std::vector<double> azimuths{0,   34.5, 35.5, -20, 80,  89,  91,  119,
                                     121, 150,  -150, 180, 200, 300, -89, 400};
  const std::vector<double> elevations{0, 10, -5, 20, 49, 51, 70, 0, 15, 30, 45, 60, -30, 49.5, 50.5, 5};
  const auto n = static_cast<int64_t>(azimuths.size());
  auto direction = at::empty({n}, at::kLong), against = at::empty({n, 2}, at::kLong);
  auto parts = at::empty({n, 4}, at::kDouble), weights = at::empty({n, 2}, at::kDouble);
  for (int64_t i = 0; i < n; ++i) {
    const Mixture m = mixture_of(options, elevations[i], azimuths[i]);
    direction[i] = direction_of(options, elevations[i], azimuths[i]);
    for (int64_t k = 0; k < 4; ++k) parts[i][k] = m.parts[k];
    for (int64_t k = 0; k < 2; ++k) against[i][k] = m.against[k], weights[i][k] = m.weights[k];
  }
  set.add(kPrompts,
          {{"azimuth", at::tensor(azimuths, at::kDouble)},
           {"elevation", at::tensor(elevations, at::kDouble)},
           {"direction_idx", direction},
           {"perp.neg_idx", against},
           {"perp.pos_mix", parts},
           {"perp.neg_weights", weights},
           {"text_embeddings", texts.plain},
           {"uncond_text_embeddings", texts.negative},
           {"text_embeddings_vd", texts.by_view}},
          options);
  return texts;
}

/// ------------------------------------------------------------------------------------ one guided call

/// What both SDS and ASD are made of: three views of latents that are not square.
struct Guided {
  const nlohmann::json& options;
  const Texts& texts;
  const ds::UNet& unet;
  at::Tensor latents, noise, t, view;

  Guided(const nlohmann::json& o, const Texts& all, const ds::UNet& network)
      : options(o),
        texts(all),
        unet(network),
        latents(inputs({3, network.config().in_channels, 6, 10})),
        noise(inputs(latents.sizes())),
        t(at::tensor({60, 410, 802}, at::kLong)),
        view(at::tensor({5.0, 30.0, 55.0, 25.0, -110.0, 70.0, 1.5, 1.5, 1.5}, at::kDouble).reshape({3, 3})) {}

  at::Tensor signal(const at::Tensor& steps) const { return signal_at(options, steps); }
  at::Tensor predict(const at::Tensor& noisy, const at::Tensor& steps, const at::Tensor& text) const {
    const c10::NoGradGuard no_grad;
    const auto rows = text.dim() == 3 ? text : text.unsqueeze(0).expand({noisy.size(0), -1, -1});
    return noise_of(options["prediction_type"], unet(noisy, steps, rows), noisy, signal(steps));
  }
  Mixture mixture(int64_t i) const {
    return mixture_of(options, view[0][i].item<double>(), view[1][i].item<double>());
  }
  /// The text of each view's direction.
  at::Tensor prompt_rows() const {
    if (!options["view_dependent_prompting"].get<bool>()) return texts.plain.unsqueeze(0).expand({3, -1, -1});
    std::vector<at::Tensor> rows;
    for (int64_t i = 0; i < 3; ++i)
      rows.push_back(
          texts.by_view[direction_of(options, view[0][i].item<double>(), view[1][i].item<double>())]);
    return at::stack(rows);
  }
  /// Perp-Neg's positive text and prediction for one view.
  at::Tensor mixed_text(int64_t i) const {
    auto text = at::zeros_like(texts.plain);
    for (int64_t k = 0; k < 4; ++k) text = text + mixture(i).parts[static_cast<size_t>(k)] * texts.by_view[k];
    return text;
  }
  at::Tensor perp_neg(int64_t i, double factor, at::Tensor* weights) const {
    const auto row = [&](const at::Tensor& x) { return x.slice(0, i, i + 1); };
    const auto steps = row(t).contiguous();
    const auto noisy = noised(row(latents), row(noise), signal(steps));
    const auto negative = predict(noisy, steps, texts.negative);
    const auto towards = predict(noisy, steps, mixed_text(i)) - negative;
    const Mixture m = mixture(i);
    auto sum = towards;
    *weights = at::empty({1, 2}, at::kDouble);
    for (int64_t k = 0; k < 2; ++k) {
      const int64_t which = m.against[static_cast<size_t>(k)];
      const double w = m.weights[static_cast<size_t>(k)] * factor;
      (*weights)[0][k] = w;
      const auto text = which == 4 ? texts.negative : texts.by_view[which];
      sum = sum + w * across(predict(noisy, steps, text) - negative, towards);
    }
    return negative + options["guidance_scale"].get<double>() * sum;
  }
  void put(Tensors& all) const {
    all["latents"] = latents, all["noise"] = noise, all["t"] = t, all["view"] = view;
  }
};

/// What the options of every case say: the model, its schedule, the directions.
nlohmann::json common_options(const std::string& model, const std::string& prediction,
                              double guidance_scale) {
  auto options = with_directions(schedule_options(0.001, 0.013));
  options["pretrained_model_name_or_path"] = model;
  options["prediction_type"] = prediction;
  options["guidance_scale"] = guidance_scale;
  options["half_precision_weights"] = false;
  options["grad_clip"] = nullptr;
  return options;
}

nlohmann::json prompted_options(double guidance_scale) {
  auto options = common_options("sd1-tiny", "epsilon", guidance_scale);
  options["prompts"] = kPrompts;
  options["text_mix_dtype"] = "float32";
  options["view_dependent_prompting"] = true;
  return options;
}

void add_variants(OwnSet& set, const Texts& texts, const ds::UNet& unet) {
  const std::string file = "sds/variants.safetensors";
  auto options = prompted_options(12.0);
  options["grad_clip"] = 0.4;
  options["runs"] = {{"grad.uniform", {{"weighting_strategy", "uniform"}, {"use_perp_neg", false}}},
                     {"grad.fantasia3d", {{"weighting_strategy", "fantasia3d"}, {"use_perp_neg", false}}},
                     {"grad.sds", {{"weighting_strategy", "sds"}, {"use_perp_neg", false}}},
                     {"sjc.var_red.", {{"use_sjc", true}, {"var_red", true}}},
                     {"sjc.plain.", {{"use_sjc", true}, {"var_red", false}}}};
  for (int i = 0; i < 3; ++i)
    options["runs"][cat("perp.single", i, ".")] = {{"use_perp_neg", true}, {"view", i}};
  const Guided of(options, texts, unet);
  Tensors all;
  of.put(all);
  const auto a = of.signal(of.t), noisy = noised(of.latents, of.noise, a);
  const auto text = of.predict(noisy, of.t, of.prompt_rows()),
             negative = of.predict(noisy, of.t, texts.negative);
  const auto found = text + 12.0 * (text - negative);  // threestudio's count
  const auto clipped = [](const at::Tensor& g) { return g.clamp(-0.4, 0.4); };
  for (const auto& [name, run] : options["runs"].items()) {
    if (run.contains("weighting_strategy"))
      all[name] = clipped(weight_of(run["weighting_strategy"], a) * (found - of.noise));
    if (run.contains("use_sjc"))
      all[name + "grad"] = clipped(run["var_red"].get<bool>() ? found - of.noise : found);
    if (run.contains("view"))
      all[name + "noise_pred"] = of.perp_neg(run["view"], 1, &all[name + "neg_weights"]);
  }
  set.add(file, all, options);
}

void add_asd(OwnSet& set, const Texts& texts, const ds::UNet& unet) {
  const std::string file = "sds/asd.safetensors";
  auto options = prompted_options(5.0);
  const double ratio = 0.3, push = -0.8;
  options["plus_ratio"] = ratio, options["guidance_perp_neg"] = push,
  options["perp_neg_weight_factor"] = -push;
  options["view_dependent_prompting"] = false;
  options["runs"] = {{"grad.sds", {{"weighting_strategy", "sds"}, {"use_perp_neg", false}}},
                     {"grad.fantasia3d", {{"weighting_strategy", "fantasia3d"}, {"use_perp_neg", false}}}};
  for (int i = 0; i < 3; ++i)
    options["runs"][cat("perp.single", i, ".")] = {{"use_perp_neg", true}, {"view", i}};
  const Guided of(options, texts, unet);
  Tensors all;
  of.put(all);
  const auto later = at::tensor({80, 525, 950}, at::kLong);
  all["t_plus"] = later;
  const auto a = of.signal(of.t), noisy = noised(of.latents, of.noise, a);
  const auto noisy_later = noised(of.latents, of.noise, of.signal(later));
  const auto text = of.predict(noisy, of.t, of.prompt_rows()),
             negative = of.predict(noisy, of.t, texts.negative);
  const auto second = of.predict(noisy_later, later, of.prompt_rows());
  const auto guided = negative + 5.0 * (text - negative);
  for (const auto& [name, run] : options["runs"].items()) {
    if (!run.contains("view")) {
      all[name] = weight_of(run["weighting_strategy"], a) * (guided - second);
      continue;
    }
    const int64_t i = run["view"];
    const auto row = [&](const at::Tensor& x) { return x.slice(0, i, i + 1).contiguous(); };
    all[name + "noise_pred"] = of.perp_neg(i, -push, &all[name + "weights"]);
    all[name + "noise_pred_second"] = of.predict(row(noisy_later), row(later), of.mixed_text(i));
  }
  all["grad_norm"] = all["grad.sds"].norm();
  all["loss_asd"] = 0.5 * all["grad.sds"].square().sum() / 3;

  const nlohmann::json shift{{"min_step", 35},
                             {"plus_ratios", {0.0, 0.25, 1.5}},
                             {"random", {{"plus_ratio", 0.4}, {"plus_random", true}}}};
  options["shift"] = shift;
  const std::vector<int64_t> steps{35, 36, 60, 250, 499, 700, 901, 998, 999};
  const auto u = at::rand({static_cast<int64_t>(steps.size())});
  all["shift.t"] = at::tensor(steps, at::kLong), all["shift.u"] = u;
  const auto shifted = [&](double eta, bool is_random) {
    std::vector<int64_t> out;
    for (size_t i = 0; i < steps.size(); ++i) {
      double by = std::min(std::max(eta * static_cast<double>(steps[i] - 35), 0.0),
                           static_cast<double>(999 - steps[i]));
      if (is_random) by *= u[static_cast<int64_t>(i)].item<double>();
      out.push_back(std::min<int64_t>(std::max<int64_t>(steps[i] + static_cast<int64_t>(by), 1), 999));
    }
    return at::tensor(out, at::kLong);
  };
  for (const auto& eta : shift["plus_ratios"]) all["shift.t_plus.ratio" + eta.dump()] = shifted(eta, false);
  all["shift.t_plus.ratio0.4_random"] = shifted(0.4, true);
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ from pictures

/// Pictures [B,H,W,3] in the model's size -> scaled latents.
at::Tensor latents_of(const ds::Autoencoder& vae, const at::Tensor& pictures, const at::Tensor& noise) {
  const auto posterior = vae.encode(pictures * 2 - 1);
  return vae.config().scaling_factor * (posterior.mean + at::exp(posterior.logvar / 2) * noise);
}

at::Tensor sized(const at::Tensor& rgb, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(rgb.permute({0, 3, 1, 2}), {height, width}, false);
}

void add_full_chain(OwnSet& set, const Texts& texts, const ds::UNet& unet) {
  const std::string file = "sds/full_chain.safetensors";
  auto options = prompted_options(9.0);
  options["weighting_strategy"] = "fantasia3d";
  options["use_perp_neg"] = false;
  const ds::Autoencoder vae = double_autoencoder(set.path("sd1-tiny/vae"));
  const int64_t height = 8, width = 12, factor = vae.config().reduction();
  const auto rgb = learnt(in_float(at::rand({2, 20, 36, 3}, at::kDouble)));
  const auto view = at::tensor({20.0, 65.0, 170.0, -60.0, 1.5, 1.5}, at::kDouble).reshape({3, 2});
  const auto t = at::tensor({300, 611}, at::kLong), a = signal_at(options, t);
  const auto noise = inputs({2, 4, height, width}), vae_noise = inputs(noise.sizes());
  const auto pictures = sized(rgb, height * factor, width * factor);
  const auto x = latents_of(vae, pictures, vae_noise);
  const auto noisy = noised(x, noise, a).detach();
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < 2; ++i)
    rows.push_back(
        texts.by_view[direction_of(options, view[0][i].item<double>(), view[1][i].item<double>())]);
  const auto predict = [&](const at::Tensor& text) {
    const c10::NoGradGuard no_grad;
    return noise_of(options["prediction_type"], unet(noisy, t, text), noisy, a);
  };
  const auto text = predict(at::stack(rows)),
             negative = predict(texts.negative.unsqueeze(0).expand({2, -1, -1}));
  const auto found = text + 9.0 * (text - negative);
  const auto w = weight_of("fantasia3d", a);
  const auto gradient = w * (found - noise);
  const auto clean = (noisy - (1 - a).sqrt() * found) / a.sqrt();
  const auto shown = (vae.decode(clean / vae.config().scaling_factor) / 2 + 0.5).clamp(0, 1).detach();
  const auto of_pictures = w * a.sqrt() / (1 - a).sqrt() * (pictures.detach() - shown);
  const auto by_rgb = [&](const at::Tensor& of, const at::Tensor& g) {
    return torch::autograd::grad({of}, {rgb}, {g / 2}, /*retain_graph=*/true)[0];
  };
  Tensors all;
  all["rgb"] = rgb, all["view"] = view, all["t"] = t, all["noise"] = noise, all["vae_noise"] = vae_noise;
  all["latents"] = x;
  all["grad_norm"] = gradient.norm(), all["loss_sds"] = 0.5 * gradient.square().sum() / 2;
  all["img.loss_sds_img"] = 0.5 * of_pictures.square().sum() / 2;
  all["grad.rgb"] = by_rgb(x, gradient), all["img.grad.rgb"] = by_rgb(pictures, of_pictures);
  set.add(file, all, options);
}

void add_multiview_asd(OwnSet& set) {
  const std::string file = "mvdream-tiny/cases_asd.safetensors",
                    path = set.path("mvdream-tiny/model.safetensors");
  const ds::UNet unet = double_mvdream(path);
  const ds::Autoencoder vae = double_mvdream_autoencoder(path);
  auto options = common_options("mvdream-tiny", "epsilon", 3.5);
  options["plus_ratio"] = 0.4, options["plus_random"] = false, options["n_view"] = 2;
  options["weighting_strategy"] = "uniform", options["min_step"] = 100, options["t_plus_max"] = 999;
  options["camera_condition_type"] = "rotation", options["view_dependent_prompting"] = false;
  const int64_t height = 6, width = 10, factor = vae.config().reduction(), n = 4;  // two objects of two views
  const auto rgb = learnt(in_float(at::rand({n, 18, 22, 3}, at::kDouble)));
  const auto t = at::full({1}, 350, at::kLong), later = at::full({1}, 450, at::kLong);
  auto c2w = at::zeros({n, 4, 4}, at::kDouble);
  for (int64_t k = 0; k < n; ++k) {
    const double angle = 0.4 + 1.3 * static_cast<double>(k), distance = 1.2 + 0.3 * static_cast<double>(k);
    const double p[3] = {std::cos(angle), std::sin(angle), 0};
    const double columns[4][3] = {
        {-p[1], p[0], 0}, {0, 0, 1}, {p[0], p[1], 0}, {distance * p[0], distance * p[1], 0}};
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 4; ++j) c2w[k][i][j] = columns[j][i];
    c2w[k][3][3] = 1;
  }
  c2w = in_float(c2w);
  auto camera = c2w.clone();
  for (int64_t k = 0; k < n; ++k)
    for (int64_t i = 0; i < 3; ++i)
      camera[k][i][3] = c2w[k][i][3] / c2w[k].slice(0, 0, 3).select(1, 3).norm();
  const auto text = inputs({9, unet.config().text_channels}), negative = inputs(text.sizes());
  const auto noise = inputs({n, 4, height, width}), vae_noise = inputs(noise.sizes());
  const auto x = latents_of(vae, sized(rgb, height * factor, width * factor), vae_noise);
  const auto predict = [&](const at::Tensor& steps, const at::Tensor& words) {
    const c10::NoGradGuard no_grad;
    const auto a = signal_at(options, steps), noisy = noised(x.detach(), noise, a);
    ds::UNetExtra extra;
    extra.n_views = 2;
    extra.camera = camera.reshape({n, 16});
    return noise_of(options["prediction_type"],
                    unet(noisy, steps.expand({n}), words.unsqueeze(0).expand({n, -1, -1}), extra), noisy, a);
  };
  const auto towards = predict(t, text), away = predict(t, negative);
  const auto gradient = away + 3.5 * (towards - away) - predict(later, text);
  Tensors all;
  all["rgb"] = rgb, all["c2w"] = c2w, all["camera"] = camera.reshape({n, 16}), all["t"] = t,
  all["t_plus"] = later;
  all["noise"] = noise, all["vae_noise"] = vae_noise, all["latents"] = x, all["grad"] = gradient;
  all["text_embedding"] = text, all["uncond_text_embedding"] = negative;
  all["grad_norm"] = gradient.norm();
  all["loss_asd"] = 0.5 * gradient.square().sum() / static_cast<double>(n);
  all["grad.rgb"] = torch::autograd::grad({x}, {rgb}, {gradient / static_cast<double>(n)})[0];
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ VSD

void add_vsd(OwnSet& set) {
  const std::string file = "sd2-tiny/cases_vsd.safetensors";
  const std::string parts = "sd2-tiny/vsd/";
  auto options = common_options("sd2-tiny", "v_prediction", 4.0);
  options["pretrained_model_name_or_path_lora"] = "sd2-tiny";
  options["prediction_type_lora"] = "epsilon";
  options["lora_weights"] = parts + "lora_attn_procs.safetensors";
  options["camera_embedding"] = parts + "camera_embedding.safetensors";
  options["camera_condition_type"] = "mvp", options["camera_inputs"] = 16;
  options["lora_scale"] = 1.0, options["lora_n_timestamp_samples"] = 2, options["lora_cfg_training"] = true;
  options["weighting_strategy"] = "sds", options["view_dependent_prompting"] = true;
  const std::string folder = set.path("sd2-tiny/unet");
  const ds::UNet unet = double_unet(folder);
  auto config = ds::read_unet_config(folder + "/config.json");
  config.class_embedding = ds::ClassEmbedding::Projection;
  config.class_inputs = options["camera_inputs"];
  const auto camera_file =
      ds::renamed_source(ds::safetensors_source(set.path(options["camera_embedding"])),
                         [](const std::string& name) { return "class_embedding." + name; });
  const auto weights = ds::Weights::from(
      ds::joined_source(
          "vsd", {ds::safetensors_source(folder + "/diffusion_pytorch_model.safetensors"), camera_file}),
      at::kDouble);
  const ds::UNet with_camera(config, weights);
  weights.check();
  const ds::Lora lora = double_lora(set.path(options["lora_weights"]), with_camera);
  options["runs"] = {{"grad.lora_scale1.8", {{"guidance_scale_lora", 1.8}}},
                     {"grad", {{"guidance_scale_lora", 1.0}}},
                     {"train.", {{"camera_draw", 0.5}, {"drops_camera", false}}},
                     {"train_nocam.", {{"camera_draw", 0.05}, {"drops_camera", true}}}};
  constexpr int64_t n = 3;
  const auto x = inputs({n, 4, 4, 8}), noise = inputs(x.sizes()), train_noise = inputs({2 * n, 4, 4, 8});
  const auto t = at::tensor({100, 480, 820}, at::kLong),
             train_t = at::tensor({3, 200, 555, 700, 900, 998}, at::kLong);
  const auto c2w = inputs({n, 4, 4}), mvp = inputs({n, 4, 4});
  const int64_t channels = unet.config().text_channels;
  const auto texts = inputs({2 * n, 8, channels}), by_view = inputs({2 * n, 8, channels});
  const auto text = texts.narrow(0, 0, n);
  const auto a = signal_at(options, t), noisy = noised(x, noise, a);
  Tensors all;
  all["latents"] = x, all["noise"] = noise, all["t"] = t, all["latents_noisy"] = noisy, all["c2w"] = c2w,
  all["mvp"] = mvp;
  all["text_embeddings"] = texts, all["text_embeddings_vd"] = by_view, all["train.t"] = train_t,
  all["train.noise"] = train_noise;
  const auto told = mvp.reshape({n, 16});
  const auto ask = [&](const at::Tensor& in, const at::Tensor& steps, const at::Tensor& words,
                       const at::Tensor& label) {
    ds::UNetExtra extra;
    extra.lora = &lora;
    extra.class_labels = label;
    return with_camera(in, steps, words, extra);
  };
  {
    const c10::NoGradGuard no_grad;
    // Tests read the noisy latents in single precision.
    const auto in = in_float(noisy);
    all["pretrain.text"] = unet(in, t, by_view.narrow(0, 0, n)),
    all["pretrain.uncond"] = unet(in, t, by_view.narrow(0, n, n));
    all["lora.camera"] = ask(in, t, text, told), all["lora.uncond"] = ask(in, t, text, at::zeros_like(told));
    const auto of = [&](const at::Tensor& out) {
      return noise_of(options["prediction_type"], out, noisy, a);
    };
    const auto towards = of(unet(noisy, t, by_view.narrow(0, 0, n))),
               away = of(unet(noisy, t, by_view.narrow(0, n, n)));
    const auto seen = ask(noisy, t, text, told), unseen = ask(noisy, t, text, at::zeros_like(told));
    for (const auto& [name, run] : options["runs"].items())
      if (run.contains("guidance_scale_lora"))
        all[name] = (1 - a) * (away + 4.0 * (towards - away) -
                               (unseen + run["guidance_scale_lora"].get<double>() * (seen - unseen)));
  }
  const_cast<ds::Lora&>(lora).require_grad(true);
  std::vector<at::Tensor> parameters;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : lora.parameters()) names.push_back(name), parameters.push_back(tensor);
  for (const auto& [name, tensor] : with_camera.parameters())
    if (name.rfind("class_embedding", 0) == 0) {
      at::Tensor shared = tensor;
      parameters.push_back(shared.set_requires_grad(true));
    }
  const auto train_noisy = noised(x.repeat({2, 1, 1, 1}), train_noise, signal_at(options, train_t));
  for (const bool drops : {false, true}) {
    const auto label = (drops ? at::zeros_like(told) : told).repeat({2, 1});
    const auto loss =
        (ask(train_noisy, train_t, text.repeat({2, 1, 1}), label) - train_noise).square().mean();
    const auto grads = torch::autograd::grad({loss}, parameters, {}, {}, false, /*allow_unused=*/true);
    double square = 0;
    for (const auto& g : grads)
      if (g.defined()) square += g.square().sum().item<double>();
    const std::string run = drops ? "train_nocam." : "train.";
    all[run + "loss"] = loss, all[run + "grad_norm"] = at::full({}, std::sqrt(square), at::kDouble);
    for (size_t i = 0; i < names.size() && !drops; ++i)
      if (grads[i].defined()) all[run + "grad." + names[i]] = grads[i];
  }
  set.add(file, all, options);
}

}  // namespace

void add_guidance_cases(OwnSet& set) {
  const Texts texts = add_prompts(set);
  const ds::UNet unet = double_unet(set.path("sd1-tiny/unet"));
  add_variants(set, texts, unet);
  add_asd(set, texts, unet);
  add_full_chain(set, texts, unet);
  add_multiview_asd(set);
  add_vsd(set);
}

}  // namespace t3d::testing
