#include "t3d/guidance/stable_diffusion_prompts.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/guidance/embedding_cache.h"
#include "t3d/guidance/prompt_debiasing.h"
#include "t3d/guidance/prompt_library.h"

namespace t3d::guidance {
namespace {

PerpNegCurve curve(const std::array<float, 3>& abc) {
  return {abc[0], abc[1], abc[2]};
}

/// The prompt four times, or without what speaks against a direction.
std::vector<std::string> prompts_by_direction(const StableDiffusionPrompts::Config& c,
                                              const std::string& prompt, const GuidanceContext& context) {
  if (!c.use_prompt_debiasing) return std::vector<std::string>(4, prompt);
  for (const auto* by_hand : {&c.prompt_side, &c.prompt_back, &c.prompt_overhead})
    if (by_hand->has_value())
      throw UserError(
          "prompt_processor: use_prompt_debiasing makes the texts of the directions, and prompt_side, "
          "prompt_back or prompt_overhead gives them by hand. Leave one of the two out.");
  const auto guess = masked_word_guess(c.pretrained_model_name_or_path_prompt_debiasing, context.device,
                                       context.reads_weights);
  auto texts = debiased_texts(prompt, c.prompt_debiasing_mask_ids, guess);
  for (size_t v = 0; v < texts.size(); ++v)
    if (texts[v] != prompt) log::info(cat("debiased prompt, ", kDirectionNames[v], ": \"", texts[v], "\""));
  return texts;
}

}  // namespace

std::vector<std::string> direction_texts(const std::vector<std::string>& prompts, bool direction_first) {
  T3D_CHECK(prompts.size() == 4, prompts.size(), " prompts");
  if (direction_first)
    return {"side view of " + prompts[0], "front view of " + prompts[1], "backside view of " + prompts[2],
            "overhead view of " + prompts[3]};
  return {prompts[0] + ", side view", prompts[1] + ", front view", prompts[2] + ", back view",
          prompts[3] + ", overhead view"};
}

StableDiffusionPrompts::StableDiffusionPrompts(const Config& c, const GuidanceContext& context)
    : prompt_(resolve_prompt(c.prompt, c.prompt_library_path)),
      direction_prompts_(
          direction_texts(prompts_by_direction(c, prompt_, context), c.view_dependent_prompt_front)) {
  const std::optional<std::string>* by_hand[] = {&c.prompt_side, &c.prompt_front, &c.prompt_back,
                                                 &c.prompt_overhead};
  for (size_t i = 0; i < direction_prompts_.size(); ++i)
    if (by_hand[i]->has_value() && !(*by_hand[i])->empty()) direction_prompts_[i] = **by_hand[i];

  std::vector<std::string> texts{prompt_, c.negative_prompt};
  texts.insert(texts.end(), direction_prompts_.begin(), direction_prompts_.end());
  const std::string path = diffusion::find_model(c.pretrained_model_name_or_path);
  const EmbeddingCache cache(c.use_cache ? c.cache_dir : "", path, /*writes=*/context.reads_weights);
  const auto rows = cache.get(texts, [&](const std::vector<std::string>& missing) {
    return diffusion::embed_prompts(path, missing, at::kFloat, context.device, {}, context.reads_weights)
        .to(at::kCPU);
  });
  const auto all = at::stack(rows).to(context.device);  // [6,T,C]
  embeddings_.emplace(all[0], all[1], all.slice(0, 2),
                      DirectionRules{c.overhead_threshold, c.front_threshold, c.back_threshold},
                      c.use_perp_neg,
                      PerpNegRules{curve(c.perp_neg_f_sb), curve(c.perp_neg_f_fsb), curve(c.perp_neg_f_fs),
                                   curve(c.perp_neg_f_sf)});
}

}  // namespace t3d::guidance
