#include "t3d/core/type_aliases.h"

#include "t3d/core/text_ends.h"

namespace t3d {
namespace {

constexpr const char* kPrefix = "mvdream-";
/// What both of them, and ScaleDreamer after them, name.
constexpr const char* kNames[] = {"random-multiview-camera-datamodule", "multiview-diffusion-guidance",
                                  "asynchronous-score-distillation-guidance",
                                  "neural-environment-map-background"};

}  // namespace

std::string type_alias(const std::string& name) {
  for (const std::string plain : kNames) {
    if (name == plain) return kPrefix + plain;
    if (name == kPrefix + plain) return plain;
  }
  return "";
}

}  // namespace t3d
