#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/clip_image.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_options.h"

namespace t3d::diffusion {
namespace {

using t3d::testing::GoldenOptions;
using ::testing::HasSubstr;

std::string golden(const std::string& path) {
  return t3d::testing::golden_folder() + "/" + path;
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  EXPECT_EQ(found.sizes(), expected.sizes());
  const auto a = found.to(at::kDouble), b = expected.to(at::kDouble);
  return (a - b).abs().max().item<double>() / std::max(1e-12, b.abs().max().item<double>());
}

void expect_same(const std::string& name, const at::Tensor& found, const at::Tensor& expected,
                 double bar = 1e-4) {
  const double error = relative_error(found, expected);
  t3d::testing::record_golden(name, error);
  EXPECT_LE(error, bar) << name;
}

class GoldenTextEncoder : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTextEncoder, EveryTensorIsTheReferences) {
  const std::string name = GetParam(), file = name + "/cases_text_encoder.safetensors";
  T3D_NEED_CASES(file);
  const io::SafetensorsFile cases(golden(file));
  const GoldenOptions options(file);
  const auto model =
      load_clip_text_model(golden(options.text("pretrained_model_name_or_path")), at::kFloat, c10::kCPU);
  const auto out = model(cases.tensor("input_ids"), /*keep_hidden_states=*/true);
  expect_same(name + "/text.last_hidden_state", out.last_hidden_state, cases.tensor("last_hidden_state"));
  expect_same(name + "/text.pooler_output", out.pooled, cases.tensor("pooler_output"));
  EXPECT_EQ(static_cast<int64_t>(out.hidden_states.size()), options.whole("n_hidden_states"));
  const auto kept = at::tensor(options.wholes("hidden_states_prompts"), at::kLong);
  for (size_t i = 0; i < out.hidden_states.size(); ++i)
    expect_same(name + "/text.hidden_states", out.hidden_states[i].index_select(0, kept),
                cases.tensor("hidden_states." + std::to_string(i)));
  expect_same(name + "/text.short", model(cases.tensor("short.input_ids")).last_hidden_state,
              cases.tensor("short.last_hidden_state"));
}

TEST_P(GoldenTextEncoder, HalfPrecisionsStayNear) {
  const std::string name = GetParam(), file = name + "/cases_text_encoder.safetensors";
  T3D_NEED_CASES(file);
  const io::SafetensorsFile cases(golden(file));
  const GoldenOptions options(file);
  for (const auto dtype : {at::kHalf, at::kBFloat16}) {
    const auto model =
        load_clip_text_model(golden(options.text("pretrained_model_name_or_path")), dtype, c10::kCPU);
    const auto truth = cases.tensor("last_hidden_state");
    const auto found = model(cases.tensor("input_ids")).last_hidden_state.to(at::kFloat);
    const double error = ((found - truth).norm() / truth.norm()).item<double>();
    t3d::testing::record_golden(name + (dtype == at::kHalf ? "/text.half" : "/text.bfloat16") + " (norm)",
                                error);
    EXPECT_LT(error, 2e-2) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTextEncoder, ::testing::Values("sd1-tiny", "sd2-tiny"),
                         [](const auto& info) { return std::string(info.param, 3); });

const char* const kClip = "clip-tiny/cases.safetensors";

TEST(GoldenClip, EveryTensorIsTheReferences) {
  T3D_NEED_CASES(kClip);
  const io::SafetensorsFile cases(golden(kClip));
  const GoldenOptions options(kClip);
  const auto model =
      load_clip_model(golden(options.text("pretrained_model_name_or_path")), at::kFloat, c10::kCPU);
  const auto same = [&](const char* name, const at::Tensor& found) {
    expect_same(std::string("clip-tiny/") + name, found, cases.tensor(name));
  };
  auto pixels = cases.copy("pil.pixel_values").set_requires_grad(true);
  const auto image = model.image(pixels);
  const auto text = model.text_features(cases.tensor("input_ids"));
  const auto text_out = model.text()(cases.tensor("input_ids"));
  same("vision.embeddings", image.embeddings);
  same("vision.last_hidden_state", image.last_hidden_state);
  same("vision.pooler_output", image.pooled);
  same("text.last_hidden_state",
       text_out.last_hidden_state.slice(1, 0, options.whole("text_positions_kept")));
  same("text.pooler_output", text_out.pooled);
  same("image_features", image.features);
  same("image_embeds", unit_rows(image.features));
  same("text_embeds", unit_rows(text));
  const auto logits = model.logits_per_image(image.features, text);
  same("logits_per_image", logits);
  same("probs_per_image", logits.softmax(-1));
  same("clip_score", clip_score(image.features, text) * (options.number("clip_score_factor") / 100));
  auto sum = at::zeros({});
  for (const auto& pair : options.at("grad_pairs"))
    sum = sum + logits[pair.at(0).get<int64_t>()][pair.at(1).get<int64_t>()];
  sum.backward();
  same("grad.pixel_values", pixels.grad());
}

/// Rows y0 .. y1 and columns x0 .. x1 of an image.
io::Image8 cut_out(const io::Image8& image, const std::vector<int64_t>& box) {
  const auto x0 = static_cast<int>(box.at(0)), y0 = static_cast<int>(box.at(1));
  io::Image8 out(static_cast<int>(box.at(2)) - x0, static_cast<int>(box.at(3)) - y0, 3);
  for (int y = 0; y < out.height; ++y) std::copy_n(image.at(x0, y0 + y), 3 * out.width, out.at(0, y));
  return out;
}

TEST(GoldenClip, PreprocessingIsPillowsToTheByte) {
  T3D_NEED_CASES(kClip);
  const io::SafetensorsFile cases(golden(kClip));
  const GoldenOptions options(kClip);
  const auto config = ClipImageConfig::from_file(
      golden(options.text("pretrained_model_name_or_path") + "/preprocessor_config.json"));
  const auto resized = [](const io::Image8& image, const GoldenOptions& to) {
    const auto filter = to.text("resample") == "bilinear" ? ResizeFilter::Bilinear : ResizeFilter::Bicubic;
    const auto out = resize_pillow(image, static_cast<int>(to.whole("width")),
                                   static_cast<int>(to.whole("height")), filter);
    return at::from_blob(const_cast<uint8_t*>(out.pixels.data()), {out.height, out.width, 3}, at::kByte)
        .clone();
  };
  const auto images = cases.copy("image_u8");
  const GoldenOptions crop = options.block("crop_bilinear");
  for (int64_t i = 0; i < images.size(0); ++i) {
    io::Image8 image(static_cast<int>(images.size(2)), static_cast<int>(images.size(1)), 3);
    std::copy_n(images[i].data_ptr<uint8_t>(), image.pixels.size(), image.pixels.begin());
    EXPECT_TRUE(resized(image, options.block("resize")).equal(cases.tensor("pil.resized_u8")[i]));
    expect_same("clip-tiny/pil.pixel_values", clip_pixels(image, config), cases.tensor("pil.pixel_values")[i],
                1e-6);
    EXPECT_TRUE(resized(cut_out(image, crop.wholes("crop_box")), crop)
                    .equal(cases.tensor("pil.crop_bilinear_u8")[i]));
  }
}

TEST(TextEncoder, ExplainsAnotherArchitecture) {
  const auto message = [](const nlohmann::json& config) -> std::string {
    try {
      ClipTextConfig::from_json(config, "config.json");
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({{"model_type", "clip_text_model"}, {"hidden_size", 8}, {"num_attention_heads", 2}}), "");
  EXPECT_THAT(message({{"model_type", "t5"}}), HasSubstr("model_type"));
  EXPECT_THAT(message({{"_class_name", "AutoencoderKL"}}), HasSubstr("so it is no config of a text encoder"));
  EXPECT_THAT(message({{"hidden_size", 7}, {"num_attention_heads", 2}}), HasSubstr("no multiple"));
  EXPECT_THAT(message({{"hidden_size", 8}, {"num_attention_heads", 2}, {"hidden_act", "relu"}}),
              HasSubstr("hidden_act"));
  EXPECT_THAT(message({{"text_config", nlohmann::json::object()}, {"hidden_size", 8}}),
              HasSubstr("CLIPModel"));
  EXPECT_NE(message(nlohmann::json::array()), "");
}

TEST(TextEncoder, RefusesTokensOfAnotherVocabulary) {
  ClipTextConfig config;
  config.tower.n_channels = 8;
  config.tower.n_hidden = 16;
  config.tower.n_layers = 1;
  config.tower.n_heads = 2;
  config.n_words = 10;
  config.n_positions = 4;
  const ClipTextModel model(config, Weights::random(1));
  EXPECT_EQ(model(at::arange(4).view({1, 4})).last_hidden_state.size(2), 8);
  EXPECT_THROW(model(at::full({1, 2}, 10, at::kLong)), UserError);
  EXPECT_THROW(model(at::zeros({1, 5}, at::kLong)), UserError);
}

}  // namespace
}  // namespace t3d::diffusion
