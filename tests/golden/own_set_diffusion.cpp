#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/text_ends.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/clip_image.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/lora.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/unet.h"
#include "t3d/io/json_file.h"
#include "tests/golden/double_models.h"
#include "tests/golden/own_set.h"

namespace t3d::testing {
namespace {

namespace ds = t3d::diffusion;

at::Tensor step(int64_t t) {
  return at::full({1}, t, at::kLong);
}

/// ------------------------------------------------------------------------------------ UNets

void add_unet(OwnSet& set, const std::string& model) {
  const std::string file = model + "/cases_unet.safetensors";
  const bool is_pipeline = starts_with(model, "sd");  // the UNet is one of its parts
  const std::string folder = model + (is_pipeline ? "/unet" : "");
  const nlohmann::json options{{"pretrained_model_name_or_path", folder},
                               {"timesteps", {2, 333, 870}},
                               {"grad_timestep", 333},
                               {"nonmultiple", {{"timestep", 77}}}};
  const ds::UNet unet = double_unet(set.path(folder));
  const int64_t n = 3, n_words = 13, channels = unet.config().in_channels;
  const auto kind = unet.config().class_embedding;
  const auto labels_for = [&](int64_t rows) -> at::Tensor {
    if (kind == ds::ClassEmbedding::Projection) return inputs({rows, unet.config().class_inputs});
    if (kind == ds::ClassEmbedding::Timestep) return at::randint(0, 1000, {rows}, at::kLong);
    return {};
  };
  Tensors all;
  const auto sample = inputs({n, channels, 8, 12}), text = inputs({n, n_words, unet.config().text_channels});
  const auto r = inputs(sample.sizes()), mixed = at::tensor({5, 421, 990}, at::kLong);
  const auto labels = labels_for(n);
  all["sample"] = sample, all["encoder_hidden_states"] = text, all["R"] = r, all["timestep_batch"] = mixed;
  if (labels.defined()) all["class_labels"] = labels;
  ds::UNetExtra extra;
  extra.class_labels = labels;
  for (const int64_t t : {2, 333, 870}) all[cat("out.t", t)] = unet(sample, step(t), text, extra).detach();
  for (const bool is_batch : {true, false}) {
    std::vector<at::Tensor> in{learnt(sample), learnt(text)};
    auto with_grad = extra;
    if (labels.defined() && labels.is_floating_point()) {
      in.push_back(learnt(labels));
      with_grad.class_labels = in.back();
    }
    const auto out = unet(in[0], is_batch ? mixed : step(333), in[1], with_grad);
    const auto grads = torch::autograd::grad({out}, in, {r});
    all[is_batch ? "grad.sample.tbatch" : "grad.sample.t333"] = grads[0];
    if (!is_batch) continue;
    all["out.tbatch"] = out;
    all["grad.encoder_hidden_states.tbatch"] = grads[1];
    if (in.size() > 2) all["grad.class_labels.tbatch"] = grads[2];
  }
  const auto odd = inputs({2, channels, 6, 10}), odd_text = inputs({2, 5, unet.config().text_channels});
  ds::UNetExtra two;
  two.class_labels = labels_for(2);
  if (two.class_labels.defined()) all["nonmultiple.class_labels"] = two.class_labels;
  all["nonmultiple.sample"] = odd, all["nonmultiple.encoder_hidden_states"] = odd_text;
  all["nonmultiple.out.t77"] = unet(odd, step(77), odd_text, two).detach();
  if (model == "unet-camera-tiny") {
    const std::string zero = model + "/cases_zero_camera.safetensors";
    const nlohmann::json zero_options{
        {"pretrained_model_name_or_path", folder},
        {"timestep", 640},
        {"runs",
         {{"out.camera_of_twos.t640", {{"class_labels", 2.0}, {"class_embedding", true}}},
          {"out.no_class_embedding.t640", {{"class_labels", nullptr}, {"class_embedding", false}}}}}};
    ds::UNetExtra twos;
    twos.class_labels = at::full_like(labels, 2);
    set.add(zero,
            {{"out.camera_of_twos.t640", unet(sample, step(640), text, twos).detach()},
             {"out.no_class_embedding.t640", unet(sample, step(640), text).detach()}},
            zero_options);
  }
  set.add(file, all, options);
}

void add_lora(OwnSet& set) {
  const std::string file = "sd1-tiny/cases_lora.safetensors";
  const std::string folder = "sd1-tiny/unet", loras = "sd1-tiny/lora/";
  const nlohmann::json options{{"pretrained_model_name_or_path", folder},
                               {"lora_files",
                                {loras + "lora_attn_procs.safetensors", loras + "lora_peft.safetensors",
                                 loras + "pytorch_lora_weights.safetensors"}},
                               {"runs",
                                {{"out.scale0", {{"scale", 0.0}}},
                                 {"out.scale0.3", {{"scale", 0.3}}},
                                 {"out.scale1.6", {{"scale", 1.6}}}}},
                               {"grad_scale", 1.6},
                               {"sgd", {{"lr", 0.02}, {"steps", 2}, {"scale", 0.3}}}};
  const ds::UNet unet = double_unet(set.path(folder));
  const ds::Lora lora = double_lora(set.path(options["lora_files"][0]), unet);
  Tensors all;
  const auto sample = inputs({2, unet.config().in_channels, 12, 8}), r = inputs(sample.sizes());
  const auto target = inputs(sample.sizes()), text = inputs({2, 11, unet.config().text_channels});
  const auto t = at::tensor({40, 777}, at::kLong);
  all["sample"] = sample, all["encoder_hidden_states"] = text, all["R"] = r, all["target"] = target;
  all["timestep_batch"] = t;
  const auto run = [&](double scale) {
    ds::UNetExtra extra;
    extra.lora = &lora;
    extra.lora_scale = scale;
    return unet(sample, t, text, extra);
  };
  for (const auto& [name, one] : options["runs"].items())
    all[name] = run(one["scale"].get<double>()).detach();
  const_cast<ds::Lora&>(lora).require_grad(true);
  std::vector<at::Tensor> parameters;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : lora.parameters()) names.push_back(name), parameters.push_back(tensor);
  const auto grads = torch::autograd::grad({run(1.6)}, parameters, {r});
  for (size_t i = 0; i < names.size(); ++i) all["grad_sum." + names[i]] = grads[i];
  for (int round = 0; round < 2; ++round) {
    const auto mse = (run(0.3) - target).square().mean();
    const auto move = torch::autograd::grad({mse}, parameters);
    double square = 0;
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {
      square += move[i].square().sum().item<double>();
      parameters[i].sub_(move[i], 0.02);
    }
    if (round == 0) all["mse"] = mse, all["mse_grad_norm"] = at::full({}, std::sqrt(square), at::kDouble);
  }
  const c10::NoGradGuard no_grad;
  const auto after = run(0.3);
  all["sgd.out"] = after, all["sgd.mse"] = (after - target).square().mean();
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ autoencoders

void add_autoencoder(OwnSet& set, const std::string& model) {
  const std::string file = model + "/cases_vae.safetensors";
  const std::string folder = model + "/vae";
  const ds::Autoencoder vae = double_autoencoder(set.path(folder));
  const auto picture = [](at::IntArrayRef sizes) { return in_float(at::rand(sizes, at::kDouble) * 2 - 1); };
  Tensors all;
  const auto image = learnt(picture({1, 3, 16, 24}));
  const auto posterior = vae.encode(image);
  const auto r1 = inputs(posterior.mean.sizes()), r2 = inputs(r1.sizes()), noise = inputs(r1.sizes());
  const auto grad = [](const at::Tensor& y, const at::Tensor& x) {
    return torch::autograd::grad({y}, {x}, {}, /*retain_graph=*/true)[0];
  };
  all["image"] = image, all["mean"] = posterior.mean, all["logvar"] = posterior.logvar;
  all["R1"] = r1, all["R2"] = r2, all["noise"] = noise;
  all["grad.image"] = grad((posterior.mean * r1 + posterior.logvar * r2).sum(), image);
  const auto latents = vae.to_latents(image, noise);
  all["latents"] = latents, all["grad.image.latents"] = grad((latents * r1).sum(), image);
  const auto z = learnt(inputs(r1.sizes()));
  const auto decoded = vae.decode(z);
  const auto r3 = inputs(decoded.sizes());
  all["z"] = z, all["decoded"] = decoded, all["R3"] = r3, all["grad.z"] = grad((decoded * r3).sum(), z);
  const auto wide = picture({2, 3, 12, 24}), odd = picture({2, 3, 19, 14});
  const auto of_wide = vae.encode(wide);
  all["nonsquare.image"] = wide, all["nonsquare.mean"] = of_wide.mean,
  all["nonsquare.logvar"] = of_wide.logvar;
  all["nonsquare.decoded"] = vae.decode(in_float(of_wide.mean.detach()));
  all["odd.image"] = odd, all["odd.mean"] = vae.encode(odd).mean;
  set.add(file, all, {{"pretrained_model_name_or_path", folder}});
}

/// ------------------------------------------------------------------------------------ texts and CLIP

void add_text_encoder(OwnSet& set, const std::string& model) {
  const std::string file = model + "/cases_text_encoder.safetensors";
  const std::string folder = model + "/text_encoder";
  const auto encoder = ds::load_clip_text_model(set.path(folder), at::kDouble, c10::kCPU);
  const auto tokenizer = ds::ClipTokenizer::from_folder(set.path(model + "/tokenizer"));
  const std::vector<std::string> prompts{"a teapot", "", "two green owls, wearing hats!"};
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts)
    rows.push_back(at::tensor(tokenizer.encode_padded(prompt).ids, at::kLong));
  const auto ids = at::stack(rows);
  const auto out = encoder(ids, true);
  const auto kept = at::tensor({2, 0}, at::kLong);
  Tensors all;
  all["input_ids"] = ids, all["last_hidden_state"] = out.last_hidden_state, all["pooler_output"] = out.pooled;
  for (size_t i = 0; i < out.hidden_states.size(); ++i)
    all[cat("hidden_states.", i)] = out.hidden_states[i].index_select(0, kept);
  const auto part = ids.slice(0, 2, 3).slice(1, 0, 6).contiguous();
  all["short.input_ids"] = part, all["short.last_hidden_state"] = encoder(part).last_hidden_state;
  set.add(file, all,
          {{"pretrained_model_name_or_path", folder},
           {"n_hidden_states", out.hidden_states.size()},
           {"hidden_states_prompts", {2, 0}}});
}

void add_clip(OwnSet& set) {
  const std::string file = "clip-tiny/cases.safetensors";
  const std::string folder = "clip-tiny";
  const auto model = ds::load_clip_model(set.path(folder), at::kDouble, c10::kCPU);
  const auto config = ds::ClipImageConfig::from_file(set.path(folder + "/preprocessor_config.json"));
  const auto tokenizer = ds::ClipTokenizer::from_folder(set.path("sd1-tiny/tokenizer"));
  const std::vector<std::string> prompts{"a red chair", "one blue lamp", "a photo of grass"};
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts)
    rows.push_back(at::tensor(tokenizer.encode_padded(prompt).ids, at::kLong));
  constexpr int kHeight = 50, kWidth = 33, kImages = 3;
  const int edge = config.shortest_edge, height = edge * kHeight / kWidth;
  constexpr int kLeft = 4, kTop = 7, kRight = 30, kBottom = 48;
  const nlohmann::json options{{"pretrained_model_name_or_path", folder},
                               {"resize", {{"height", height}, {"width", edge}, {"resample", "bicubic"}}},
                               {"crop_bilinear",
                                {{"crop_box", {kLeft, kTop, kRight, kBottom}},
                                 {"height", 12},
                                 {"width", 20},
                                 {"resample", "bilinear"}}},
                               {"text_positions_kept", 9},
                               {"clip_score_factor", 100.0},
                               {"grad_pairs", {{0, 2}, {2, 1}, {1, 1}}}};
  const auto bytes = at::randint(0, 256, {kImages, kHeight, kWidth, 3}, at::kByte);
  std::vector<at::Tensor> pixels, resized, cropped;
  const auto as_tensor = [](const io::Image8& image) {
    return at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, 3}, at::kByte)
        .clone();
  };
  for (int64_t i = 0; i < kImages; ++i) {
    io::Image8 image(kWidth, kHeight, 3), part(kRight - kLeft, kBottom - kTop, 3);
    std::copy_n(bytes[i].data_ptr<uint8_t>(), image.pixels.size(), image.pixels.begin());
    for (int y = 0; y < part.height; ++y)
      std::copy_n(image.at(kLeft, kTop + y), 3 * part.width, part.at(0, y));
    // Pillow's own bytes are in the recorded set; here sizes and filters are what matters.
    resized.push_back(as_tensor(ds::resize_pillow(image, edge, height, ds::ResizeFilter::Bicubic)));
    cropped.push_back(as_tensor(ds::resize_pillow(part, 20, 12, ds::ResizeFilter::Bilinear)));
    pixels.push_back(ds::clip_pixels(image, config));
  }
  const auto ids = at::stack(rows);
  const auto in = learnt(at::stack(pixels).to(at::kDouble));
  const auto image = model.image(in);
  const auto text = model.text_features(ids);
  const auto text_out = model.text()(ids);
  const auto logits = model.logits_per_image(image.features, text);
  Tensors all;
  all["image_u8"] = bytes, all["pil.resized_u8"] = at::stack(resized),
  all["pil.crop_bilinear_u8"] = at::stack(cropped);
  all["pil.pixel_values"] = in, all["input_ids"] = ids;
  all["vision.embeddings"] = image.embeddings, all["vision.last_hidden_state"] = image.last_hidden_state;
  all["vision.pooler_output"] = image.pooled;
  all["text.last_hidden_state"] = text_out.last_hidden_state.slice(1, 0, 9);
  all["text.pooler_output"] = text_out.pooled;
  all["image_features"] = image.features, all["image_embeds"] = ds::unit_rows(image.features);
  all["text_embeds"] = ds::unit_rows(text);
  all["logits_per_image"] = logits, all["probs_per_image"] = logits.softmax(-1);
  all["clip_score"] = ds::clip_score(image.features, text);
  const auto sum = logits[0][2] + logits[2][1] + logits[1][1];
  all["grad.pixel_values"] = torch::autograd::grad({sum}, {in})[0];
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ schedulers

