#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/adam_cuda.h"
#include "t3d/ops/composite_ray.h"
#include "t3d/ops/cuda_check.h"
#include "t3d/ops/hash_grid_cuda.h"
#include "t3d/ops/ngp_network_cuda.h"
#include "t3d/ops/occupancy.h"
#include "t3d/ops/occupancy_cuda.h"
#include "t3d/train/ngp_rays_cuda.h"
#include "t3d/train/ngp_start.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {
namespace {

using ops::DeviceBuffer;

constexpr uint32_t kMaxRays = 1 << 18;
constexpr uint32_t kRenderRays = 1 << 14;
constexpr int kAdaptEvery = 16;

ops::cuda::HashGridTable device_table(const ops::HashGridLayout& layout) {
  ops::cuda::HashGridTable table{};
  table.n_levels = layout.config.n_levels;
  table.n_features = layout.config.n_features;
  table.smoothstep = layout.config.interpolation == ops::Interpolation::Smoothstep;
  for (size_t l = 0; l < layout.levels.size(); ++l) {
    table.scale[l] = layout.levels[l].scale;
    table.resolution[l] = layout.levels[l].resolution;
    table.n_entries[l] = layout.levels[l].n_entries;
    table.first_entry[l] = layout.levels[l].first_entry;
    table.is_dense[l] = layout.levels[l].is_dense;
  }
  return table;
}

cuda::DeviceCamera device_camera(const Camera& camera, uint64_t first_pixel) {
  cuda::DeviceCamera c{};
  const Lens& lens = camera.lens;
  c.fx = lens.fx, c.fy = lens.fy, c.cx = lens.cx, c.cy = lens.cy;
  c.k1 = lens.k1, c.k2 = lens.k2, c.k3 = lens.k3, c.p1 = lens.p1, c.p2 = lens.p2;
  c.k4 = lens.k4, c.d1 = lens.d1, c.d2 = lens.d2, c.d3 = lens.d3;
  c.is_fisheye = lens.is_fisheye, c.has_distortion = lens.has_distortion();
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) c.pose[4 * i + j] = camera.camera_to_world(i, j);
  c.width = lens.width, c.height = lens.height;
  c.first_pixel = first_pixel;
  return c;
}

/// The view's pixels with those that do not count as cuda::kMaskedPixel, and no other pixel equal to it.
const std::vector<uint8_t>& mark_masked(const data::View& view, std::vector<uint8_t>& scratch) {
  const auto is_marked = [](const uint8_t* p) {
    uint32_t value;
    std::memcpy(&value, p, sizeof value);
    return value == cuda::kMaskedPixel;
  };
  const std::vector<uint8_t>& rgba = view.rgba.pixels;
  bool is_clean = view.mask.empty();
  for (size_t i = 0; is_clean && i < rgba.size(); i += 4) is_clean = !is_marked(rgba.data() + i);
  if (is_clean) return rgba;
  scratch = rgba;
  for (size_t i = 0; i < scratch.size() / 4; ++i) {
    uint8_t* p = scratch.data() + 4 * i;
    const bool counts = view.mask.empty() || view.mask.pixels[i] != 0;
    const uint32_t value = counts ? 0 : cuda::kMaskedPixel;
    if (!counts || is_marked(p)) std::memcpy(p, &value, sizeof value);
  }
  return scratch;
}

/// Rays, samples and network rows of one batch, training or rendering.
struct BatchBuffers {
  DeviceBuffer<float> origins, directions, jitter, target, background;
  DeviceBuffer<uint32_t> start, count, used_start, used_count;
  DeviceBuffer<float> t, dt, positions, sigma;
  DeviceBuffer<float2> scratch;
  DeviceBuffer<uint32_t> ray;
  DeviceBuffer<__half> features;
  DeviceBuffer<uint32_t> source, used_ray;
  DeviceBuffer<float> used_t, used_dt, used_positions, used_sigma, rgb;
  DeviceBuffer<cuda::StepCounters> counters;
  cuda::RayBatch rays{};
  cuda::SampleBatch samples{};
  cuda::UsedBatch used{};

