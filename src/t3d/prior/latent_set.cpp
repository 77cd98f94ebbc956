#include "t3d/prior/latent_set.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/progress.h"
#include "t3d/core/rng.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/prior/view_set.h"

namespace t3d::prior {
namespace {

constexpr uint64_t kBatchStream = 0x07e7, kGreyStream = 0x93e7;
constexpr int64_t kEncodedAtOnce = 128;

/// Numbers that the CPU draws for a batch, in one buffer: one copy to the device.
struct Draws {
  explicit Draws(int64_t n_pictures, int64_t n_objects)
      : pictures(n_pictures), all(at::empty({3 * n_pictures + n_objects}, at::kLong)) {}
  int64_t& picture(int64_t i) { return all.data_ptr<int64_t>()[i]; }
  int64_t& view(int64_t i) { return all.data_ptr<int64_t>()[pictures + i]; }
  int64_t& time(int64_t i) { return all.data_ptr<int64_t>()[2 * pictures + i]; }
  int64_t& row(int64_t i) { return all.data_ptr<int64_t>()[3 * pictures + i]; }

  int64_t pictures;
  at::Tensor all;
};

}  // namespace

LatentSet::LatentSet(const std::string& folder, const std::string& tokenizer,
                     const diffusion::Autoencoder& vae, const LatentPlan& plan, c10::Device device)
    : device_(device) {
  const c10::NoGradGuard no_grad;
  const ViewSet views(folder, c10::kCPU, 0, plan.part, plan.n_parts);
  const int64_t n_backgrounds = plan.n_backgrounds;
  if (views.n_views() < plan.n_views)
    throw UserError(cat(folder, ": has ", views.n_views(), " views of an object, expected at least ",
                        plan.n_views, " (n_views)."));
  const int64_t reduction = vae.config().reduction(), side = views.resolution();
  if (side % reduction != 0)
    throw UserError(cat(folder, ": the pictures are ", side, " pixels wide, expected a multiple of ",
                        reduction, " for this autoencoder."));
  table_ = tokenize(tokenizer, views.captions());
  table_.ids = table_.ids.to(device);
  cameras_ = diffusion::unit_cameras(views.camera_to_world()).to(device);

  const int64_t n = views.n_objects() * views.n_views(), h = side / reduction;
  latents_ = at::empty({n_backgrounds, n, vae.config().latent_channels, h, h},
                       at::TensorOptions().dtype(at::kHalf).device(device));
  Rng rng(plan.seed, kGreyStream);
  Progress progress("encode", n_backgrounds * n, plan.control.shows_progress);
  for (int64_t g = 0; g < n_backgrounds; ++g) {
    auto grey = at::empty({views.n_objects(), 1}, at::kFloat);  // one for all views of an object
    for (int64_t i = 0; i < views.n_objects(); ++i) grey.data_ptr<float>()[i] = rng.uniform(kDarkestGrey, 1);
    grey = grey.expand({-1, views.n_views()}).reshape({-1});
    for (int64_t i = 0; i < n; i += kEncodedAtOnce) {
      plan.control.stop.throw_if_requested("nothing was trained yet");
      const int64_t m = std::min(kEncodedAtOnce, n - i);
      const auto index = at::arange(i, i + m, at::kLong);
      at::manual_seed(plan.seed * 1000003 + static_cast<uint64_t>(g * n + i));
      const auto posterior = vae.encode(views.pictures(index, grey.slice(0, i, i + m), device));
      const auto sampled =
          posterior.sample(at::randn_like(posterior.mean)) * vae.config().scaling_factor;  // [m,C,h,h]
      latents_[g].narrow(0, i, m).copy_(sampled);
      progress.update(g * n + i + m);
    }
  }
  progress.finish();
  latents_ = latents_.view(
      {n_backgrounds, views.n_objects(), views.n_views(), latents_.size(2), latents_.size(3), h});
}

LatentBatch LatentSet::draw(const BatchMix& mix, uint64_t seed, int64_t draw) const {
  Rng rng(seed, kBatchStream + (static_cast<uint64_t>(draw) << 16));
  const bool single = rng.uniform() < mix.single_view_share;
  const bool has_camera = !(single && rng.uniform() < mix.camera_dropout);
  const int64_t seen = single ? 1 : mix.n_views, n_objects = mix.n_pictures / seen;
  const int64_t stored = latents_.size(2);
  Draws draws(n_objects * seen, n_objects);
  for (int64_t i = 0; i < n_objects; ++i) {
    const int64_t object = rng.below(static_cast<uint32_t>(this->n_objects()));
    const auto& first = table_.first_row;
    const int64_t row = first[static_cast<size_t>(object)],
                  n_rows = first[static_cast<size_t>(object) + 1] - row;
    const bool empty = n_rows == 0 || rng.uniform() < mix.caption_dropout;
    draws.row(i) = empty ? table_.empty_row() : row + rng.below(static_cast<uint32_t>(n_rows));
    const int64_t background = rng.below(static_cast<uint32_t>(latents_.size(0)));
    const int64_t time = rng.below(static_cast<uint32_t>(mix.n_timesteps));
    const int64_t view = single ? rng.below(static_cast<uint32_t>(stored)) : 0;
    for (int64_t k = 0; k < seen; ++k) {
      const int64_t flat = object * stored + view + k;
      draws.view(i * seen + k) = flat;
      draws.picture(i * seen + k) = background * this->n_objects() * stored + flat;
      draws.time(i * seen + k) = time;
    }
  }
  // From pinned memory the copy is queued; from other memory the host would wait for the device first.
  const auto all = device_.is_cuda() ? draws.all.pin_memory().to(device_, /*non_blocking=*/true) : draws.all;
  const int64_t b = draws.pictures;
  LatentBatch batch;
  batch.latents = latents_.flatten(0, 2).index_select(0, all.narrow(0, 0, b)).to(at::kFloat);
  if (has_camera) batch.camera = cameras_.index_select(0, all.narrow(0, b, b));
  batch.timesteps = all.narrow(0, 2 * b, b);
  batch.text_rows = table_.ids.index_select(0, all.narrow(0, 3 * b, n_objects));
  at::manual_seed(seed * 1000003 + static_cast<uint64_t>(draw));
  batch.noise = at::randn_like(batch.latents);
  return batch;
}

}  // namespace t3d::prior
