#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "t3d/guidance/prompt_processor.h"

namespace t3d::testing {

/// In the place of a prompt, for guidance that does not look at words.
class NoPrompt : public guidance::PromptProcessor {
 public:
  const guidance::PromptEmbeddings& embeddings() const override { return embeddings_; }
  const std::string& prompt() const override { return text_; }
  const std::vector<std::string>& direction_prompts() const override { return texts_; }

 private:
  std::string text_;
  std::vector<std::string> texts_;
  guidance::PromptEmbeddings embeddings_{at::zeros({1, 1}), at::zeros({1, 1}), at::zeros({4, 1, 1})};
};

}  // namespace t3d::testing