  void allocate(uint32_t n_rays, uint32_t n_samples, uint32_t n_used, int n_features) {
    rays = {origins.need(3 * n_rays), directions.need(3 * n_rays), jitter.need(n_rays),
            target.need(4 * n_rays),  background.need(3 * n_rays), start.need(n_rays),
            count.need(n_rays),       used_start.need(n_rays),     used_count.need(n_rays)};
    samples = {t.need(n_samples), dt.need(n_samples), positions.need(3 * static_cast<size_t>(n_samples)),
               ray.need(n_samples), n_samples};
    sigma.need(n_samples);
    features.need(static_cast<size_t>(n_samples) * static_cast<size_t>(n_features));
    used = {source.need(n_used),   used_t.need(n_used),
            used_dt.need(n_used),  used_positions.need(3 * static_cast<size_t>(n_used)),
            used_ray.need(n_used), n_used};
    used_sigma.need(n_used);
    rgb.need(3 * static_cast<size_t>(n_used));
    counters.need(1);
    scratch.need(static_cast<size_t>(cuda::kScratchRays) * 1024);
  }
};

class NgpStepperCuda : public NgpStepper {
 public:
  NgpStepperCuda(const field::NgpConfig& config, const std::vector<data::View>& views, float aabb_scale,
                 uint64_t seed)
      : config_(config),
        layout_(field::NgpLayout::make(config, aabb_scale)),
        table_(device_table(layout_.grid)),
        march_(ops::MarchConfig::for_scale(aabb_scale)),
        n_cascades_(ops::cascade_count(aabb_scale)),
        point_scale_(1.0f / aabb_scale) {
    if (layout_.grid.n_outputs() != 32 || config.n_neurons != 64 || config.density_hidden != 1 ||
        config.colour_hidden != 2 || config.n_geometry != 16 || config.sh_degree != 4 ||
        config.n_features == 1)
      throw UserError(
          "the CUDA kernels are built for 32 grid outputs (levels times features, 2 or more features), 64 "
          "neurons, 1 and 2 hidden "
          "layers, 16 density outputs and harmonics of degree 4. Use those, or pass --device cpu.");
    T3D_CUDA(cudaStreamCreate(&stream_));
    upload_views(views);
    allocate();
    load(make_initial_state(config, views, aabb_scale, seed));
  }

  ~NgpStepperCuda() override { cudaStreamDestroy(stream_); }

  void step(double learning_rate) override {
    if (step_ % grid_config_.update_interval == 0) update_occupancy();
    const auto n_rays = static_cast<uint32_t>(n_rays_);
    cuda::StepCounters* counters = train_.counters.data();
    T3D_CUDA(cudaMemsetAsync(counters, 0, sizeof(cuda::StepCounters), stream_));
    cuda::draw_rays(cameras_.data(), n_views_, pixels_.data(), seed_, static_cast<uint32_t>(step_), n_rays,
                    config_.random_background,
                    make_float3(config_.background[0], config_.background[1], config_.background[2]),
                    train_.rays, stream_);
    find_samples(train_, n_rays);
    const __half* weights = half_params_.data() + layout_.n_grid;
    ops::cuda::network_forward(weights, train_.features.data(), train_.used.source, train_.rays.directions,
                               train_.used.ray, &counters->n_used, train_.used_sigma.data(),
                               train_.rgb.data(), &kept_, stream_);
    const cuda::LossSettings loss{config_.huber, 0.1f, config_.distortion};
    cuda::composite_loss(train_.rays, n_rays, train_.used, train_.used_sigma.data(), train_.rgb.data(), loss,
                         d_sigma_.data(), d_rgb_.data(), counters, stream_);
    ops::cuda::network_backward(weights, kept_, train_.rgb.data(), train_.used_sigma.data(), d_sigma_.data(),
                                d_rgb_.data(), &counters->n_used, gradients_, stream_);
    ops::cuda::network_weight_gradients(kept_, gradients_, &counters->n_used,
                                        d_params_.data() + layout_.n_grid, stream_);
    ops::cuda::hash_grid_backward(table_, train_.used.positions, point_scale_, &counters->n_used,
                                  gradients_.features, d_params_.data(), stream_);
    optimize(learning_rate, 1.0f / (3.0f * static_cast<float>(n_rays)));
    last_rays_ = n_rays;
    ++step_;
    if (step_ % kAdaptEvery == 0) adapt_rays();
  }

