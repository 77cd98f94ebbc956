#include <cstdio>
#include <exception>

#include "tests/golden/second_set.h"

/// make_second_set SOURCE TARGET: see second_set.h. SOURCE is the recorded set, whose small models are used.
int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_second_set RECORDED_SET NEW_FOLDER\n");
    return 2;
  }
  try {
    at::manual_seed(20);
    t3d::testing::SecondSet set(argv[1], argv[2]);
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
