#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "t3d/core/error.h"
#include "t3d/guidance/embedding_cache.h"
#include "t3d/guidance/prompt_library.h"
#include "t3d/guidance/stable_diffusion_prompts.h"
#include "tests/support/golden_guidance.h"
#include "tests/support/temporary_folder.h"

namespace t3d::guidance {
namespace {

using testing::golden_path;
using testing::GoldenCases;
using testing::max_relative_error;

constexpr const char* kCorgi = "a DSLR photo of a corgi puppy";

StableDiffusionPrompts::Config corgi_config() {
  StableDiffusionPrompts::Config config;
  config.prompt = kCorgi;
  config.negative_prompt = "ugly, blurry, low quality";
  config.pretrained_model_name_or_path = golden_path("sd1-tiny");
  config.use_cache = false;
  return config;
}

/// Embeddings in which text k is the number k everywhere, so that sums of them can be read off.
PromptEmbeddings numbered(DirectionRules rules = {}) {
  const auto of = [](double v) { return at::full({1, 1}, v, at::kFloat); };
  return {of(-1), of(100), at::stack({of(0), of(1), of(2), of(3)}), rules, true};
}

TEST(Directions, FollowTheReferenceNumbers) {
  const std::pair<float, Direction> known[] = {{0.f, Direction::Front},   {44.9f, Direction::Front},
                                               {45.f, Direction::Side},   {135.f, Direction::Side},
                                               {135.1f, Direction::Back}, {-180.f, Direction::Back},
                                               {360.f, Direction::Front}};
  for (const auto& [azimuth, direction] : known)
    EXPECT_EQ(direction_of(0, azimuth, {}), direction) << azimuth;
  EXPECT_EQ(direction_of(60, 0, {}), Direction::Front);
  EXPECT_EQ(direction_of(60.1f, 0, {}), Direction::Overhead);
}

TEST(PromptEmbeddings, PutThePromptBeforeTheNegativePrompt) {
  const ViewAngles views{at::tensor({0.f, 0.f, 70.f}), at::tensor({0.f, 180.f, 0.f}), {}};
  const auto rows = numbered().text(views, true).flatten();
  EXPECT_TRUE(at::equal(rows, at::tensor({1.f, 2.f, 3.f, 100.f, 100.f, 100.f})));
  EXPECT_TRUE(at::equal(numbered().text(views, false).flatten(),
                        at::tensor({-1.f, -1.f, -1.f, 100.f, 100.f, 100.f})));
}

TEST(PerpNeg, HasTheReferenceWeightsByAzimuth) {
  const double known[][3] = {{0, -0.00012, -1.57400},  {30, -0.44013, -0.95993}, {45, -0.68920, -0.68920},
                             {60, -0.95993, -0.44013}, {90, -0.00053, -1.57353}, {120, -0.11053, -1.68353},
                             {180, -0.39400, -1.96700}};
  for (const auto& [azimuth, first, second] : known) {
    const ViewAngles views{at::zeros({1}), at::full({1}, azimuth, at::kFloat), {}};
    const auto weights = numbered().perp_neg_text(views).weights;
    EXPECT_NEAR(weights[0][0].item<double>(), first, 2e-5) << azimuth;
    EXPECT_NEAR(weights[0][1].item<double>(), second, 2e-5) << azimuth;
  }
}

TEST(PromptLibrary, FindsTheOnlyPromptWithAllWords) {
  const std::vector<std::string> library{"A DSLR photo of a cat", "a dslr photo of a dog", "a cat on a hat"};
  EXPECT_EQ(find_prompt("dslr_Cat", library, "the file"), library[0]);
  EXPECT_THROW(find_prompt("cat", library, "the file"), UserError);
  EXPECT_THROW(find_prompt("mouse", library, "the file"), UserError);
  EXPECT_THROW(find_prompt("", library, "the file"), UserError);
  EXPECT_EQ(resolve_prompt("a cat: lib", "nowhere.json"), "a cat: lib");
  EXPECT_THROW(resolve_prompt("lib:cat", "nowhere.json"), SystemError);
}

TEST(PromptLibrary, ReadsBothLayouts) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.string() + "/library.json";
  std::ofstream(path) << R"({"dreamfusion": ["a b", "c d"], "train": ["other"]})";
  EXPECT_EQ(read_prompt_library(path), (std::vector<std::string>{"a b", "c d"}));
  std::ofstream(path) << R"({"train": ["x", "x", "y"], "val": ["y", "z"]})";
  EXPECT_EQ(read_prompt_library(path), (std::vector<std::string>{"x", "y", "z"}));
  std::ofstream(path) << R"({"train": [1]})";
  EXPECT_THROW(read_prompt_library(path), UserError);
  std::ofstream(path) << R"(["x"])";
  EXPECT_THROW(read_prompt_library(path), UserError);
}

TEST(EmbeddingCache, AnswersASecondRunFromDiskAndRepairsBrokenFiles) {
  T3D_NEED_FILE(golden_path("sd1-tiny/unet/config.json"));
  const testing::TemporaryFolder folder;
  const EmbeddingCache cache(folder.string() + "/kept", golden_path("sd1-tiny"));
  int calls = 0;
  const auto embed = [&](const std::vector<std::string>& texts) {
    ++calls;
    return at::arange(static_cast<int64_t>(texts.size()))
        .to(at::kFloat)
        .reshape({-1, 1, 1})
        .expand({-1, 2, 3});
  };
  const std::vector<std::string> texts{"one \"quoted\" / slashed", "two \xF0\x9F\x90\xB6",
                                       "one \"quoted\" / slashed"};
  const auto first = cache.get(texts, embed);
  EXPECT_TRUE(at::equal(first[0], first[2]));
  const auto second = cache.get(texts, embed);
  EXPECT_EQ(calls, 1);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i]));
  std::ofstream(cache.file_of(texts[0])) << "cut short";
  EXPECT_TRUE(at::equal(cache.get({texts[0]}, embed)[0], first[0]));
  EXPECT_EQ(calls, 2);
  cache.get(texts, embed);
  EXPECT_EQ(calls, 2);
}

