#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>

#include "tests/golden/own_set.h"

/// make_own_set FOLDER: see own_set.h. The same bytes each time on one machine.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_own_set FOLDER\n");
    return 2;
  }
  try {
    at::set_num_threads(1);  // sums in one order
    at::manual_seed(20);
    t3d::testing::OwnSet set(argv[1]);
    write_models(set);
    write_single_file_model(set);
    add_tokenizer_cases(set);
    add_io_cases(set);
    add_ops_cases(set);
    add_diffusion_cases(set);
    add_guidance_cases(set);
    set.finish();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
