#include "t3d/diffusion/lora.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/unet.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::diffusion {
namespace {

using testing::golden_path;
using testing::GoldenCases;
using testing::GoldenOptions;
using ::testing::HasSubstr;
using testing::max_relative_error;
using testing::record_golden;

const std::vector<LoraSite> kSites{{"b.attn1.to_q", 6, 4}, {"b.attn1.to_out.0", 4, 4}};

std::string message_of(std::map<std::string, at::Tensor> tensors) {
  try {
    Lora::load(*memory_source("file", std::move(tensors)), kSites);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

void expect_close(const std::string& name, const at::Tensor& found, const at::Tensor& expected,
                  double bar = 1e-4) {
  const double error = max_relative_error(found, expected);
  record_golden(name, error);
  EXPECT_LT(error, bar) << name;
}

TEST(Lora, NewOnesChangeNothing) {
  const Lora lora = Lora::make({4, 0}, kSites, 1);
  const auto x = at::randn({2, 6}), y = at::randn({2, 4});
  EXPECT_TRUE(lora.add("b.attn1.to_q", x, y, 1).equal(y));
  EXPECT_TRUE(lora.add("elsewhere", x, y, 1).equal(y));
  EXPECT_GT(lora.parameters().begin()->second.abs().max().item<float>(), 0);
}

TEST(Lora, AlphaOverRankIsTheFactor) {
  std::map<std::string, at::Tensor> tensors{{"b.attn1.to_q.lora_A.weight", at::ones({2, 6})},
                                            {"b.attn1.to_q.lora_B.weight", at::ones({4, 2})},
                                            {"b.attn1.to_q.alpha", at::full({}, 1.0)}};
  const Lora lora = Lora::load(*memory_source("file", tensors), kSites);
  const auto y = lora.add("b.attn1.to_q", at::ones({1, 6}), at::zeros({1, 4}), 2);
  EXPECT_FLOAT_EQ(y[0][0].item<float>(), 2 * 0.5f * 12);
}

TEST(Lora, EveryNamingRoundTrips) {
  Lora lora = Lora::make({3, 6}, kSites, 1);
  for (auto& [name, t] : lora.parameters()) t.copy_(at::randn_like(t));
  const std::string path = (std::filesystem::temp_directory_path() / "t3d_lora_test.safetensors").string();
  for (const LoraNaming naming : {LoraNaming::AttnProcs, LoraNaming::Peft, LoraNaming::Diffusers}) {
    lora.save(path, naming);
    const Lora again = Lora::load(*safetensors_source(path), kSites);
    ASSERT_EQ(again.n_sites(), 2u);
    const auto x = at::randn({2, 4}), y = at::zeros({2, 4});
    EXPECT_TRUE(again.add("b.attn1.to_out.0", x, y, 1).equal(lora.add("b.attn1.to_out.0", x, y, 1)));
  }
  std::filesystem::remove(path);
}

TEST(Lora, WhatDoesNotFitIsListed) {
  EXPECT_THAT(message_of({{"b.attn1.to_w.lora_A.weight", at::ones({2, 6})}}), HasSubstr("did you mean"));
  EXPECT_THAT(message_of({{"b.attn1.to_q.lora_A.weight", at::ones({2, 7})}}),
              HasSubstr("is [2, 7] instead of [rank,6]"));
  EXPECT_THAT(message_of({{"b.attn1.to_q.lora_A.weight", at::ones({2, 6})}}), HasSubstr("has no up half"));
  EXPECT_THAT(message_of({{"b.attn1.to_q.lora_A.weight", at::ones({2, 6})},
                          {"b.attn1.to_q.lora_B.weight", at::ones({4, 3})}}),
              HasSubstr("has rank 2 below and 3 above"));
  EXPECT_THAT(message_of({}), HasSubstr("has no LoRA weights"));
}

const char* const kLora = "sd1-tiny/cases_lora.safetensors";

class GoldenLora : public ::testing::TestWithParam<bool> {
 protected:
  static UNet read(const std::string& folder) {
    const auto weights =
        Weights::from(safetensors_source(golden_path(folder + "/diffusion_pytorch_model.safetensors")));
    UNet unet(read_unet_config(golden_path(folder + "/config.json")), weights);
    weights.check();
    return unet;
  }
};

TEST_P(GoldenLora, OutputsGradientsAndOneStepInEveryNaming) {
  T3D_NEED_CASES(kLora);
  const GoldenCases cases(kLora);
  const GoldenOptions options(kLora);
  UNet unet = read(options.text("pretrained_model_name_or_path"));
  unet.recompute = GetParam();
  const auto sites = attention_sites(unet.parameters());
  const auto run = [&](const Lora& lora, double scale) {
    UNetExtra extra;
    extra.lora = &lora;
    extra.lora_scale = scale;
    return unet(cases.tensor("sample"), cases.tensor("timestep_batch"), cases.tensor("encoder_hidden_states"),
                extra);
  };
  const GoldenOptions sgd = options.block("sgd");
  for (const auto& file : options.at("lora_files")) {
    Lora lora = Lora::load(*safetensors_source(golden_path(file.get<std::string>())), sites);
    EXPECT_EQ(lora.n_sites(), sites.size());
    const std::string name = "sd1-tiny/lora.";
    for (const std::string& of : options.runs())
      expect_close(name + of, run(lora, options.run(of).number("scale")), cases.tensor(of));
    lora.require_grad(true);
    const auto out = run(lora, options.number("grad_scale"));

    std::vector<std::string> names;
    std::vector<at::Tensor> parameters;
    for (const auto& [parameter, tensor] : lora.parameters()) {
      names.push_back(parameter);
      parameters.push_back(tensor);
    }
    const auto grads = torch::autograd::grad({out}, parameters, {cases.tensor("R")}, /*retain_graph=*/true);
    for (size_t i = 0; i < names.size(); ++i)
      expect_close(name + "grad_sum", grads[i], cases.tensor("grad_sum." + names[i]));

    const double scale = sgd.number("scale");
    const auto mse_of = [&] { return (run(lora, scale) - cases.tensor("target")).square().mean(); };
    const auto mse = mse_of();
    EXPECT_NEAR(mse.item<double>(), cases.number("mse"), 1e-5 * cases.number("mse"));
    for (int64_t step = 0; step < sgd.whole("steps"); ++step) {
      const auto move = torch::autograd::grad({mse_of()}, parameters);
      double square = 0;
      const c10::NoGradGuard no_grad;
      for (size_t i = 0; i < parameters.size(); ++i) {
        square += move[i].to(at::kDouble).square().sum().item<double>();
        parameters[i].sub_(move[i], sgd.number("lr"));
      }
      if (step > 0) continue;
      EXPECT_NEAR(std::sqrt(square), cases.number("mse_grad_norm"), 1e-4 * cases.number("mse_grad_norm"));
    }
    const c10::NoGradGuard no_grad;
    const auto after = run(lora, scale);
    expect_close(name + "sgd.out", after, cases.tensor("sgd.out"));
    EXPECT_NEAR((after - cases.tensor("target")).square().mean().item<double>(), cases.number("sgd.mse"),
                1e-4 * std::max(1.0, cases.number("sgd.mse")));
  }
}

INSTANTIATE_TEST_SUITE_P(KeptAndRecomputed, GoldenLora, ::testing::Values(false, true));

const char* const kVsd = "sd2-tiny/cases_vsd.safetensors";

TEST(GoldenLoraVsd, CameraAndLoraTogether) {
  T3D_NEED_CASES(kVsd);
  const GoldenCases cases(kVsd);
  const GoldenOptions options(kVsd);
  // The base model's tensors, and the camera MLP in the place of a class embedding.
  const auto camera = renamed_source(safetensors_source(golden_path(options.text("camera_embedding"))),
                                     [](const std::string& name) { return "class_embedding." + name; });
  const std::string folder = golden_path(options.text("pretrained_model_name_or_path_lora") + "/unet");
  const auto base = safetensors_source(folder + "/diffusion_pytorch_model.safetensors");
  // In double, so that every processor finds the same: the gradients of this small random model are so badly
  // conditioned that those of the reference, in single precision, are up to 5e-4 away from the exact ones.
  const auto weights = Weights::from(joined_source("vsd", {base, camera}), at::kDouble);
  UNetConfig config = read_unet_config(folder + "/config.json");
  config.class_embedding = ClassEmbedding::Projection;
  config.class_inputs = options.whole("camera_inputs");
  const UNet unet(config, weights);
  weights.check();
  Lora lora = Lora::load(*safetensors_source(golden_path(options.text("lora_weights"))),
                         attention_sites(unet.parameters()));
  for (const auto& entry : lora.parameters()) {
    at::Tensor shared = entry.second;
    shared.set_data(shared.to(at::kDouble));
  }
  const auto x = cases.tensor("latents_noisy"), t = cases.tensor("t");
  const int64_t n = x.size(0);
  const bool by_view = options.truth("view_dependent_prompting");
  const auto all = cases.tensor(by_view ? "text_embeddings_vd" : "text_embeddings");
  const auto text = cases.tensor("text_embeddings").narrow(0, 0, n);
  expect_close("sd2-tiny/vsd.pretrain", unet(x, t, all.narrow(0, 0, n)), cases.tensor("pretrain.text"));
  expect_close("sd2-tiny/vsd.pretrain", unet(x, t, all.narrow(0, n, n)), cases.tensor("pretrain.uncond"));
  const auto told =
      cases.tensor(options.text("camera_condition_type") == "mvp" ? "mvp" : "c2w").reshape({n, 16});
  UNetExtra extra;
  extra.lora = &lora;
  extra.lora_scale = options.number("lora_scale");
  extra.class_labels = told;
  expect_close("sd2-tiny/vsd.lora", unet(x, t, text, extra), cases.tensor("lora.camera"));
  extra.class_labels = at::zeros_like(told);
  expect_close("sd2-tiny/vsd.lora", unet(x, t, text, extra), cases.tensor("lora.uncond"));

  lora.require_grad(true);
  std::vector<at::Tensor> parameters;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : lora.parameters()) {
    parameters.push_back(tensor);
    names.push_back(name);
  }
  for (const auto& [name, tensor] : unet.parameters())
    if (name.compare(0, 15, "class_embedding") == 0) {
      at::Tensor shared = tensor;
      parameters.push_back(shared.set_requires_grad(true));
    }
  const NoiseSchedule schedule(SchedulerConfig::from_json(options.json(), "options.json", "ddim").schedule);
  const auto train_t = cases.tensor("train.t");
  const auto a = schedule.alphas_cumprod().to(at::kDouble).index_select(0, train_t).view({-1, 1, 1, 1});
  const int64_t per_row = train_t.size(0) / n;  // training samples for each of the rows
  const auto latents = cases.tensor("latents").repeat({per_row, 1, 1, 1}),
             noise = cases.tensor("train.noise");
  const auto noisy = (a.sqrt() * latents + (1 - a).sqrt() * noise).to(at::kFloat);
  const bool is_velocity = options.text("prediction_type_lora") == "v_prediction";
  const auto target = is_velocity ? (a.sqrt() * noise - (1 - a).sqrt() * latents).to(at::kFloat) : noise;
  for (const std::string& name : options.runs()) {
    if (name.rfind("train", 0) != 0) continue;
    const bool with_camera = !options.run(name).truth("drops_camera");
    extra.class_labels = (with_camera ? told : at::zeros_like(told)).repeat({per_row, 1});
    const auto out = unet(noisy, train_t, text.repeat({per_row, 1, 1}), extra);
    const auto loss = (out - target).square().mean();
    expect_close("sd2-tiny/vsd.train.loss", loss, cases.tensor(name + "loss"));
    const auto grads = torch::autograd::grad({loss}, parameters);
    double square = 0;
    for (const auto& g : grads) square += g.to(at::kDouble).square().sum().item<double>();
    EXPECT_NEAR(std::sqrt(square), cases.number(name + "grad_norm"), 1e-3 * cases.number(name + "grad_norm"));
    for (size_t i = 0; i < names.size(); ++i)
      if (cases.contains(name + "grad." + names[i]))
        expect_close("sd2-tiny/vsd.train.grad", grads[i], cases.tensor(name + "grad." + names[i]), 1e-3);
  }
}

}  // namespace
}  // namespace t3d::diffusion
