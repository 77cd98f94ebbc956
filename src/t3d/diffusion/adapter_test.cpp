#include "t3d/diffusion/adapter.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/diffusion/lora.h"
#include "t3d/diffusion/model_shapes.h"
#include "t3d/diffusion/unet.h"
#include "t3d/io/safetensors.h"
#include "tests/support/format_table.h"
#include "tests/support/golden_cases.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_writer.h"

namespace t3d::diffusion {
namespace {

using ::testing::HasSubstr;
using testing::max_relative_error;
using Tensors = std::map<std::string, at::Tensor>;

UNetConfig small_config() {
  UNetConfig c;
  c.sample_size = 8;
  c.block_channels = {16, 32};
  c.n_heads = {2, 2};
  c.has_attention = {true, true};
  c.transformer_depth = {1, 1};
  c.layers_per_block = 2;
  c.text_channels = 12;
  c.norm_groups = 8;
  return c;
}

std::shared_ptr<TensorSource> random_source(const TensorTable& table, uint64_t seed) {
  Tensors tensors;
  const auto random = Weights::random(seed);
  for (const auto& [name, plan] : table)
    tensors[name] = random.take(name, plan.shape) + (plan.shape.size() == 1 ? 1.0 : 0.0);
  return memory_source("small", std::move(tensors));
}

const std::shared_ptr<TensorSource>& unet_source() {
  static const auto source = random_source(unet_tensors(small_config()), 5);
  return source;
}
const std::shared_ptr<TensorSource>& text_source() {
  static const auto source = random_source(text_tensors({12, 24, 2, 50, 7}), 6);
  return source;
}

const char* const kQuery = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";  // [16,16]
const char* const kKey = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k";    // [32,12]
const char* const kConv = "down_blocks.1.resnets.0.conv1";                                // [32,16,3,3]
const char* const kProjIn = "down_blocks.0.attentions.1.proj_in";                         // [16,16,1,1]
const char* const kNorm = "down_blocks.0.resnets.0.norm1";                                // [16]
const char* const kText = "text_model.encoder.layers.1.mlp.fc1";                          // [24,12]

std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
std::string kohya(const std::string& layer) {
  return "lora_unet_" + flat(layer);
}

at::Tensor noise(std::vector<int64_t> shape) {
  static uint64_t n = 0;
  return Weights::random(100 + ++n).take("x", shape);
}

/// What a file adds to one of the model's tensors.
at::Tensor change(const Tensors& tensors, const std::string& name, double strength = 1,
                  const std::string& description = "", AdaptedPart part = AdaptedPart::UNet) {
  const auto& model = part == AdaptedPart::UNet ? unet_source() : text_source();
  const auto adapter = Adapter::from(memory_source("l.safetensors", tensors), description);
  const auto adapted = adapter.onto(model, part, strength);
  return adapted->load(name, at::kFloat, c10::kCPU) - model->load(name, at::kFloat, c10::kCPU);
}
void expect_change(const Tensors& tensors, const std::string& layer, const at::Tensor& expected,
                   double strength = 1, const std::string& description = "",
                   AdaptedPart part = AdaptedPart::UNet) {
  const at::Tensor found = change(tensors, layer + ".weight", strength, description, part);
  EXPECT_LT((found - expected.reshape(found.sizes())).abs().max().item<double>(), 2e-6) << layer;
  EXPECT_GT(expected.abs().max().item<double>(), 1e-4);
}
std::string refusal(const Tensors& tensors, AdaptedPart part = AdaptedPart::UNet) {
  try {
    Adapter::from(memory_source("l.safetensors", tensors))
        .onto(part == AdaptedPart::UNet ? unet_source() : text_source(), part, 1);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

const at::Tensor& down_half() {
  static const at::Tensor t = noise({4, 16});
  return t;
}
const at::Tensor& up_half() {
  static const at::Tensor t = noise({16, 4});
  return t;
}

/// Down and up halves for kQuery under these names.
Tensors pair_named(const std::string& down, const std::string& up) {
  return {{down, down_half()}, {up, up_half()}};
}
at::Tensor product() {
  return at::matmul(up_half(), down_half());
}

void kohya_linear() {
  auto file = pair_named(kohya(kQuery) + ".lora_down.weight", kohya(kQuery) + ".lora_up.weight");
  expect_change(file, kQuery, product());
  file[kohya(kQuery) + ".alpha"] = at::full({}, 1.0, at::kHalf);
  expect_change(file, kQuery, product() * 0.25);
  expect_change(file, kQuery, product() * 0.25 * 0.3, 0.3);
  // Names in ldm's naming, which some programs write.
  expect_change(pair_named("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
                           "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight"),
                kQuery, product());
}

void kohya_text() {
  const std::string name = "lora_te_text_model_encoder_layers_1_mlp_fc1";
  const at::Tensor down = noise({4, 12}), up = noise({24, 4});
  expect_change({{name + ".lora_down.weight", down},
                 {name + ".lora_up.weight", up},
                 {name + ".alpha", at::full({1}, 4.0)}},
                kText, at::matmul(up, down), 1, "", AdaptedPart::TextEncoder);
  expect_change({{"text_encoder." + std::string(kText) + ".lora_linear_layer.down.weight", down},
                 {"text_encoder." + std::string(kText) + ".lora_linear_layer.up.weight", up}},
                kText, at::matmul(up, down), 1, "", AdaptedPart::TextEncoder);
  const at::Tensor square = noise({4, 12}), back = noise({12, 4});
  expect_change({{"text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.down.weight", square},
                 {"text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight", back}},
                "text_model.encoder.layers.0.self_attn.q_proj", at::matmul(back, square), 1, "",
                AdaptedPart::TextEncoder);
}

void diffusers_and_peft() {
  const std::string q = kQuery, block = q.substr(0, q.rfind('.'));
  expect_change(pair_named("unet." + q + ".lora_A.weight", "unet." + q + ".lora_B.weight"), kQuery,
                product());
  expect_change(pair_named("unet." + q + ".lora.down.weight", "unet." + q + ".lora.up.weight"), kQuery,
                product());
  expect_change(pair_named("unet." + block + ".processor.to_q_lora.down.weight",
                           "unet." + block + ".processor.to_q_lora.up.weight"),
                kQuery, product());
  expect_change(pair_named("base_model.model." + q + ".lora_A.default.weight",
                           "base_model.model." + q + ".lora_B.default.weight"),
                kQuery, product());
  expect_change(pair_named("base_model.model.unet." + q + ".base_layer.lora_A.style.weight",
                           "base_model.model.unet." + q + ".base_layer.lora_B.style.weight"),
                kQuery, product());
}

void peft_alpha() {
  const std::string q = kQuery;
  const auto file = pair_named(q + ".lora_A.weight", q + ".lora_B.weight");
  expect_change(file, kQuery, product() * 2, 1, R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8})");
  expect_change(file, kQuery, product() * 4, 1, R"({"r": 4, "lora_alpha": 8, "use_rslora": true})");
  expect_change(file, kQuery, product() * 0.5, 1, R"({"unet.lora_alpha": 2, "text_encoder.lora_alpha": 16})");
  expect_change(file, kQuery, product() * 3, 1, R"({"lora_alpha": 4, "alpha_pattern": {"attn1.to_q": 12}})");
}

void convolution() {
  const at::Tensor down = noise({4, 16, 3, 3}), up = noise({32, 4, 1, 1});
  const std::string name = kohya(kConv);
  expect_change({{name + ".lora_down.weight", down}, {name + ".lora_up.weight", up}}, kConv,
                at::einsum("or,rikl->oikl", {up.flatten(1), down}));
  expect_change({{"unet." + std::string(kConv) + ".lora_A.weight", down},
                 {"unet." + std::string(kConv) + ".lora_B.weight", up}},
                kConv, at::einsum("or,rikl->oikl", {up.flatten(1), down}));
  const at::Tensor down1 = noise({4, 16, 1, 1}), up1 = noise({16, 4, 1, 1});
  expect_change({{kohya(kProjIn) + ".lora_down.weight", down1}, {kohya(kProjIn) + ".lora_up.weight", up1}},
                kProjIn, at::matmul(up1.flatten(1), down1.flatten(1)));
  const at::Tensor mid = noise({5, 4, 3, 3}), down2 = noise({4, 16, 1, 1}), up2 = noise({32, 5, 1, 1});
  expect_change({{name + ".lora_down.weight", down2},
                 {name + ".lora_mid.weight", mid},
                 {name + ".lora_up.weight", up2}},
                kConv, at::einsum("oa,abkl,bi->oikl", {up2.flatten(1), mid, down2.flatten(1)}));
}

void loha() {
  const std::string name = kohya(kConv), linear = kohya(kKey);
  const at::Tensor w1a = noise({32, 3}), w1b = noise({3, 144}), w2a = noise({32, 3}), w2b = noise({3, 144});
  expect_change({{name + ".hada_w1_a", w1a},
                 {name + ".hada_w1_b", w1b},
                 {name + ".hada_w2_a", w2a},
                 {name + ".hada_w2_b", w2b},
                 {name + ".alpha", at::full({}, 6.0)}},
                kConv, at::matmul(w1a, w1b) * at::matmul(w2a, w2b) * 2);
  const at::Tensor a = noise({32, 3}), b = noise({3, 12});
  expect_change({{linear + ".hada_w1_a", a},
                 {linear + ".hada_w1_b", b},
                 {linear + ".hada_w2_a", a},
                 {linear + ".hada_w2_b", b}},
                kKey, at::matmul(a, b).square());
  const at::Tensor t1 = noise({3, 4, 3, 3}), t2 = noise({3, 4, 3, 3}), c1 = noise({3, 32}),
                   d1 = noise({4, 16}), c2 = noise({3, 32}), d2 = noise({4, 16});
  expect_change({{name + ".hada_t1", t1},
                 {name + ".hada_t2", t2},
                 {name + ".hada_w1_a", c1},
                 {name + ".hada_w1_b", d1},
                 {name + ".hada_w2_a", c2},
                 {name + ".hada_w2_b", d2}},
                kConv,
                at::einsum("ijkl,jr,ip->prkl", {t1, d1, c1}) * at::einsum("ijkl,jr,ip->prkl", {t2, d2, c2}));
}

void lokr() {
  const std::string name = kohya(kConv), linear = kohya(kKey);
  const at::Tensor w1 = noise({4, 2}), w2 = noise({8, 8, 3, 3});
  at::Tensor expected = at::einsum("ab,cdkl->acbdkl", {w1, w2}).reshape({32, 16, 3, 3});
  // Without a low rank the factor is 1, whatever alpha says.
  expect_change({{name + ".lokr_w1", w1}, {name + ".lokr_w2", w2}, {name + ".alpha", at::full({}, 9.0)}},
                kConv, expected);
  const at::Tensor a = noise({8, 3}), b = noise({3, 72});
  expected = at::einsum("ab,cdk->acbdk", {w1, at::matmul(a, b).reshape({8, 8, 9})}).reshape({32, 16, 3, 3});
  expect_change({{name + ".lokr_w1", w1},
                 {name + ".lokr_w2_a", a},
                 {name + ".lokr_w2_b", b},
                 {name + ".alpha", at::full({}, 6.0)}},
                kConv, expected * 2);
  const at::Tensor t2 = noise({3, 3, 3, 3}), ta = noise({3, 8}), tb = noise({3, 8});
  expected = at::einsum("ab,cdkl->acbdkl", {w1, at::einsum("ijkl,ip,jr->prkl", {t2, ta, tb})})
                 .reshape({32, 16, 3, 3});
  expect_change({{name + ".lokr_w1", w1},
                 {name + ".lokr_t2", t2},
                 {name + ".lokr_w2_a", ta},
                 {name + ".lokr_w2_b", tb}},
                kConv, expected);
  const at::Tensor l1a = noise({4, 2}), l1b = noise({2, 3}), l2 = noise({8, 4});
  expect_change({{linear + ".lokr_w1_a", l1a}, {linear + ".lokr_w1_b", l1b}, {linear + ".lokr_w2", l2}}, kKey,
                at::kron(at::matmul(l1a, l1b), l2));
}

void dora() {
  const auto w = unet_source()->load(std::string(kQuery) + ".weight", at::kFloat, c10::kCPU);
  const at::Tensor lengths = at::rand({16, 1}) + 0.5, sum = w + product();
  auto file = pair_named(kohya(kQuery) + ".lora_down.weight", kohya(kQuery) + ".lora_up.weight");
  file[kohya(kQuery) + ".dora_scale"] = lengths;
  const at::Tensor rows = sum * lengths / sum.norm(2, {1}, true);
  expect_change(file, kQuery, rows - w);
  expect_change(file, kQuery, (rows - w) * 0.5, 0.5);
  file[kohya(kQuery) + ".dora_scale"] = lengths.t();  // of columns
  // With as many rows as columns, the shape tells which are meant.
  expect_change(file, kQuery, sum * lengths.t() / sum.norm(2, {0}, true) - w);
  auto peft = pair_named("unet." + std::string(kQuery) + ".lora_A.weight",
                         "unet." + std::string(kQuery) + ".lora_B.weight");
  peft["unet." + std::string(kQuery) + ".lora_magnitude_vector"] = lengths.flatten();
  expect_change(peft, kQuery, rows - w);
  const auto conv = unet_source()->load(std::string(kConv) + ".weight", at::kFloat, c10::kCPU);
  const at::Tensor down = noise({4, 16, 3, 3}), up = noise({32, 4, 1, 1}),
                   of_conv = at::rand({1, 16, 1, 1}) + 0.5;
  const at::Tensor merged = conv + at::einsum("or,rikl->oikl", {up.flatten(1), down});
  const at::Tensor norm = merged.transpose(0, 1).flatten(1).norm(2, {1}).reshape({1, 16, 1, 1});
  expect_change({{kohya(kConv) + ".lora_down.weight", down},
                 {kohya(kConv) + ".lora_up.weight", up},
                 {kohya(kConv) + ".dora_scale", of_conv}},
                kConv, merged * of_conv / norm - conv);
}

void whole_differences() {
  const at::Tensor diff = noise({32, 16, 3, 3}), bias = noise({32}), norm = noise({16});
  const Tensors file = {{kohya(kConv) + ".diff", diff},
                        {kohya(kConv) + ".diff_b", bias},
                        {kohya(kNorm) + ".w_norm", norm},
                        {kohya(kNorm) + ".b_norm", norm}};
  expect_change(file, kConv, diff * 0.5, 0.5);
  EXPECT_LT((change(file, std::string(kConv) + ".bias") - bias).abs().max().item<double>(), 1e-6);
  EXPECT_LT((change(file, std::string(kNorm) + ".weight") - norm).abs().max().item<double>(), 1e-6);
  EXPECT_LT((change(file, std::string(kNorm) + ".bias") - norm).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(change(file, std::string(kQuery) + ".weight").abs().max().item<double>(), 0);
  Tensors up_bias = {{"unet." + std::string(kConv) + ".lora_A.weight", noise({4, 16, 3, 3})},
                     {"unet." + std::string(kConv) + ".lora_B.weight", noise({32, 4, 1, 1})},
                     {"unet." + std::string(kConv) + ".lora_B.bias", bias}};
  EXPECT_LT((change(up_bias, std::string(kConv) + ".bias") - bias).abs().max().item<double>(), 1e-6);
}

void other_kinds() {
  const auto one = [](const std::string& name) { return refusal({{name, at::ones({4, 4})}}); };
  EXPECT_THAT(one(kohya(kQuery) + ".on_input"), HasSubstr("is of IA3, which is not read"));
  EXPECT_THAT(one(kohya(kQuery) + ".oft_blocks"), HasSubstr("is of OFT"));
  EXPECT_THAT(one(kohya(kQuery) + ".a1.weight"), HasSubstr("is of GLoRA"));
  EXPECT_THAT(one("unet:0:up"), HasSubstr("first LoRA programs"));
  EXPECT_THAT(one("0"), HasSubstr("first LoRA programs"));
  EXPECT_THAT(one("emb_params"), HasSubstr("textual inversion"));
  EXPECT_THAT(one("conv_in.weight"), HasSubstr("conv_in.weight is no name of a LoRA tensor"));
}

void other_families() {
  const auto one = [](const std::string& layer) {
    return refusal(
        {{layer + ".lora_down.weight", at::ones({4, 4})}, {layer + ".lora_up.weight", at::ones({4, 4})}});
  };
  EXPECT_THAT(one("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q"),
              HasSubstr("for Stable Diffusion XL"));
  EXPECT_THAT(refusal({{"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", at::ones({4, 4})}}),
              HasSubstr("for Stable Diffusion XL"));
  EXPECT_THAT(one("lora_unet_double_blocks_0_img_attn_qkv"), HasSubstr("for Flux"));
  EXPECT_THAT(one("transformer.single_transformer_blocks.0.attn.to_q"), HasSubstr("for Flux"));
  EXPECT_THAT(one("lora_unet_joint_blocks_0_x_block_attn_qkv"), HasSubstr("for Stable Diffusion 3"));
  EXPECT_THAT(one("base_model.model.model.layers.0.self_attn.q_proj"), HasSubstr("a language model"));
}

void what_does_not_fit() {
  const std::string q = kohya(kQuery);
  EXPECT_THAT(refusal({{"lora_unet_down_blocks_0_attentions_0_proj_on.lora_down.weight", at::ones({4, 16})}}),
              HasSubstr("is no layer of this UNet; did you mean down_blocks_0_attentions_0_proj_in?"));
  EXPECT_THAT(refusal({{q + ".lora_down.weight", at::ones({4, 16})}}), HasSubstr("has no up half"));
  EXPECT_THAT(
      refusal({{q + ".lora_down.weight", at::ones({4, 17})}, {q + ".lora_up.weight", at::ones({16, 4})}}),
      HasSubstr(".lora_down.weight of [4, 17] instead of [rank,16]"));
  EXPECT_THAT(
      refusal({{q + ".lora_down.weight", at::ones({4, 16})}, {q + ".lora_up.weight", at::ones({16, 3})}}),
      HasSubstr("has rank 4 below and 3 above"));
  EXPECT_THAT(refusal({{q + ".alpha", at::ones({1})}}), HasSubstr("has a factor, but no change"));
  EXPECT_THAT(refusal({{q + ".diff_b", at::ones({16})}}),
              HasSubstr("changes a bias, but the layer has none"));
  EXPECT_THAT(refusal({{kohya(kNorm) + ".lora_down.weight", at::ones({4, 16})},
                       {kohya(kNorm) + ".lora_up.weight", at::ones({16, 4})}}),
              HasSubstr("neither linear nor a convolution"));
  EXPECT_THAT(
      refusal({{kohya(kKey) + ".lokr_w1", at::ones({5, 3})}, {kohya(kKey) + ".lokr_w2", at::ones({8, 4})}}),
      HasSubstr("whose product is not [32,12]"));
  EXPECT_THAT(refusal({}), HasSubstr("it has no tensors"));
}

void file_formats() {
  const testing::TemporaryFolder folder;
  const auto tensors = pair_named(kohya(kQuery) + ".lora_down.weight", kohya(kQuery) + ".lora_up.weight");
  io::write_safetensors(folder / "l.safetensors", tensors);
  for (const char* name : {"l.pt", "l.bin", "l.ckpt"})
    testing::write_lightning_file(folder / name, 1, tensors);
  std::filesystem::create_directories(folder / "peft");
  const std::string q = kQuery;
  io::write_safetensors(
      folder / "peft/adapter_model.safetensors",
      pair_named("base_model.model." + q + ".lora_A.weight", "base_model.model." + q + ".lora_B.weight"));
  testing::write_text(folder / "peft/adapter_config.json",
                      R"({"peft_type": "LORA", "r": 4, "lora_alpha": 2})");
  io::write_safetensors(folder / "meta.safetensors",
                        pair_named("unet." + q + ".lora_A.weight", "unet." + q + ".lora_B.weight"),
                        {{"lora_adapter_metadata", R"({"unet.r": 4, "unet.lora_alpha": 12})"}});
  const std::map<std::string, double> factors = {
      {"l.safetensors", 1}, {"l.pt", 1}, {"l.bin", 1}, {"l.ckpt", 1}, {"peft", 0.5}, {"meta.safetensors", 3}};
  for (const auto& [name, factor] : factors) {
    const auto adapted = Adapter::open(folder / name).onto(unet_source(), AdaptedPart::UNet, 1);
    const std::string weight = std::string(kQuery) + ".weight";
    const auto found =
        adapted->load(weight, at::kFloat, c10::kCPU) - unet_source()->load(weight, at::kFloat, c10::kCPU);
    EXPECT_LT((found - product() * factor).abs().max().item<double>(), 2e-6) << name;
  }
}

TEST(LoraFormats, AreReadOrNamed) {
  testing::run_format_cases(
      "lora",
      {{"kohya: `lora_unet_…lora_down.weight`, `alpha`, diffusers' or ldm's layer names", "summed in",
        kohya_linear},
       {"kohya and diffusers: layers of the text encoder (`lora_te_…`, `text_encoder.…`)", "summed in",
        kohya_text},
       {"diffusers, PEFT, threestudio: `lora_A`/`lora_B`, `lora.down`/`lora.up`, `processor.…_lora`",
        "summed in", diffusers_and_peft},
       {"alpha in PEFT's `adapter_config.json` or diffusers' metadata, `use_rslora`, `alpha_pattern`", "used",
        peft_alpha},
       {"LoCon: convolutions, with `lora_mid` too", "summed in", convolution},
       {"LoHa: `hada_w1_a` …, with `hada_t1`, `hada_t2` too", "summed in", loha},
       {"LoKr: `lokr_w1` …, with `lokr_t2` too", "summed in", lokr},
       {"DoRA: `dora_scale` of rows or columns, PEFT's `lora_magnitude_vector`", "summed in, lengths set",
        dora},
       {"whole differences: `diff`, `diff_b`, `w_norm`, `b_norm`, `lora_B.bias`", "summed in",
        whole_differences},
       {"`.safetensors`, `.pt`, `.bin`, `.ckpt`, PEFT's folder", "read", file_formats},
       {"IA3, OFT, BOFT, GLoRA, VeRA, textual inversion, layers by position", "refused: named", other_kinds},
       {"files for SDXL, SD 3, Flux, language models and others", "refused: the family is named",
        other_families},
       {"a layer that the model lacks, a wrong shape, half of a pair",
        "refused: lists them, with the nearest name", what_does_not_fit}});
}

TEST(Adapter, AnswersAsTheLowRankWeightsThatAreTrainedDo) {
  const c10::NoGradGuard no_grad;
  UNet plain(small_config(), Weights::from(unet_source()));
  Tensors peft, of_kohya;
  for (const LoraSite& site : attention_sites(plain.parameters())) {
    const at::Tensor down = noise({4, site.n_in}), up = noise({site.n_out, 4});
    peft[site.name + ".lora_A.weight"] = of_kohya[kohya(site.name) + ".lora_down.weight"] = down;
    peft[site.name + ".lora_B.weight"] = of_kohya[kohya(site.name) + ".lora_up.weight"] = up;
    of_kohya[kohya(site.name) + ".alpha"] = at::full({}, 4.0);
  }
  const Lora lora = Lora::load(*memory_source("peft", peft), attention_sites(plain.parameters()));
  const auto weights = Weights::from(
      Adapter::from(memory_source("kohya", of_kohya)).onto(unet_source(), AdaptedPart::UNet, 0.7));
  const UNet merged(small_config(), weights);
  weights.check();
  const auto x = noise({2, 4, 8, 8}), t = at::tensor({10, 500}), text = noise({2, 5, 12});
  UNetExtra extra;
  extra.lora = &lora;
  extra.lora_scale = 0.7;
  EXPECT_LT(max_relative_error(merged(x, t, text), plain(x, t, text, extra)), 1e-4);
  EXPECT_GT(max_relative_error(merged(x, t, text), plain(x, t, text)), 1e-3);
}

TEST(Adapter, EveryLayerOfAUNetHasItsNameInBothNamings) {
  const AdapterLayers layers(*unet_source(), AdaptedPart::UNet);
  for (const auto& [ldm, diffusers] : std::map<std::string, std::string>{
           {"input_blocks_0_0", "conv_in"},
           {"time_embed_2", "time_embedding.linear_2"},
           {"input_blocks_2_0_emb_layers_1", "down_blocks.0.resnets.1.time_emb_proj"},
           {"input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"},
           {"input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"},
           {"middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"},
           {"middle_block_1_proj_in", "mid_block.attentions.0.proj_in"},
           {"output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"},
           {"output_blocks_4_1_transformer_blocks_0_ff_net_2",
            "up_blocks.1.attentions.1.transformer_blocks.0.ff.net.2"},
           {"out_2", "conv_out"}})
    EXPECT_EQ(layers.find(ldm), diffusers) << ldm;
  EXPECT_EQ(layers.find("input_blocks_9_0_op"), "");
}

TEST(GoldenAdapter, FilesOfTheFieldAreRead) {
  const std::string shared = std::string(T3D_SOURCE_DIR) + "/../shared", cases = shared + "/cases",
                    model = shared + "/golden/sd1-tiny";  // what these files were made for
  T3D_NEED_FILE(cases + "/75c-lora-kohya-half-te/l.safetensors");
  T3D_NEED_FILE(model + "/unet/diffusion_pytorch_model.safetensors");
  const auto unet = safetensors_source(model + "/unet/diffusion_pytorch_model.safetensors");
  const auto text = safetensors_source(model + "/text_encoder/model.safetensors");
  const Adapter with_text = Adapter::open(cases + "/75c-lora-kohya-half-te/l.safetensors");
  EXPECT_EQ(with_text.n_layers(AdaptedPart::UNet), 128u);
  EXPECT_EQ(with_text.n_layers(AdaptedPart::TextEncoder), 1u);
  EXPECT_THROW(with_text.onto(text, AdaptedPart::TextEncoder, 1),
               UserError);  // made for another text encoder
  for (const char* name : {"75b-lora-kohya-attn", "75c-lora-kohya-half-te"}) {
    const auto adapted =
        Adapter::open(cases + "/" + name + "/l.safetensors").onto(unet, AdaptedPart::UNet, 1);
    const std::string weight = std::string(kQuery) + ".weight";
    EXPECT_FALSE(
        adapted->load(weight, at::kFloat, c10::kCPU).equal(unet->load(weight, at::kFloat, c10::kCPU)));
  }
}

}  // namespace
}  // namespace t3d::diffusion
