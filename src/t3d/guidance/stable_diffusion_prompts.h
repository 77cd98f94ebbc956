#pragma once

#include <array>
#include <optional>

#include "t3d/guidance/prompt_processor.h"

namespace t3d::guidance {

/// Prompts through the tokenizer and CLIP text encoder of a Stable Diffusion or MVDream model.
class StableDiffusionPrompts : public PromptProcessor {
 public:
  struct Config {
    std::string prompt = "a hamburger";
    std::optional<std::string> prompt_front, prompt_side, prompt_back, prompt_overhead;
    std::string negative_prompt;
    std::string pretrained_model_name_or_path = "runwayml/stable-diffusion-v1-5";
    float overhead_threshold = 60, front_threshold = 45, back_threshold = 45;
    bool view_dependent_prompt_front = false;
    bool use_cache = true, spawn = true;
    std::string cache_dir = ".threestudio_cache/text_embeddings";
    std::string prompt_library_path = "load/prompt_library.json";
    bool use_perp_neg = false;
    std::array<float, 3> perp_neg_f_sb{1, 0.5f, -0.606f}, perp_neg_f_fsb{1, 0.5f, 0.967f},
        perp_neg_f_fs{4, 0.5f, -2.426f}, perp_neg_f_sf{4, 0.5f, -2.426f};
    bool use_prompt_debiasing = false;
    std::string pretrained_model_name_or_path_prompt_debiasing = "bert-base-uncased";
    std::optional<std::vector<int>> prompt_debiasing_mask_ids;

    template <class V>
    void visit(V& v) {
      const auto degrees = config::in_range(0, 180);
      v("prompt", prompt, config::any(), "what to make; lib:word1_word2 picks one from the prompt library");
      v("prompt_front", prompt_front, config::any(),
        "text for views from the front, instead of the usual one");
      v("prompt_side", prompt_side, config::any(), "from the sides");
      v("prompt_back", prompt_back, config::any(), "from the back");
      v("prompt_overhead", prompt_overhead, config::any(), "from above");
      v("negative_prompt", negative_prompt, config::any(), "what to move away from, from every side");
      v("pretrained_model_name_or_path", pretrained_model_name_or_path, config::any(),
        "model whose tokenizer and text encoder are used");
      v("overhead_threshold", overhead_threshold, config::in_range(-90, 180),
        "degrees of elevation above which a view is from above");
      v("front_threshold", front_threshold, degrees,
        "degrees on either side of azimuth 0 that are the front");
      v("back_threshold", back_threshold, degrees, "degrees on either side of azimuth 180 that are the back");
      v("view_dependent_prompt_front", view_dependent_prompt_front, config::any(),
        "\"side view of P\" instead of \"P, side view\"");
      v("use_cache", use_cache, config::any(), "keep embeddings on disk for other runs");
      v("spawn", spawn, config::harmless("prompts are embedded in this process"),
        "embed in a process of its own");
      v("cache_dir", cache_dir, config::any(), "folder of the embeddings");
      v("prompt_library_path", prompt_library_path, config::any(), "file that lib: names are looked up in");
      v("use_perp_neg", use_perp_neg, config::any(),
        "texts of other directions as negative prompts: Armandpour et al. 2023, arXiv:2304.04968");
      v("perp_neg_f_sb", perp_neg_f_sb, config::any(),
        "a, b, c of the weight a exp(-b r) + c of side against back");
      v("perp_neg_f_fsb", perp_neg_f_fsb, config::any(), "of front against side and back");
      v("perp_neg_f_fs", perp_neg_f_fs, config::any(), "of front against side");
      v("perp_neg_f_sf", perp_neg_f_sf, config::any(), "of side against front");
      v("use_prompt_debiasing", use_prompt_debiasing, config::any(),
        "leave words that speak against a direction out of its text: Hong et al. 2023, arXiv:2303.15413");
      v("pretrained_model_name_or_path_prompt_debiasing", pretrained_model_name_or_path_prompt_debiasing,
        config::any(), "BERT model that tells them");
      v("prompt_debiasing_mask_ids", prompt_debiasing_mask_ids, config::any(),
        "numbers of the words that may be left out, from 0; null: all");
    }
  };

  /// Embeds everything, then lets the text encoder go. Throws UserError for prompts that cannot be embedded
  /// and for a model without a text encoder.
  StableDiffusionPrompts(const Config& config, const GuidanceContext& context);

  const PromptEmbeddings& embeddings() const override { return *embeddings_; }
  const std::string& prompt() const override { return prompt_; }
  const std::vector<std::string>& direction_prompts() const override { return direction_prompts_; }

 private:
  std::string prompt_;
  std::vector<std::string> direction_prompts_;
  std::optional<PromptEmbeddings> embeddings_;
};

/// What is asked of the text encoder for the four directions, in the order of Direction: a prompt for each of
/// them with the words that name it.
std::vector<std::string> direction_texts(const std::vector<std::string>& prompts, bool direction_first);

}  // namespace t3d::guidance
