#include "t3d/core/planned_types.h"

#include <algorithm>
#include <iterator>

namespace t3d {
namespace {

constexpr const char* kTypes[] = {"eff-random-camera-datamodule",
                                  "single-image-datamodule",
                                  "multiview-camera-datamodule",
                                  "co3d-datamodule",
                                  "multiprompt-camera-datamodule",
                                  "multiprompt-multiview-camera-datamodule",
                                  "Hyper-iNGP",
                                  "3DConv-net",
                                  "Triplane-transformer-sdf",
                                  "neural-radiance-material",
                                  "multiprompt-neural-hashgrid-environment-map-background",
                                  "gan-volume-renderer",
                                  "generative-space-volsdf-volume-renderer",
                                  "stable-diffusion-unified-guidance",
                                  "stable-diffusion-sdi-guidance",
                                  "deep-floyd-guidance",
                                  "stable-diffusion-instructpix2pix-guidance",
                                  "stable-diffusion-controlnet-guidance",
                                  "zero123-guidance",
                                  "stable-zero123-guidance",
                                  "zero123-unified-guidance",
                                  "deep-floyd-prompt-processor",
                                  "dummy-prompt-processor",
                                  "stable-diffusion-multi-prompt-processor",
                                  "efficient-dreamfusion-system",
                                  "sdi-system",
                                  "zero123-system",
                                  "zero123-simple-system",
                                  "magic123-system",
                                  "image-condition-dreamfusion-system",
                                  "instructnerf2nerf-system",
                                  "control4d-multiview-system",
                                  "multiprompt-radience-field-generator-system"};

}  // namespace

bool is_planned_type(const std::string& type) {
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

}  // namespace t3d
