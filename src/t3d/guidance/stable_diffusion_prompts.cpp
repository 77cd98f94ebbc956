#include "t3d/guidance/stable_diffusion_prompts.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/guidance/embedding_cache.h"
#include "t3d/guidance/prompt_library.h"

namespace t3d::guidance {
namespace {

PerpNegCurve curve(const std::array<float, 3>& abc) {
  return {abc[0], abc[1], abc[2]};
}

}  // namespace

std::vector<std::string> direction_texts(const std::string& prompt, bool direction_first) {
  if (direction_first)
    return {"side view of " + prompt, "front view of " + prompt, "backside view of " + prompt,
            "overhead view of " + prompt};
  return {prompt + ", side view", prompt + ", front view", prompt + ", back view",
          prompt + ", overhead view"};
}

StableDiffusionPrompts::StableDiffusionPrompts(const Config& c, const GuidanceContext& context)
    : prompt_(resolve_prompt(c.prompt, c.prompt_library_path)),
      direction_prompts_(direction_texts(prompt_, c.view_dependent_prompt_front)) {
  if (c.use_prompt_debiasing)
    throw UserError(
        "prompt_processor.use_prompt_debiasing: needs a BERT masked language model, which is not "
        "built here. Set it to false, or give prompt_front, prompt_side, prompt_back and "
        "prompt_overhead by hand.");
  const std::optional<std::string>* by_hand[] = {&c.prompt_side, &c.prompt_front, &c.prompt_back,
                                                 &c.prompt_overhead};
  for (size_t i = 0; i < direction_prompts_.size(); ++i)
    if (by_hand[i]->has_value() && !(*by_hand[i])->empty()) direction_prompts_[i] = **by_hand[i];

  std::vector<std::string> texts{prompt_, c.negative_prompt};
  texts.insert(texts.end(), direction_prompts_.begin(), direction_prompts_.end());
  const std::string path = diffusion::find_model(c.pretrained_model_name_or_path);
  const EmbeddingCache cache(c.use_cache ? c.cache_dir : "", path);
  const auto rows = cache.get(texts, [&](const std::vector<std::string>& missing) {
    return diffusion::embed_prompts(path, missing, at::kFloat, context.device).to(at::kCPU);
  });
  const auto all = at::stack(rows).to(context.device);  // [6,T,C]
  embeddings_.emplace(all[0], all[1], all.slice(0, 2),
                      DirectionRules{c.overhead_threshold, c.front_threshold, c.back_threshold},
                      c.use_perp_neg,
                      PerpNegRules{curve(c.perp_neg_f_sb), curve(c.perp_neg_f_fsb), curve(c.perp_neg_f_fs),
                                   curve(c.perp_neg_f_sf)});
}

}  // namespace t3d::guidance
