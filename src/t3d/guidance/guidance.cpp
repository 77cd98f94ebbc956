#include "t3d/guidance/guidance.h"

#include "t3d/guidance/prompt_processor.h"

namespace t3d::guidance {

void Guidance::collect(const std::string&, NamedTensors&, NamedTensors&) const {}

const GuidanceRegistry& guidances() {
  static const GuidanceRegistry table("guidance", "how a prompt becomes a gradient", {});
  return table;
}

const PromptProcessorRegistry& prompt_processors() {
  static const PromptProcessorRegistry table("prompt-processor", "how a prompt becomes embeddings", {});
  return table;
}

}  // namespace t3d::guidance
