#pragma once

#include <string>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/toybox/caption.h"

namespace t3d::cli {

/// The prompt as the shipped prior knows it, for commands that take another model by --model. Words that the
/// prior never learned would give something that has nothing to do with them: UserError that names them.
inline toybox::Description parse_prompt(const std::string& prompt) {
  try {
    return toybox::parse_caption(prompt);
  } catch (const UserError& failure) {
    throw UserError(cat(failure.what(), " For other words pass --model with Stable Diffusion or MVDream weights."));
  }
}

}  // namespace t3d::cli
