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

void Guidance::update_step(int64_t) {}

at::Tensor Guidance::decode(const at::Tensor&) const {
  throw UserError(
      "this guidance decodes no latents, which the system renders. Use a system that renders colours, such as "
      "dreamfusion-system.");
}

const Model& Guidance::model() const {
  T3D_CHECK(false, "this guidance has no diffusion model");
}

void Guidance::collect(const std::string&, NamedTensors&, NamedTensors&) const {}

GuidanceRegistry& guidances() {
  static GuidanceRegistry table(
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

std::vector<std::string> loss_names(const std::string& type, const config::Node& block) {
  const std::string name = guidances().own_name(type);
  if (const std::string* file = guidances().file_of(name); file != nullptr && !file->empty())
    return guidances().loss_names(name, block, "system.guidance");  // a user's own
  const config::Node* images = block.find("use_img_loss");
  const bool has_images = images != nullptr && config::to_bool(*images, "system.guidance.use_img_loss");
  if (name == "stable-diffusion-guidance" || name == "multiview-diffusion-guidance")
    return has_images ? std::vector<std::string>{"sds", "sds_img"} : std::vector<std::string>{"sds"};
  if (name == "stable-diffusion-vsd-guidance")
    return has_images ? std::vector<std::string>{"vsd", "vsd_img", "lora"}
                      : std::vector<std::string>{"vsd", "lora"};
  return name.empty() ? std::vector<std::string>{} : std::vector<std::string>{"asd"};
}

PromptProcessorRegistry& prompt_processors() {
  static PromptProcessorRegistry table(
      "prompt-processor", "how a prompt becomes embeddings",
      {PromptProcessorRegistry::entry<StableDiffusionPrompts>("stable-diffusion-prompt-processor",
                                                              "CLIP embeddings of a prompt and its views")});
  return table;
}

}  // namespace t3d::guidance
