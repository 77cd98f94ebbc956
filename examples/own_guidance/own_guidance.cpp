// A guidance of one's own, and the prompt processor that goes with it: the colour that the prompt names,
// which every image is pulled towards. It needs no diffusion model. docs/own_modules.md walks through it.
#include <ATen/ATen.h>
#include <t3d/own_types.h>

namespace {

using namespace t3d;

/// The "embedding" of a prompt is the colour that it names, [1,3]; grey for one that names none.
class ColourWords : public guidance::PromptProcessor {
 public:
  struct Config {
    std::string prompt;
    template <class V>
    void visit(V& v) {
      v("prompt", prompt, config::required(), "a text with red, green or blue in it");
    }
  };
  ColourWords(const Config& config, const guidance::GuidanceContext& context)
      : prompt_(config.prompt), texts_(guidance::kDirections, config.prompt) {
    const char* const names[] = {"red", "green", "blue"};
    auto colour = at::full({1, 3}, 0.5f);
    for (int i = 0; i < 3; ++i)
      if (prompt_.find(names[i]) != std::string::npos) colour = at::full({1, 3}, 0.1f), colour[0][i] = 0.9f;
    colour = colour.to(context.device);
    embeddings_ = std::make_unique<guidance::PromptEmbeddings>(colour, 1 - colour, colour.expand({4, 1, 3}));
  }
  const guidance::PromptEmbeddings& embeddings() const override { return *embeddings_; }
  const std::string& prompt() const override { return prompt_; }
  const std::vector<std::string>& direction_prompts() const override { return texts_; }

 private:
  std::string prompt_;
  std::vector<std::string> texts_;
  std::unique_ptr<guidance::PromptEmbeddings> embeddings_;
};

/// Mean square distance of the images to the prompt's colour: loss_colour, weighted by
/// system.loss.lambda_colour.
class TowardsColour : public guidance::Guidance {
 public:
  struct Config {
    float tolerance = 0.02f;
    template <class V>
    void visit(V& v) {
      v("tolerance", tolerance, config::in_range(0.0, 1.0), "differences below it count as none");
    }
  };
  TowardsColour(const Config& config, const guidance::GuidanceContext&) : config_(config) {}
  static std::vector<std::string> loss_names(const Config&) { return {"colour"}; }

  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings& prompt,
                                      Rng&) override {
    const auto colour = prompt.prompt().reshape({1, 1, 1, 3});
    guidance::GuidanceOutput out;
    out.losses["loss_colour"] =
        ((views.rgb - colour).abs() - config_.tolerance).clamp_min(0).square().mean();  // []
    return out;
  }

 private:
  Config config_;
};

}  // namespace

T3D_OWN_TYPES(types) {
  types.add<ColourWords>("colour-words", "the colour that a prompt names");
  types.add<TowardsColour>("towards-colour", "pulls every image towards the prompt's colour");
}
