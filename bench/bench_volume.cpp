#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "t3d/core/clock.h"
#include "t3d/core/rng.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/ray_march.h"
#include "t3d/ops/startup.h"

// The parts of a training step around the network: marching rays through an occupancy grid with a thin shell
// (a surface seen from outside), and compositing the samples with loss and gradient.
namespace {

using namespace t3d;
using namespace t3d::ops;

double best_seconds(double budget_s, const std::function<void()>& body) {
  double best = 1e30;
  for (const double end = now_s() + budget_s; now_s() < end;) {
    const double before = now_s();
    body();
    best = std::min(best, now_s() - before);
  }
  return best;
}

/// Cells within 0.02 of a sphere of radius 0.35, in every cascade.
std::vector<uint8_t> shell_bits(int n_cascades) {
  std::vector<uint8_t> bits(int64_t{n_cascades} * kCellsPerCascade / 8);
  for (uint32_t cell = 0; cell < static_cast<uint32_t>(n_cascades) * kCellsPerCascade; ++cell) {
    float p[3];
    cell_point(cell, 0.5f, 0.5f, 0.5f, p);
    if (std::fabs(std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) - 0.35f) < 0.02f)
      bits[cell >> 3] |= static_cast<uint8_t>(1u << (cell & 7u));
  }
  return bits;
}

std::vector<float> random_floats(int64_t n, float low, float high, uint64_t seed) {
  std::vector<float> out(n);
  Rng rng(seed);
  for (float& v : out) v = rng.uniform(low, high);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  int64_t n_rays = 16384;
  int n_threads = static_cast<int>(std::thread::hardware_concurrency());
  double budget_s = 1.0;
  float aabb_scale = 1.0f;
  CLI::App app("Times ray marching and compositing on the CPU.");
  app.add_option("--rays", n_rays, "rays per batch")->check(CLI::Range(1, 1 << 22));
  app.add_option("--threads", n_threads, "threads")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", budget_s, "time per measurement");
  app.add_option("--aabb-scale", aabb_scale, "size of the scene box: a power of two")
      ->check(CLI::Range(1.f, 128.f));
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(n_threads);

  const MarchConfig config = MarchConfig::for_scale(aabb_scale);
  const int n_cascades = cascade_count(aabb_scale);
  const std::vector<uint8_t> bits = shell_bits(n_cascades);
  std::vector<float> origins(3 * n_rays), directions(3 * n_rays);
  Rng rng(1);
  for (int64_t r = 0; r < n_rays; ++r) {
    const Vec3f from = Vec3f(rng.normal(), rng.normal(), rng.normal()).normalized() * 1.3f;
    const Vec3f to(rng.uniform(-.4f, .4f), rng.uniform(-.4f, .4f), rng.uniform(-.4f, .4f));
    const Vec3f along = (to - from).normalized();
    std::copy_n(from.data(), 3, &origins[3 * r]);
    std::copy_n(along.data(), 3, &directions[3 * r]);
  }
  const std::vector<float> jitter = random_floats(n_rays, 0.0f, 1.0f, 2);
  std::vector<int32_t> start(n_rays + 1), counts(n_rays), n_used(n_rays);
  const double count_s = best_seconds(budget_s, [&] {
    cpu::march_count(origins.data(), directions.data(), jitter.data(), n_rays, bits.data(), n_cascades,
                     config, counts.data());
  });
  cpu::exclusive_scan(counts.data(), n_rays, INT32_MAX, start.data());
  const int64_t n = start[n_rays];
  std::vector<float> t(n), dt(n), positions(3 * n);
  std::vector<int32_t> ray_indices(n);
  const double march_s = best_seconds(budget_s, [&] {
    cpu::march_rays(origins.data(), directions.data(), jitter.data(), n_rays, bits.data(), n_cascades, config,
                    n, start.data(), t.data(), dt.data(), positions.data(), ray_indices.data());
  });

  const std::vector<float> sigma = random_floats(n, 0.0f, 60.0f, 3),
                           rgb = random_floats(3 * n, 0.0f, 1.0f, 4);
  const std::vector<float> target = random_floats(4 * n_rays, 0.0f, 1.0f, 5);
  const std::vector<float> background = random_floats(3 * n_rays, 0.0f, 1.0f, 6);
  std::vector<float> d_sigma(n), d_rgb(3 * n), colour(3 * n_rays);
  cpu::CompositeOutputs outputs;
  outputs.colour = colour.data();
  const double forward_s = best_seconds(budget_s, [&] {
    cpu::composite_forward(start.data(), n_rays, sigma.data(), rgb.data(), t.data(), dt.data(),
                           kMinTransmittance, nullptr, outputs);
  });
  CompositeLossResult result;
  const double loss_s = best_seconds(budget_s, [&] {
    result = cpu::composite_loss(start.data(), n_rays, sigma.data(), rgb.data(), t.data(), dt.data(),
                                 target.data(), background.data(), {}, d_sigma.data(), d_rgb.data(),
                                 n_used.data(), nullptr);
  });
  CompositeLossConfig with_distortion;
  with_distortion.distortion = 1e-2f;
  const double distortion_s = best_seconds(budget_s, [&] {
    cpu::composite_loss(start.data(), n_rays, sigma.data(), rgb.data(), t.data(), dt.data(), target.data(),
                        background.data(), with_distortion, d_sigma.data(), d_rgb.data(), n_used.data(),
                        nullptr);
  });

  std::printf("%lld rays, %lld samples (%.1f per ray, %lld before the early stop), %d threads\n",
              static_cast<long long>(n_rays), static_cast<long long>(n),
              static_cast<double>(n) / static_cast<double>(n_rays), static_cast<long long>(result.n_used),
              n_threads);
  const auto row = [&](const char* name, double s) {
    std::printf("%-34s %8.2f ms %8.2f M rays/s %8.1f M samples/s\n", name, 1e3 * s,
                1e-6 * static_cast<double>(n_rays) / s, 1e-6 * static_cast<double>(n) / s);
  };
  row("march, counting only", count_s);
  row("march, one pass, with positions", march_s);
  row("composite, forward", forward_s);
  row("composite, loss and gradient", loss_s);
  row("the same with distortion loss", distortion_s);
  return 0;
}