  NgpStats stats() override {
    cuda::StepCounters c{};
    T3D_CUDA(cudaStreamSynchronize(stream_));
    train_.counters.download(&c, 1);
    const double n = 3.0 * std::max<double>(1, last_rays_);
    NgpStats stats;
    stats.loss = c.loss / n;
    stats.psnr = -10 * std::log10(std::max(1e-12, c.squared_error / n));
    stats.n_rays = last_rays_;
    stats.n_samples = c.n_samples;
    stats.n_used = c.n_used;
    return stats;
  }

  NgpView render(const Camera& camera, const Vec3f& background) override {
    const int width = camera.lens.width, height = camera.lens.height;
    NgpView view{io::ImageF(width, height, 3), io::ImageF(width, height, 1), io::ImageF(width, height, 1)};
    const uint64_t n_pixels = static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
    const cuda::DeviceCamera device = device_camera(camera, 0);
    image_rgb_.need(3 * n_pixels);
    image_opacity_.need(n_pixels);
    image_depth_.need(n_pixels);
    uint32_t batch = kRenderRays;
    for (uint64_t first = 0; first < n_pixels;) {
      const auto n = static_cast<uint32_t>(std::min<uint64_t>(batch, n_pixels - first));
      if (render_batch(device, first, n, background)) {
        first += n;
        continue;
      }
      batch = std::max(1u, n / 2);  // the batch had more samples than the buffer holds
      T3D_CHECK(n > 1, "one ray has more samples than the buffer");
    }
    T3D_CUDA(cudaStreamSynchronize(stream_));
    image_rgb_.download(view.rgb.pixels.data(), 3 * n_pixels);
    image_opacity_.download(view.opacity.pixels.data(), n_pixels);
    image_depth_.download(view.depth.pixels.data(), n_pixels);
    return view;
  }

  void density(const float* points, int64_t n, float* sigma) override {
    for (int64_t i = 0; i < n; i += kQuery) {
      const auto m = static_cast<uint32_t>(std::min<int64_t>(kQuery, n - i));
      query_points(points + 3 * i, m);
      ops::cuda::density_forward(half_params_.data() + layout_.n_grid, query_features_.data(),
                                 query_n_.data(), query_out_.data(), stream_);
      T3D_CUDA(cudaStreamSynchronize(stream_));
      query_out_.download(sigma + i, m);
    }
  }

  void colour(const float* points, const float* directions, int64_t n, float* rgb) override {
    for (int64_t i = 0; i < n; i += kQuery) {
      const auto m = static_cast<uint32_t>(std::min<int64_t>(kQuery, n - i));
      query_points(points + 3 * i, m);
      query_directions_.upload(directions + 3 * i, 3 * m);
      std::vector<uint32_t> rows(m);
      for (uint32_t r = 0; r < m; ++r) rows[r] = r;
      query_rows_.upload(rows.data(), m);
      ops::cuda::network_forward(half_params_.data() + layout_.n_grid, query_features_.data(), nullptr,
                                 query_directions_.data(), query_rows_.data(), query_n_.data(),
                                 query_out_.data(), query_rgb_.need(3 * kQuery), nullptr, stream_);
      T3D_CUDA(cudaStreamSynchronize(stream_));
      query_rgb_.download(rgb + 3 * i, 3 * m);
    }
  }

  field::NgpState save() override {
    T3D_CUDA(cudaStreamSynchronize(stream_));
    field::NgpState state;
    const auto fetch = [](const DeviceBuffer<float>& from, int64_t n) {
      at::Tensor to = at::empty({n});
      from.download(to.data_ptr<float>(), static_cast<size_t>(n));
      return to;
    };
    state.params = fetch(params_, layout_.n_params());
    state.adam_m = fetch(adam_m_, layout_.n_params());
    state.adam_v = fetch(adam_v_, layout_.n_params());
    state.density = fetch(density_, n_cells());
    state.bits = at::empty({n_cells() / 8}, at::kByte);
    bits_.download(state.bits.data_ptr<uint8_t>(), static_cast<size_t>(n_cells() / 8));
    state.step = step_;
    state.n_rays = n_rays_;
    state.seed = seed_;
    state.aabb_scale = 1.0f / point_scale_;
    return state;
  }

