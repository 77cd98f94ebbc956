#include <fstream>

#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/json_file.h"
#include "tests/golden/second_set.h"

namespace t3d::testing {

/// Tokens and pickles have no numbers to compute: fewer prompts, and the same files.
void add_io_cases(SecondSet& set) {
  for (const char* name : {"torch-pickle/expected.safetensors", "torch-pickle/flat.pt",
                           "torch-pickle/nested.ckpt", "torch-pickle/legacy.pt"})
    set.link(name);
  auto pickles = set.recorded_options("torch-pickle/expected.safetensors");
  pickles["files"].erase("torch-pickle/flat.pt");
  set.set_options("torch-pickle/expected.safetensors", pickles);
  auto cases = io::read_json_file(set.source("tokenizer_cases.json"));
  auto kept = nlohmann::json::array();
  for (size_t i = 0; i < cases["prompts"].size(); i += 3) kept.push_back(cases["prompts"][i]);
  cases["prompts"] = kept;
  std::ofstream(set.target("tokenizer_cases.json")) << cases.dump(1);
  set.set_options("tokenizer_cases.json", set.recorded_options("tokenizer_cases.json"));
}

}  // namespace t3d::testing
