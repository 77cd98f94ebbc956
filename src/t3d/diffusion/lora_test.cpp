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
#include "t3d/diffusion/unet.h"
#include "tests/support/golden_cases.h"

namespace t3d::diffusion {
namespace {

using testing::golden_path;
using testing::GoldenCases;
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

class GoldenLora : public ::testing::TestWithParam<bool> {
 protected:
  static UNet read() {
    const auto weights =
        Weights::from(safetensors_source(golden_path("sd1-tiny/unet/diffusion_pytorch_model.safetensors")));
    UNet unet(read_unet_config(golden_path("sd1-tiny/unet/config.json")), weights);
    weights.check();
    return unet;
  }
};

TEST_P(GoldenLora, OutputsGradientsAndOneStepInEveryNaming) {
  T3D_NEED_FILE(golden_path("sd1-tiny/cases_lora.safetensors"));
  const GoldenCases cases("sd1-tiny/cases_lora.safetensors");
  UNet unet = read();
  unet.recompute = GetParam();
  const auto sites = attention_sites(unet.parameters());
  const auto run = [&](const Lora& lora, double scale) {
    UNetExtra extra;
    extra.lora = &lora;
    extra.lora_scale = scale;
    return unet(cases.tensor("sample"), cases.tensor("timestep_batch"), cases.tensor("encoder_hidden_states"),
                extra);
  };
  for (const std::string file : {"lora_attn_procs", "lora_peft", "pytorch_lora_weights"}) {
    Lora lora = Lora::load(*safetensors_source(golden_path("sd1-tiny/lora/" + file + ".safetensors")), sites);
    EXPECT_EQ(lora.n_sites(), sites.size());
    const std::string name = "sd1-tiny/lora.";
    expect_close(name + "out.scale0", run(lora, 0), cases.tensor("out.scale0"));
    expect_close(name + "out.scale0.4", run(lora, 0.4), cases.tensor("out.scale0.4"));
    lora.require_grad(true);
    const auto out = run(lora, 1);
    expect_close(name + "out.scale1", out, cases.tensor("out.scale1"));

    std::vector<std::string> names;
    std::vector<at::Tensor> parameters;
    for (const auto& [parameter, tensor] : lora.parameters()) {
      names.push_back(parameter);
      parameters.push_back(tensor);
    }
    const auto grads = torch::autograd::grad({out}, parameters, {cases.tensor("R")}, /*retain_graph=*/true);
    for (size_t i = 0; i < names.size(); ++i)
      expect_close(name + "grad_sum", grads[i], cases.tensor("grad_sum." + names[i]));

    const auto mse = (out - cases.tensor("target")).square().mean();
    EXPECT_NEAR(mse.item<double>(), cases.number("mse"), 1e-5 * cases.number("mse"));
    const auto step = torch::autograd::grad({mse}, parameters);
    double square = 0;
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {
      square += step[i].to(at::kDouble).square().sum().item<double>();
      parameters[i].sub_(step[i], 0.05);
    }
    EXPECT_NEAR(std::sqrt(square), cases.number("mse_grad_norm"), 1e-4 * cases.number("mse_grad_norm"));
    const auto after = run(lora, 1);
    expect_close(name + "sgd.out", after, cases.tensor("sgd.out"));
    EXPECT_NEAR((after - cases.tensor("target")).square().mean().item<double>(), cases.number("sgd.mse"),
                1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(KeptAndRecomputed, GoldenLora, ::testing::Values(false, true));

TEST(GoldenLoraVsd, CameraAndLoraTogether) {
  T3D_NEED_FILE(golden_path("sd2-tiny/cases_vsd.safetensors"));
  const GoldenCases cases("sd2-tiny/cases_vsd.safetensors");
  // The base model's tensors, and the camera MLP in the place of a class embedding.
  const auto camera =
      renamed_source(safetensors_source(golden_path("sd2-tiny/vsd/camera_embedding.safetensors")),
                     [](const std::string& name) { return "class_embedding." + name; });
  const auto base = safetensors_source(golden_path("sd2-tiny/unet/diffusion_pytorch_model.safetensors"));
  // In double, so that every processor finds the same: the gradients of this small random model are so badly
  // conditioned that those of the reference, in single precision, are up to 5e-4 away from the exact ones.
  const auto weights = Weights::from(joined_source("vsd", {base, camera}), at::kDouble);
  UNetConfig config = read_unet_config(golden_path("sd2-tiny/unet/config.json"));
  config.class_embedding = ClassEmbedding::Projection;
  config.class_inputs = 16;
  const UNet unet(config, weights);
  weights.check();
  Lora lora = Lora::load(*safetensors_source(golden_path("sd2-tiny/vsd/lora_attn_procs.safetensors")),
                         attention_sites(unet.parameters()));
  for (const auto& entry : lora.parameters()) {
    at::Tensor shared = entry.second;
    shared.set_data(shared.to(at::kDouble));
  }
  const auto x = cases.tensor("latents_noisy"), t = cases.tensor("t");
  const auto all = cases.tensor("text_embeddings_vd"), text = cases.tensor("text_embeddings").narrow(0, 0, 2);
  expect_close("sd2-tiny/vsd.pretrain", unet(x, t, all.narrow(0, 0, 2)), cases.tensor("pretrain.text"));
  expect_close("sd2-tiny/vsd.pretrain", unet(x, t, all.narrow(0, 2, 2)), cases.tensor("pretrain.uncond"));
  UNetExtra extra;
  extra.lora = &lora;
  extra.class_labels = cases.tensor("c2w").reshape({2, 16});
  expect_close("sd2-tiny/vsd.lora", unet(x, t, text, extra), cases.tensor("lora.camera"));
  extra.class_labels = at::zeros({2, 16});
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
  const auto betas = at::linspace(std::sqrt(0.00085), std::sqrt(0.012), 1000, at::kDouble).square();
  const auto a = (1 - betas).cumprod(0).index_select(0, cases.tensor("train.t")).view({2, 1, 1, 1});
  const auto latents = cases.tensor("latents"), noise = cases.tensor("train.noise");
  const auto noisy = (a.sqrt() * latents + (1 - a).sqrt() * noise).to(at::kFloat);
  const auto velocity = (a.sqrt() * noise - (1 - a).sqrt() * latents).to(at::kFloat);
  for (const bool with_camera : {true, false}) {
    const std::string name = with_camera ? "train." : "train_nocam.";
    extra.class_labels = with_camera ? cases.tensor("c2w").reshape({2, 16}) : at::zeros({2, 16});
    const auto out = unet(noisy, cases.tensor("train.t"), text, extra);
    const auto loss = (out - velocity).square().mean();
    expect_close("sd2-tiny/vsd.train.loss", loss, cases.tensor(name + "loss"));
    const auto grads = torch::autograd::grad({loss}, parameters);
    double square = 0;
    for (const auto& g : grads) square += g.to(at::kDouble).square().sum().item<double>();
    EXPECT_NEAR(std::sqrt(square), cases.number(name + "grad_norm"), 1e-3 * cases.number(name + "grad_norm"));
    for (size_t i = 0; with_camera && i < names.size(); ++i)
      if (cases.contains("train.grad." + names[i]))
        expect_close("sd2-tiny/vsd.train.grad", grads[i], cases.tensor("train.grad." + names[i]), 1e-3);
  }
}

}  // namespace
}  // namespace t3d::diffusion
