#pragma once

#include <c10/core/Device.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace t3d::guidance {

/// Of a thing that a text describes: how likely it is seen from the side, the front, the back and from
/// overhead, in the order of Direction; the sum is 1.
using DirectionShares = std::array<double, 4>;
using DirectionGuess = std::function<DirectionShares(const std::string& text)>;

/// Asks a BERT model for the masked word of "This image is depicting a [MASK] view of TEXT", among the four.
/// The model stays in memory with the function. Throws what find_language_model and
/// load_masked_language_model do.
DirectionGuess masked_word_guess(const std::string& model, c10::Device device, bool reads_weights = true);

/// Hong et al. 2023, arXiv:2303.15413, section 4.2: a word w of a prompt P that makes direction v less
/// likely,
///
///   q_v(P) / ((q_v(P) + q_v(P without w)) / 2) < 0.95,
///
/// is left out of the text for v. `words` numbers the words that may go, from 0; without it all may. Returns
/// a text for each direction. Throws UserError for a number that the prompt has no word for.
std::vector<std::string> debiased_texts(const std::string& prompt,
                                        const std::optional<std::vector<int>>& words,
                                        const DirectionGuess& guess);

}  // namespace t3d::guidance