  void load(const field::NgpState& state) override {
    const auto send = [](const char* name, DeviceBuffer<float>& to, const at::Tensor& from, int64_t n) {
      if (from.numel() != n)
        throw UserError(cat("the checkpoint's ", name, " has ", from.numel(),
                            " numbers; this configuration needs ", n,
                            ". Resume with the options of the first run."));
      const at::Tensor values = from.contiguous();
      to.upload(values.data_ptr<float>(), static_cast<size_t>(n));
    };
    send("params", params_, state.params, layout_.n_params());
    send("adam_m", adam_m_, state.adam_m, layout_.n_params());
    send("adam_v", adam_v_, state.adam_v, layout_.n_params());
    send("density", density_, state.density, n_cells());
    const at::Tensor bits = state.bits.contiguous();
    T3D_CHECK(bits.numel() == n_cells() / 8, "occupancy bits");
    bits_.upload(bits.data_ptr<uint8_t>(), static_cast<size_t>(n_cells() / 8));
    ops::cuda::round_to_half(params_.data(), half_params_.data(), layout_.n_params(), stream_);
    T3D_CUDA(cudaStreamSynchronize(stream_));
    step_ = state.step;
    n_rays_ = state.n_rays;
    seed_ = state.seed;
  }

  size_t device_bytes() const override {
    size_t free = 0, total = 0;
    return cudaMemGetInfo(&free, &total) == cudaSuccess ? total - free : 0;
  }
  int64_t steps_done() const override { return step_; }

 private:
  static constexpr int64_t kQuery = 1 << 18;
  int64_t n_cells() const { return int64_t{n_cascades_} * ops::kCellsPerCascade; }

  void upload_views(const std::vector<data::View>& views) {
    T3D_CHECK(!views.empty(), "no training views");
    n_views_ = static_cast<uint32_t>(views.size());
    std::vector<cuda::DeviceCamera> cameras;
    uint64_t n_pixels = 0;
    for (const auto& view : views) {
      cameras.push_back(device_camera(view.camera, n_pixels));
      n_pixels += view.rgba.pixels.size() / 4;
    }
    cameras_.upload(cameras.data(), cameras.size());
    pixels_.need(n_pixels);
    std::vector<uint8_t> scratch;
    for (size_t i = 0; i < views.size(); ++i) {
      const std::vector<uint8_t>& rgba = mark_masked(views[i], scratch);
      T3D_CUDA(cudaMemcpy(pixels_.data() + cameras[i].first_pixel, rgba.data(), rgba.size(),
                          cudaMemcpyHostToDevice));
    }
  }

  void allocate() {
    const auto target = static_cast<uint32_t>(config_.target_samples);
    const uint32_t n_used = target + target / 2;
    const auto n_params = static_cast<size_t>(layout_.n_params());
    train_.allocate(kMaxRays, 12 * target, n_used, layout_.grid.n_outputs());
    params_.need(n_params);
    adam_m_.need(n_params);
    adam_v_.need(n_params);
    half_params_.need(n_params);
    T3D_CUDA(cudaMemset(d_params_.need(n_params), 0, n_params * sizeof(float)));
    density_.need(static_cast<size_t>(n_cells()));
    bits_.need(static_cast<size_t>(n_cells() / 8));
    lists_.need(static_cast<size_t>(n_cells()));
    n_occupied_.need(static_cast<size_t>(n_cascades_));
    scratch_.need(2);
    const size_t rows = n_used;
    kept_ = {kept_features_.need(32 * rows), kept_density_.need(64 * rows), kept_input_.need(32 * rows),
             kept_colour1_.need(64 * rows), kept_colour2_.need(64 * rows)};
    gradients_ = {d_features_.need(32 * rows), d_density_.need(64 * rows), d_geometry_.need(16 * rows),
                  d_colour1_.need(64 * rows),  d_colour2_.need(64 * rows), d_out_.need(16 * rows)};
    d_sigma_.need(rows);
    d_rgb_.need(3 * rows);
    query_points_.need(3 * kQuery);
    query_features_.need(32 * kQuery);
    query_out_.need(kQuery);
    query_cells_.need(kQuery);
    query_n_.need(1);
  }

