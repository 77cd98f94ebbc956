#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/unicode.h"

namespace {

using t3d::diffusion::ClipTokenizer;

/// The 512 byte tokens and the two special ones: every text has ids.
nlohmann::json smallest_vocabulary() {
  nlohmann::json out;
  for (const char* end : {"", "</w>"})
    for (int b = 0, other = 256; b < 256; ++b) {
      const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      std::string token;
      t3d::diffusion::append_utf8(token, static_cast<char32_t>(printable ? b : other++));
      out[token + end] = static_cast<int>(out.size());
    }
  out["th"] = static_cast<int>(out.size());
  out["the</w>"] = static_cast<int>(out.size());
  out["<|startoftext|>"] = static_cast<int>(out.size());
  out["<|endoftext|>"] = static_cast<int>(out.size());
  return out;
}

void encode(ClipTokenizer tokenizer, const std::string& text) {
  for (const auto cleaning :
       {t3d::diffusion::PromptCleaning::Diffusers, t3d::diffusion::PromptCleaning::OpenClip}) {
    tokenizer.set_cleaning(cleaning);
    try {
      const auto ids = tokenizer.encode(text);
      const auto padded = tokenizer.encode_padded(text);
      if (padded.ids.size() != 77 || padded.cut.empty() != (ids.size() <= 77)) std::abort();
      tokenizer.decode(ids);
    } catch (const t3d::UserError&) {
    }
  }
}

}  // namespace

/// The first byte says what the rest is: a prompt, merges, or a vocabulary.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const nlohmann::json vocabulary = smallest_vocabulary();
  static const ClipTokenizer tokenizer(vocabulary, "#version: 0.2\nt h\nth e</w>\n", "fuzz");
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == 'm')
      encode(ClipTokenizer(vocabulary, text, "fuzz"), "the thing");
    else if (data[0] == 'v')
      encode(ClipTokenizer(t3d::parse_json(text, "fuzz"), "", "fuzz"), "the thing");
    else
      encode(tokenizer, text);
  } catch (const t3d::UserError&) {
  }
  return 0;
}
