#include "t3d/guidance/model.h"

#include <nlohmann/json.hpp>

#include "t3d/core/text.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/shape_source.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/diffusion/weights.h"

namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;

at::ScalarType weight_type(const ModelRequest& request) {
  if (request.device.is_cuda()) return request.half_precision ? at::kHalf : at::kFloat;
  return request.cpu_bfloat16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace

std::shared_ptr<const Model> open_model(const ModelRequest& request) {
  const std::string path = ds::find_model(request.name);
  const auto config_of = [&](const char* part) { return ds::part_config(path, part); };
  const auto place = [&](const char* part) { return cat(path, ": ", part, " config"); };
  const auto dtype = weight_type(request);
  auto model = std::make_shared<Model>();
  model->name = path;
  model->device = request.device;

  const auto scheduler = ds::SchedulerConfig::for_training(config_of("scheduler"), place("scheduler"));
  model->schedule = ds::NoiseSchedule(scheduler.schedule).to(request.device);

  auto unet_config = ds::unet_config_from_json(config_of("unet"), place("unet"));
  // No parameters and no effect unless labels are given: variational score distillation adds its cameras so.
  if (unet_config.class_embedding == ds::ClassEmbedding::None)
    unet_config.class_embedding = ds::ClassEmbedding::Identity;
  const bool reads = request.reads_weights;
  const auto unet_weights =
      ds::Weights::from(ds::source_or_shapes(reads, ds::open_part(path, "unet")), dtype, request.device);
  const auto unet = std::make_shared<ds::UNet>(unet_config, unet_weights);
  unet_weights.check();
  if (reads) unet->pack();
  model->unet = unet;
  model->denoiser = std::make_shared<ds::UNetDenoiser>(unet, scheduler.prediction);
  model->latent_height = model->latent_width = unet_config.sample_size;
  model->takes_cameras = unet_config.camera_inputs > 0;
  if (!request.with_vae) return model;

  const auto vae_config = ds::autoencoder_config_from_json(config_of("vae"), place("vae"));
  const auto vae_weights =
      ds::Weights::from(ds::source_or_shapes(reads, ds::open_part(path, "vae")), dtype, request.device);
  const auto vae = std::make_shared<ds::Autoencoder>(vae_config, vae_weights);
  vae_weights.check();
  if (reads) vae->pack();
  model->vae = vae;
  model->reduction = vae_config.reduction();
  return model;
}

}  // namespace t3d::guidance
