#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/read_mesh.h"

/// Texts that pass need no skipping, and what skipping leaves passes; OFF texts pass or explain.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto skipped = t3d::io::check_obj(text, "fuzz.obj", true);
  try {
    t3d::io::check_obj(text, "fuzz.obj", false);
    if (skipped.n_skipped != 0) std::abort();
  } catch (const t3d::UserError&) {
    if (skipped.n_skipped == 0) std::abort();
  }
  if (t3d::io::check_obj(skipped.text, "again.obj", true).n_skipped != 0) std::abort();
  try {
    t3d::io::check_off(text, "fuzz.off");
  } catch (const t3d::UserError&) {
  }
  return 0;
}
