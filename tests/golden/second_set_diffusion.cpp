#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

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
#include "t3d/io/safetensors.h"
#include "tests/golden/second_set.h"
#include "tests/golden/second_set_models.h"

namespace t3d::testing {
namespace {

namespace ds = t3d::diffusion;

at::Tensor learnt(const at::Tensor& x) {
  return x.clone().set_requires_grad(true);
}

at::Tensor step(int64_t t) {
  return at::full({1}, t, at::kLong);
}

/// ------------------------------------------------------------------------------------ UNets

void add_unet(SecondSet& set, const std::string& model) {
  const std::string file = model + "/cases_unet.safetensors";
  auto options = set.recorded_options(file);
  const ds::UNet unet = double_unet(set.source(options["pretrained_model_name_or_path"]));
  const int64_t n = 3, n_words = 13, channels = unet.config().in_channels;
  const auto kind = unet.config().class_embedding;
  options["timesteps"] = {2, 333, 870};
  options["grad_timestep"] = 333;
  options["height"] = 12, options["width"] = 20, options["batch_size"] = n, options["n_tokens"] = n_words;
  options["nonmultiple"] = {
      {"timestep", 77}, {"height", 10}, {"width", 14}, {"batch_size", 2}, {"n_tokens", 5}};
  const auto labels_for = [&](int64_t rows) -> at::Tensor {
    if (kind == ds::ClassEmbedding::Projection) return inputs({rows, unet.config().class_inputs});
    if (kind == ds::ClassEmbedding::Timestep) return at::randint(0, 1000, {rows}, at::kLong);
    return {};
  };
  Tensors all;
  const auto sample = inputs({n, channels, 12, 20}), text = inputs({n, n_words, unet.config().text_channels});
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
  const auto odd = inputs({2, channels, 10, 14}), odd_text = inputs({2, 5, unet.config().text_channels});
  ds::UNetExtra two;
  two.class_labels = labels_for(2);
  if (two.class_labels.defined()) all["nonmultiple.class_labels"] = two.class_labels;
  all["nonmultiple.sample"] = odd, all["nonmultiple.encoder_hidden_states"] = odd_text;
  all["nonmultiple.out.t77"] = unet(odd, step(77), odd_text, two).detach();
  if (model == "unet-camera-tiny") {
    const std::string zero = model + "/cases_zero_camera.safetensors";
    auto zero_options = set.recorded_options(zero);
    zero_options["timestep"] = 640;
    zero_options["runs"] = {
        {"out.camera_of_twos.t640", {{"class_labels", 2.0}, {"class_embedding", true}}},
        {"out.no_class_embedding.t640", {{"class_labels", nullptr}, {"class_embedding", false}}}};
    ds::UNetExtra twos;
    twos.class_labels = at::full_like(labels, 2);
    set.add(zero,
            {{"out.camera_of_twos.t640", unet(sample, step(640), text, twos).detach()},
             {"out.no_class_embedding.t640", unet(sample, step(640), text).detach()}},
            zero_options);
  }
  set.add(file, all, options);
}

void add_lora(SecondSet& set) {
  const std::string file = "sd1-tiny/cases_lora.safetensors";
  auto options = set.recorded_options(file);
  const ds::UNet unet = double_unet(set.source(options["pretrained_model_name_or_path"]));
  const ds::Lora lora = double_lora(set.source(options["lora_files"][0]), unet);
  options["scales"] = {0.0, 0.3, 1.6};
  options["runs"] = {{"out.scale0", {{"scale", 0.0}}},
                     {"out.scale0.3", {{"scale", 0.3}}},
                     {"out.scale1.6", {{"scale", 1.6}}}};
  options["grad_scale"] = 1.6;
  options["sgd"] = {{"lr", 0.02}, {"steps", 2}, {"scale", 0.3}};
  options["height"] = 12, options["width"] = 8, options["batch_size"] = 2;
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

void add_autoencoder(SecondSet& set, const std::string& model) {
  const std::string file = model + "/cases_vae.safetensors";
  auto options = set.recorded_options(file);
  const ds::Autoencoder vae = double_autoencoder(set.source(options["pretrained_model_name_or_path"]));
  options["batch_size"] = 1, options["height"] = 40, options["width"] = 56;
  options["nonsquare"] = {{"batch_size", 2}, {"height", 24}, {"width", 48}};
  options["odd"] = {{"batch_size", 2}, {"height", 43}, {"width", 30}};
  const auto picture = [](at::IntArrayRef sizes) { return in_float(at::rand(sizes, at::kDouble) * 2 - 1); };
  Tensors all;
  const auto image = learnt(picture({1, 3, 40, 56}));
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
  const auto wide = picture({2, 3, 24, 48}), odd = picture({2, 3, 43, 30});
  const auto of_wide = vae.encode(wide);
  all["nonsquare.image"] = wide, all["nonsquare.mean"] = of_wide.mean,
  all["nonsquare.logvar"] = of_wide.logvar;
  all["nonsquare.decoded"] = vae.decode(in_float(of_wide.mean.detach()));
  all["odd.image"] = odd, all["odd.mean"] = vae.encode(odd).mean;
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ texts and CLIP

/// The recorded text encoder without its last layer.
void shorten_text_encoder(const SecondSet& set, const std::string& name) {
  namespace fs = std::filesystem;
  fs::create_directories(set.target(name));
  auto config = io::read_json_file(set.source(name + "/config.json"));
  const int64_t layers = config["num_hidden_layers"].get<int64_t>() - 1;
  config["num_hidden_layers"] = layers;
  std::ofstream(set.target(name + "/config.json")) << config.dump(1);
  const io::SafetensorsFile file(set.source(name + "/model.safetensors"));
  std::map<std::string, at::Tensor> kept;
  for (const auto& tensor : file.names())
    if (tensor.find(cat("encoder.layers.", layers, ".")) == std::string::npos)
      kept[tensor] = file.copy(tensor);
  io::write_safetensors(set.target(name + "/model.safetensors"), kept);
}

void add_text_encoder(SecondSet& set, const std::string& model) {
  const std::string file = model + "/cases_text_encoder.safetensors";
  auto options = set.recorded_options(file);
  const std::string folder = options["pretrained_model_name_or_path"];
  const auto encoder = ds::load_clip_text_model(set.target(folder), at::kDouble, c10::kCPU);
  const auto tokenizer = ds::ClipTokenizer::from_folder(set.source(options["tokenizer"]));
  const std::vector<std::string> prompts{"a teapot", "", "two green owls, wearing hats!"};
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts)
    rows.push_back(at::tensor(tokenizer.encode_padded(prompt).ids, at::kLong));
  const auto ids = at::stack(rows);
  const auto out = encoder(ids, true);
  options["prompts"] = prompts;
  options["num_hidden_layers"] = out.hidden_states.size() - 1;
  options["n_hidden_states"] = out.hidden_states.size();
  options["hidden_states_prompts"] = {2, 0};
  options["short"] = {{"prompt", 2}, {"n_tokens", 6}};
  const auto kept = at::tensor({2, 0}, at::kLong);
  Tensors all;
  all["input_ids"] = ids, all["last_hidden_state"] = out.last_hidden_state, all["pooler_output"] = out.pooled;
  for (size_t i = 0; i < out.hidden_states.size(); ++i)
    all[cat("hidden_states.", i)] = out.hidden_states[i].index_select(0, kept);
  const auto part = ids.slice(0, 2, 3).slice(1, 0, 6).contiguous();
  all["short.input_ids"] = part, all["short.last_hidden_state"] = encoder(part).last_hidden_state;
  set.add(file, all, options);
}

void add_clip(SecondSet& set) {
  const std::string file = "clip-tiny/cases.safetensors";
  auto options = set.recorded_options(file);
  const std::string folder = options["pretrained_model_name_or_path"];
  const auto model = ds::load_clip_model(set.source(folder), at::kDouble, c10::kCPU);
  const auto config = ds::ClipImageConfig::from_file(set.source(folder + "/preprocessor_config.json"));
  const auto tokenizer = ds::ClipTokenizer::from_folder(set.source(options["tokenizer"]));
  const std::vector<std::string> prompts{"a red chair", "one blue lamp", "a photo of grass"};
  std::vector<at::Tensor> rows;
  for (const auto& prompt : prompts) {
    auto tokens = tokenizer.encode_padded(prompt).ids;
    tokens.resize(static_cast<size_t>(model.text().config().n_positions), tokenizer.pad_id());
    rows.push_back(at::tensor(tokens, at::kLong));
  }
  constexpr int kHeight = 150, kWidth = 97, kImages = 3;
  const int edge = config.shortest_edge, height = edge * kHeight / kWidth;
  options["prompts"] = prompts;
  options["image_height"] = kHeight, options["image_width"] = kWidth, options["n_images"] = kImages;
  options["resize"] = {{"height", height}, {"width", edge}, {"resample", "bicubic"}, {"shortest_edge", edge}};
  options["crop_bilinear"] = {
      {"crop_box", {11, 20, 80, 140}}, {"height", 24}, {"width", 40}, {"resample", "bilinear"}};
  options["text_positions_kept"] = 9;
  options["grad_pairs"] = {{0, 2}, {2, 1}, {1, 1}};
  const auto bytes = at::randint(0, 256, {kImages, kHeight, kWidth, 3}, at::kByte);
  std::vector<at::Tensor> pixels, resized, cropped;
  const auto as_tensor = [](const io::Image8& image) {
    return at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, 3}, at::kByte)
        .clone();
  };
  for (int64_t i = 0; i < kImages; ++i) {
    io::Image8 image(kWidth, kHeight, 3), part(80 - 11, 140 - 20, 3);
    std::copy_n(bytes[i].data_ptr<uint8_t>(), image.pixels.size(), image.pixels.begin());
    for (int y = 0; y < part.height; ++y) std::copy_n(image.at(11, 20 + y), 3 * part.width, part.at(0, y));
    // Pillow's own bytes are in the recorded set; here the sizes and the filter are what matters.
    resized.push_back(as_tensor(ds::resize_pillow(image, edge, height, ds::ResizeFilter::Bicubic)));
    cropped.push_back(as_tensor(ds::resize_pillow(part, 40, 24, ds::ResizeFilter::Bilinear)));
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

void add_schedulers(SecondSet& set) {
  const std::string file = "schedulers/cases.safetensors";
  auto options = set.recorded_options(file);
  const double start = 0.0012, end = 0.014;
  options["beta_start"] = start, options["beta_end"] = end;
  options["model"] = {
      {"formula", options["model"]["formula"]}, {"a", 0.4}, {"b", 0.3}, {"c", 1.5}, {"d", 80.0},
      {"input", options["model"]["input"]}};
  const int64_t n_train = options["num_train_timesteps"], n_steps = 13;
  options["num_inference_steps"] = n_steps;
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
  const auto x_init = inputs({2, 4, 3, 5}), variance = inputs({n_steps, 2, 4, 3, 5});
  all["x_init"] = x_init, all["ddim_noise"] = variance;
  auto configs = io::read_json_file(set.source(options["configs"]));
  for (auto& [name, entry] : configs.items()) {
    entry["steps"] = n_steps;
    entry["init"]["beta_start"] = start, entry["init"]["beta_end"] = end;
    auto& run = options["runs"][name];
    if (run["eta"].get<double>() > 0) run["eta"] = 0.45;
    auto config = ds::SchedulerConfig::from_json(entry["init"], name, entry["class"].get<std::string>());
    config.eta = run["eta"];
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
  std::filesystem::create_directories(set.target("schedulers"));
  std::ofstream(set.target(options["configs"])) << configs.dump(1);
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ several views

void add_multiview(SecondSet& set) {
  const std::string file = "mvdream-tiny/cases.safetensors";
  auto options = set.recorded_options(file);
  const ds::UNet unet = double_mvdream(set.source("mvdream-tiny/model.safetensors"));
  constexpr int64_t kFrames = 3, kItems = 2, kRows = kFrames * kItems;
  options["num_frames"] = kFrames, options["n_items"] = kItems, options["height"] = 8, options["width"] = 12;
  options["n_tokens"] = 10;
  options["runs"] = {{"out", {{"num_frames", 3}, {"camera", true}}},
                     {"out.pairs", {{"num_frames", 2}, {"camera", true}}},
                     {"out.alone.nocamera", {{"num_frames", 1}, {"camera", false}}}};
  Tensors all;
  const auto x = learnt(inputs({kRows, 4, 8, 12})), camera = learnt(inputs({kRows, 16}));
  const auto text = inputs({kRows, 10, unet.config().text_channels}), r = inputs({kRows, 4, 8, 12});
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
  auto camera_options = set.recorded_options(cameras);
  camera_options["get_camera_4"] = nullptr;
  camera_options.erase("get_camera_4");
  camera_options["get_camera_5"] = {{"num_frames", 5},
                                    {"elevation", -20},
                                    {"azimuth_start", 70},
                                    {"azimuth_span", 300},
                                    {"blender_coord", true}};
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

void add_diffusion_cases(SecondSet& set) {
  for (const char* name : {"sd1-tiny/unet",
                           "sd1-tiny/vae",
                           "sd1-tiny/text_encoder",
                           "sd1-tiny/tokenizer",
                           "sd1-tiny/scheduler",
                           "sd1-tiny/lora",
                           "sd1-tiny/model_index.json",
                           "sd2-tiny/unet",
                           "sd2-tiny/vae",
                           "sd2-tiny/scheduler",
                           "sd2-tiny/vsd",
                           "sd2-tiny/model_index.json",
                           "unet-camera-tiny/config.json",
                           "unet-camera-tiny/diffusion_pytorch_model.safetensors",
                           "unet-class-timestep-tiny/config.json",
                           "unet-class-timestep-tiny/diffusion_pytorch_model.safetensors",
                           "mvdream-tiny/config.json",
                           "mvdream-tiny/model.safetensors",
                           "clip-tiny/config.json",
                           "clip-tiny/model.safetensors",
                           "clip-tiny/preprocessor_config.json",
                           "sd2-tiny/tokenizer"})
    set.link(name);
  shorten_text_encoder(set, "sd2-tiny/text_encoder");
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
