#include "t3d/guidance/guidance.h"

#include "t3d/core/error.h"
#include "t3d/guidance/guidance_eval.h"
#include "t3d/guidance/multiview_asd.h"
#include "t3d/guidance/multiview_sds.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_prompts.h"
#include "t3d/guidance/stable_diffusion_sds.h"
#include "t3d/guidance/stable_diffusion_vsd.h"

namespace t3d::guidance {

GuidancePictures Guidance::evaluate(const Views&, const PromptEmbeddings&, Rng&) const {
  throw UserError(
      "system.freq.guidance_eval: this guidance has no pictures to show. Set it to 0, or use another "
      "guidance_type.");
}

void Guidance::collect(const std::string&, NamedTensors&, NamedTensors&) const {}

const GuidanceRegistry& guidances() {
  static const GuidanceRegistry table(
      "guidance", "how a diffusion model's opinion of the pictures becomes a gradient",
      {GuidanceRegistry::entry<StableDiffusionSds>(
           "stable-diffusion-guidance", "score distillation (SDS) and score Jacobian chaining (SJC)"),
       GuidanceRegistry::entry<StableDiffusionVsd>(
           "stable-diffusion-vsd-guidance", "variational score distillation, for any number of particles"),
       GuidanceRegistry::entry<StableDiffusionAsd>(
           "stable-diffusion-asynchronous-score-distillation-guidance",
           "asynchronous score distillation; with plus_ratio 0 classifier score distillation"),
       GuidanceRegistry::entry<MultiviewSds>("multiview-diffusion-guidance",
                                             "score distillation by an MVDream-like model"),
       GuidanceRegistry::entry<MultiviewAsd>("mvdream-asynchronous-score-distillation-guidance",
                                             "asynchronous score distillation by an MVDream-like model")});
  return table;
}

const PromptProcessorRegistry& prompt_processors() {
  static const PromptProcessorRegistry table(
      "prompt-processor", "how a prompt becomes embeddings",
      {PromptProcessorRegistry::entry<StableDiffusionPrompts>("stable-diffusion-prompt-processor",
                                                              "CLIP embeddings of a prompt and its views")});
  return table;
}

}  // namespace t3d::guidance