TEST(StableDiffusionPrompts, TakeTextsByHand) {
  T3D_NEED_FILE(golden_path("sd1-tiny/unet/config.json"));
  auto config = corgi_config();
  config.prompt_back = "the tail";
  config.view_dependent_prompt_front = true;
  const StableDiffusionPrompts prompts(config, {});
  EXPECT_EQ(prompts.direction_prompts(),
            (std::vector<std::string>{cat("side view of ", kCorgi), cat("front view of ", kCorgi), "the tail",
                                      cat("overhead view of ", kCorgi)}));
}

TEST(StableDiffusionPrompts, SurviveOddPrompts) {
  T3D_NEED_FILE(golden_path("sd1-tiny/unet/config.json"));
  auto config = corgi_config();
  for (const std::string& prompt :
       {std::string(), std::string("\"quotes\" and /slashes\\"),
        std::string("\xF0\x9F\x90\xB6 \xF0\x9F\x8D\x95"), std::string(400, 'w')}) {
    config.prompt = prompt;
    const StableDiffusionPrompts prompts(config, {});
    EXPECT_TRUE(at::isfinite(prompts.embeddings().prompt()).all().item<bool>()) << prompt;
  }
  config.prompt = "\xff\xfe";
  EXPECT_THROW(StableDiffusionPrompts(config, {}), UserError);
}

TEST(GoldenPrompts, EmbeddingsAndPerpNegEqualTheReference) {
  T3D_NEED_CASES("sds/prompts.safetensors");
  const GoldenCases cases("sds/prompts.safetensors");
  const testing::GoldenOptions options("sds/prompts.safetensors");
  auto config = testing::config_of<StableDiffusionPrompts::Config>(options);
  config.pretrained_model_name_or_path = golden_path(options.text("pretrained_model_name_or_path"));
  const StableDiffusionPrompts prompts(config, {});
  EXPECT_EQ(prompts.direction_prompts(), options.at("prompts_vd").get<std::vector<std::string>>());
  const auto& e = prompts.embeddings();
  const double bound = options.text("embedding_dtype") == "float16" ? 2e-3 : 1e-4;
  EXPECT_LT(max_relative_error(e.prompt(), cases.tensor("text_embeddings")), bound);
  EXPECT_LT(max_relative_error(e.negative(), cases.tensor("uncond_text_embeddings")), bound);
  EXPECT_LT(max_relative_error(e.by_direction(), cases.tensor("text_embeddings_vd")), bound);

  const ViewAngles views{cases.tensor("elevation"), cases.tensor("azimuth"), {}};
  const int64_t n = views.size();
  for (int64_t i = 0; i < n; ++i)
    EXPECT_EQ(static_cast<int64_t>(
                  e.direction(views.elevation_deg[i].item<float>(), views.azimuth_deg[i].item<float>())),
              cases.tensor("direction_idx")[i].item<int64_t>())
        << i;
  // One-hot texts: the positive embedding shows its mixture, the negatives show which text they are.
  const auto ours = [&] {
    const auto unit = at::eye(4).reshape({4, 1, 4});
    return PromptEmbeddings(at::zeros({1, 4}), at::full({1, 4}, -1.0f), unit, testing::directions_of(options),
                            true, testing::perp_neg_of(options))
        .perp_neg_text(views);
  }();
  EXPECT_LT(max_relative_error(ours.positive.reshape({n, 4}), cases.tensor("perp.pos_mix")), 1e-5);
  EXPECT_LT(max_relative_error(ours.weights, cases.tensor("perp.neg_weights")), 1e-5);
  const auto index = cases.tensor("perp.neg_idx");
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < 2; ++k) {
      const auto text = ours.opposing[i][k].flatten();
      const int64_t expected = index[i][k].item<int64_t>();
      if (expected < 4)
        EXPECT_EQ(text.argmax().item<int64_t>(), expected) << i;
      else
        EXPECT_EQ(text[0].item<float>(), -1) << i;
    }
}

}  // namespace
}  // namespace t3d::guidance