  /// Marches the rays of the batch and keeps the samples in front of opaque matter.
  void find_samples(BatchBuffers& b, uint32_t n_rays) {
    cuda::StepCounters* counters = b.counters.data();
    cuda::march(b.rays, n_rays, bits_.data(), n_cascades_, march_, b.samples, b.scratch.data(), counters,
                stream_);
    ops::cuda::hash_grid_forward(table_, half_params_.data(), b.samples.positions, point_scale_,
                                 &counters->n_samples, b.features.data(), stream_);
    ops::cuda::density_forward(half_params_.data() + layout_.n_grid, b.features.data(), &counters->n_samples,
                               b.sigma.data(), stream_);
    cuda::compact(b.rays, n_rays, b.samples, b.sigma.data(), ops::kMinTransmittance, b.used, counters,
                  stream_);
  }

  bool render_batch(const cuda::DeviceCamera& camera, uint64_t first, uint32_t n, const Vec3f& background) {
    if (view_.samples.capacity == 0) view_.allocate(kRenderRays, 1 << 22, 1 << 21, layout_.grid.n_outputs());
    cuda::StepCounters* counters = view_.counters.data();
    T3D_CUDA(cudaMemsetAsync(counters, 0, sizeof(cuda::StepCounters), stream_));
    cuda::camera_rays(camera, first, n, view_.rays, stream_);
    find_samples(view_, n);
    ops::cuda::network_forward(half_params_.data() + layout_.n_grid, view_.features.data(), view_.used.source,
                               view_.rays.directions, view_.used.ray, &counters->n_used,
                               view_.used_sigma.data(), view_.rgb.data(), nullptr, stream_);
    cuda::composite(view_.rays, n, view_.used, view_.used_sigma.data(), view_.rgb.data(),
                    make_float3(background.x(), background.y(), background.z()),
                    image_rgb_.data() + 3 * first, image_opacity_.data() + first, image_depth_.data() + first,
                    stream_);
    cuda::StepCounters c{};
    T3D_CUDA(cudaStreamSynchronize(stream_));
    view_.counters.download(&c, 1);
    return c.n_dropped == 0;
  }

  void optimize(double learning_rate, float mean_scale) {
    const auto step = [&](const ops::AdamConfig& config, int64_t first, int64_t n) {
      ops::cuda::AdamExtras extras;
      extras.half_params = half_params_.data() + first;
      extras.zero_bad_gradients = true;
      ops::cuda::adam_step(params_.data() + first, d_params_.data() + first, adam_m_.data() + first,
                           adam_v_.data() + first, n,
                           ops::adam_factors(config, learning_rate, step_ + 1, mean_scale), extras, stream_);
    };
    const field::NgpAdam adam = field::ngp_adam(config_);
    step(adam.table, 0, layout_.n_grid);
    step(adam.networks, layout_.n_grid, layout_.n_params() - layout_.n_grid);
  }

  void update_occupancy() {
    const bool is_warmup = step_ < grid_config_.warmup_steps;
    const ops::OccupancyPick pick{is_warmup, n_cascades_};
    if (!is_warmup)
      ops::cuda::list_occupied(bits_.data(), n_cascades_, lists_.data(), n_occupied_.data(), stream_);
    ops::cuda::decay_density(density_.data(), static_cast<uint32_t>(n_cells()), grid_config_.decay, stream_);
    for (int64_t first = 0; first < pick.size(); first += kQuery) {
      const auto n = static_cast<uint32_t>(std::min<int64_t>(kQuery, pick.size() - first));
      set_query_size(n);
      ops::cuda::pick_cells(is_warmup, n_cascades_, seed_, static_cast<uint32_t>(step_),
                            static_cast<uint32_t>(first), n, lists_.data(), n_occupied_.data(),
                            query_cells_.data(), query_points_.data(), stream_);
      ops::cuda::hash_grid_forward(table_, half_params_.data(), query_points_.data(), point_scale_,
                                   query_n_.data(), query_features_.data(), stream_);
      ops::cuda::density_forward(half_params_.data() + layout_.n_grid, query_features_.data(),
                                 query_n_.data(), query_out_.data(), stream_);
      ops::cuda::apply_density(density_.data(), query_cells_.data(), query_out_.data(), n, stream_);
    }
    ops::cuda::update_bits(density_.data(), n_cascades_, grid_config_.density_threshold(), bits_.data(),
                           scratch_.data(), stream_);
  }