struct Sampler {
  std::string name, type;
  double eta = 0;
  nlohmann::json also = nlohmann::json::object();  ///< further keys of its configuration
};

std::vector<Sampler> samplers() {
  const std::string ddim = "DDIMScheduler", dpm = "DPMSolverMultistepScheduler",
                    euler = "EulerDiscreteScheduler";
  return {{"ddim.epsilon", ddim},
          {"ddim.v_prediction", ddim},
          {"ddim_eta0.45.epsilon", ddim, 0.45},
          {"ddim_trailing.epsilon", ddim, 0, {{"timestep_spacing", "trailing"}}},
          {"dpmpp2m.epsilon", dpm},
          {"dpmpp2m.v_prediction", dpm},
          {"dpmpp2m_sigma_min.epsilon", dpm, 0, {{"final_sigmas_type", "sigma_min"}}},
          {"dpmpp2m_karras.epsilon", dpm, 0, {{"use_karras_sigmas", true}}},
          {"euler.epsilon", euler},
          {"euler.v_prediction", euler},
          {"pndm.epsilon", "PNDMScheduler"}};
}

void add_schedulers(OwnSet& set) {
  const std::string file = "schedulers/cases.safetensors";
  const double start = 0.0012, end = 0.014;
  auto options = schedule_options(start, end);
  options["configs"] = "schedulers/configs.json";
  options["model"] = {{"a", 0.4}, {"b", 0.3}, {"c", 1.5}, {"d", 80.0}};
  options["pred_x0_prediction_types"] = {"epsilon", "v_prediction"};
  const int64_t n_train = options["num_train_timesteps"], n_steps = 13;
  const auto betas = at::linspace(std::sqrt(start), std::sqrt(end), n_train, at::kDouble).square();
  const auto bars = (1 - betas).cumprod(0);
  Tensors all;
  const auto t = at::tensor({0, 17, 500, 999}, at::kLong);
  const auto a = bars.index_select(0, t).reshape({-1, 1, 1, 1});
  const auto x0 = inputs({4, 3, 5, 2}), noise = inputs(x0.sizes()), eps_hat = inputs(x0.sizes());
  const auto noisy = a.sqrt() * x0 + (1 - a).sqrt() * noise,
             velocity = a.sqrt() * noise - (1 - a).sqrt() * x0;
  all["betas"] = betas, all["alphas_cumprod"] = bars, all["t"] = t;
  all["x0"] = x0, all["noise"] = noise, all["eps_hat"] = eps_hat, all["add_noise"] = noisy;
  all["velocity"] = velocity, all["eps_from_v"] = noise, all["x0_from_v"] = x0;
  all["pred_x0.epsilon"] = (noisy - (1 - a).sqrt() * eps_hat) / a.sqrt();
  all["pred_x0.v_prediction"] = a.sqrt() * noisy - (1 - a).sqrt() * eps_hat;
  const auto x_init = inputs({1, 2, 3, 5}), variance = inputs({n_steps, 1, 2, 3, 5});
  all["x_init"] = x_init, all["ddim_noise"] = variance;
  auto configs = nlohmann::json::object();
  for (const Sampler& sampler : samplers()) {
    const std::string name = sampler.name;
    auto init = schedule_options(start, end);
    init["prediction_type"] = ends_with(name, "v_prediction") ? "v_prediction" : "epsilon";
    init.update(sampler.also);
    configs[name] = {{"class", sampler.type}, {"init", init}, {"steps", n_steps}};
    options["runs"][name] = {{"eta", sampler.eta}};
    if (sampler.eta > 0) options["runs"][name]["variance_noise"] = "ddim_noise";
    auto config = ds::SchedulerConfig::from_json(init, name, sampler.type);
    config.eta = sampler.eta;
    const auto scheduler = ds::make_scheduler(config);
    scheduler->start(n_steps);
    auto x = x_init * scheduler->init_noise_sigma();
    std::vector<at::Tensor> walk{x};
    while (!scheduler->done()) {
      const auto n = static_cast<int64_t>(walk.size()) - 1;
      const auto in = scheduler->scaled_input(x);
      x = scheduler->step(0.4 * in + 0.3 * at::sin(1.5 * in + scheduler->timestep() / 80), x,
                          [&] { return variance[n]; });
      walk.push_back(x);
    }
    all[name + ".timesteps"] = at::tensor(scheduler->timesteps(), at::kDouble);
    if (!scheduler->sigmas().empty()) all[name + ".sigmas"] = at::tensor(scheduler->sigmas(), at::kDouble);
    all[name + ".trajectory"] = at::stack(walk);
  }
  set.write_json(options["configs"], configs);
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ several views

void add_multiview(OwnSet& set) {
  const std::string file = "mvdream-tiny/cases.safetensors";
  const std::string folder = "mvdream-tiny";
  const ds::UNet unet = double_mvdream(set.path(folder + "/model.safetensors"));
  const auto of_text = io::read_json_file(set.path(folder + "/config.json"))["cond_stage_text"];
  constexpr int64_t kFrames = 3, kItems = 2, kRows = kFrames * kItems;
  const nlohmann::json options{{"pretrained_model_name_or_path", folder},
                               {"num_frames", kFrames},
                               {"runs",
                                {{"out", {{"num_frames", 3}, {"camera", true}}},
                                 {"out.pairs", {{"num_frames", 2}, {"camera", true}}},
                                 {"out.alone.nocamera", {{"num_frames", 1}, {"camera", false}}}}},
                               {"text",
                                {{"layers", of_text["layers"]},
                                 {"num_hidden_layers", of_text["layers"].get<int64_t>() - 1},
                                 {"heads", of_text["heads"]},
                                 {"width", of_text["width"]}}}};
  Tensors all;
  const auto x = learnt(inputs({kRows, 4, 4, 6})), camera = learnt(inputs({kRows, 16}));
  const auto text = inputs({kRows, 10, unet.config().text_channels}), r = inputs({kRows, 4, 4, 6});
  const auto t = at::tensor({30, 30, 30, 710, 710, 710}, at::kLong);
  all["x"] = x, all["camera"] = camera, all["context"] = text, all["R"] = r, all["t"] = t;
  for (const auto& [name, run] : options["runs"].items()) {
    ds::UNetExtra extra;
    extra.n_views = run["num_frames"];
    if (run["camera"].get<bool>()) extra.camera = camera;
    all[name] = unet(x, t, text, extra);
    if (name != "out") continue;
    const auto grads = torch::autograd::grad({all[name]}, {x, camera}, {r});
    all["grad.x"] = grads[0], all["grad.camera"] = grads[1];
  }
  set.add(file, all, options);

  const std::string cameras = "mvdream-tiny/cases_camera.safetensors";
  const nlohmann::json camera_options{{"get_camera_5",
                                       {{"num_frames", 5},
                                        {"elevation", -20},
                                        {"azimuth_start", 70},
                                        {"azimuth_span", 300},
                                        {"blender_coord", true}}}};
  auto made = at::zeros({5, 4, 4}, at::kDouble);
  for (int64_t k = 0; k < 5; ++k) {
    // On the unit sphere, looking at the origin; azimuth 0 is -y, 90 is +x; OpenGL axes, z up.
    const double azimuth = (70 + 300.0 * static_cast<double>(k) / 5) * M_PI / 180, up = -20 * M_PI / 180;
    const double p[3] = {std::cos(up) * std::sin(azimuth), -std::cos(up) * std::cos(azimuth), std::sin(up)};
    const double right[3] = {std::cos(azimuth), std::sin(azimuth), 0};
    const double above[3] = {p[1] * right[2] - p[2] * right[1], p[2] * right[0] - p[0] * right[2],
                             p[0] * right[1] - p[1] * right[0]};
    for (int i = 0; i < 3; ++i) {
      made[k][i][0] = right[i], made[k][i][1] = above[i], made[k][i][2] = p[i], made[k][i][3] = p[i];
    }
    made[k][3][3] = 1;
  }
  set.add(cameras, {{"get_camera_5", made.reshape({5, 16})}}, camera_options);
}

}  // namespace

void add_diffusion_cases(OwnSet& set) {
  for (const char* model : {"sd1-tiny", "sd2-tiny", "unet-camera-tiny", "unet-class-timestep-tiny"})
    add_unet(set, model);
  for (const char* model : {"sd1-tiny", "sd2-tiny"}) {
    add_autoencoder(set, model);
    add_text_encoder(set, model);
  }
  add_lora(set);
  add_clip(set);
  add_schedulers(set);
  add_multiview(set);
}

}  // namespace t3d::testing
