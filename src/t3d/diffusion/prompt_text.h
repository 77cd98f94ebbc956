#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace t3d::diffusion {

/// How a prompt is cleaned before it is cut into words.
enum class PromptCleaning {
  Diffusers,  ///< Stable Diffusion pipelines: canonical composition, spaces, lower case
  OpenClip,  ///< openai/CLIP and open_clip (MVDream): first straight quotes, ligatures and full width undone,
             ///< control characters dropped, HTML entities resolved twice
};

/// Lower case, runs of white space as one space, none at the ends. Throws UserError for invalid UTF-8.
std::u32string clean_prompt(std::string_view text, PromptCleaning cleaning);

/// The words of a cleaned prompt as CLIP cuts them: English contractions, runs of letters, single digits, and
/// runs of anything else that is not white space. The strings in `whole` are words wherever they stand.
std::vector<std::u32string> split_prompt(std::u32string_view cleaned,
                                         const std::vector<std::u32string>& whole);

}  // namespace t3d::diffusion