  /// The one place where the training loop waits for the device.
  void adapt_rays() {
    const NgpStats s = stats();
    const double rays = static_cast<double>(s.n_rays);
    const double per_ray = std::max(
        {static_cast<double>(s.n_used) / rays, static_cast<double>(s.n_samples) / rays / 8, 1.0 / 16});
    const auto wanted = static_cast<int64_t>(static_cast<double>(config_.target_samples) / per_ray);
    n_rays_ = std::clamp<int64_t>(wanted / 128 * 128, 128, kMaxRays);
  }

  /// Sizes come from pinned values, so that setting one does not wait for the device.
  void set_query_size(uint32_t n) {
    if (n == query_size_) return;
    T3D_CUDA(cudaMemcpyAsync(query_n_.data(), &n, sizeof n, cudaMemcpyHostToDevice, stream_));
    query_size_ = n;
  }

  void query_points(const float* points, uint32_t n) {
    T3D_CUDA(cudaStreamSynchronize(stream_));
    T3D_CUDA(cudaMemcpy(query_points_.data(), points, 3 * sizeof(float) * n, cudaMemcpyHostToDevice));
    set_query_size(n);
    ops::cuda::hash_grid_forward(table_, half_params_.data(), query_points_.data(), point_scale_,
                                 query_n_.data(), query_features_.data(), stream_);
  }

  field::NgpConfig config_;
  field::NgpLayout layout_;
  ops::cuda::HashGridTable table_;
  ops::MarchConfig march_;
  ops::DensityGridConfig grid_config_;
  int n_cascades_;
  float point_scale_;
  cudaStream_t stream_ = nullptr;

  uint32_t n_views_ = 0;
  DeviceBuffer<cuda::DeviceCamera> cameras_;
  DeviceBuffer<uchar4> pixels_;
  BatchBuffers train_, view_;
  DeviceBuffer<float> params_, adam_m_, adam_v_, d_params_, density_, scratch_, d_sigma_, d_rgb_;
  DeviceBuffer<__half> half_params_;
  DeviceBuffer<uint8_t> bits_;
  DeviceBuffer<uint32_t> lists_, n_occupied_;
  DeviceBuffer<__half> kept_features_, kept_density_, kept_input_, kept_colour1_, kept_colour2_;
  DeviceBuffer<__half> d_features_, d_density_, d_geometry_, d_colour1_, d_colour2_, d_out_;
  ops::cuda::NetworkActivations kept_{};
  ops::cuda::NetworkGradients gradients_{};
  DeviceBuffer<float> query_points_, query_out_, query_directions_, query_rgb_, image_rgb_, image_opacity_,
      image_depth_;
  DeviceBuffer<__half> query_features_;
  DeviceBuffer<uint32_t> query_cells_, query_n_, query_rows_;
  uint32_t query_size_ = 0;
  int64_t step_ = 0, n_rays_ = 0;
  uint32_t last_rays_ = 1;
  uint64_t seed_ = 0;
};

}  // namespace

bool ngp_cuda_available() {
  int n = 0;
  return cudaGetDeviceCount(&n) == cudaSuccess && n > 0;
}

std::unique_ptr<NgpStepper> make_ngp_stepper_cuda(const field::NgpConfig& config,
                                                  const std::vector<data::View>& views, float aabb_scale,
                                                  uint64_t seed) {
  if (!ngp_cuda_available())
    throw SystemError("no CUDA device or driver was found; see t3d doctor. Pass --device cpu.");
  return std::make_unique<NgpStepperCuda>(config, views, aabb_scale, seed);
}

}  // namespace t3d::train
