#pragma once

#include <memory>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/guidance/guidance.h"

namespace t3d::guidance {

/// From a prompt to its embeddings: threestudio's system.prompt_processor.
class PromptProcessor {
 public:
  virtual ~PromptProcessor() = default;

  /// Made in the constructor; the text encoder is gone by then.
  virtual const PromptEmbeddings& embeddings() const = 0;

  /// The prompt after a library name has been looked up.
  virtual const std::string& prompt() const = 0;
  /// The texts of the four directions, in the order of Direction.
  virtual const std::vector<std::string>& direction_prompts() const = 0;
};

/// The table of prompt processors by `system.prompt_processor_type`.
using PromptProcessorRegistry = Registry<PromptProcessor, const GuidanceContext&>;
PromptProcessorRegistry& prompt_processors();

}  // namespace t3d::guidance
