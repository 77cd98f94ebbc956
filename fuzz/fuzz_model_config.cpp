#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/clip_image.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/masked_language_model.h"
#include "t3d/diffusion/noise_schedule.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/unet_config.h"

using namespace t3d::diffusion;

namespace {

/// What a config is read to, is written and read again as the same.
void read_unet(const nlohmann::json& config) {
  const auto once = unet_config_json(unet_config_from_json(config, "fuzz"));
  if (unet_config_json(unet_config_from_json(once, "again")) != once) std::abort();
}

void read_autoencoder(const nlohmann::json& config) {
  const auto once = autoencoder_config_json(autoencoder_config_from_json(config, "fuzz"));
  if (autoencoder_config_json(autoencoder_config_from_json(once, "again")) != once) std::abort();
}

/// A sampler that can be made can also walk.
void read_scheduler(const nlohmann::json& config) {
  const auto made = SchedulerConfig::from_json(config, "fuzz");
  const auto sampler = make_scheduler(made);
  sampler->start(2);
  if (sampler->timesteps().empty()) std::abort();
}

}  // namespace

/// The first byte says which of a model's configs the JSON text behind it is.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    const auto config = t3d::parse_json({reinterpret_cast<const char*>(data) + 1, size - 1}, "fuzz.json");
    switch (data[0]) {
      case 'u':
        read_unet(config);
        break;
      case 'l':
        unet_config_from_ldm(config, "fuzz");
        break;
      case 'v':
        read_autoencoder(config);
        break;
      case 's':
        read_scheduler(config);
        break;
      case 't':
        ClipTextConfig::from_json(config, "fuzz");
        break;
      case 'c':
        ClipConfig::from_json(config, "fuzz");
        break;
      case 'i':
        ClipImageConfig::from_json(config, "fuzz");
        break;
      default:
        MaskedLanguageModelConfig::from_json(config, "fuzz");
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
