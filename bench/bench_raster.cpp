#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/memory_usage.h"
#include "t3d/ops/startup.h"
#include "t3d/raster/antialias.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/rasterize.h"
#include "tests/support/sphere_mesh.h"

// Rasterization, interpolation of three attributes and antialiasing of a sphere that fills three quarters of
// each image's height: forward, and backward to positions and attributes.
namespace {

using namespace t3d;

struct Options {
  std::vector<int> divisions = {32, 224};  // 20,480 and 1,003,520 triangles
  int n_threads = static_cast<int>(std::thread::hardware_concurrency()), rounds = 5;
};

/// The best of some rounds, the first of which warms up.
double best_ms(int rounds, const std::function<void()>& body) {
  double best = 1e30;
  for (int round = 0; round <= rounds; ++round) {
    const double before = now_s();
    body();
    if (round > 0) best = std::min(best, now_s() - before);
  }
  return best * 1e3;
}

void bench(const testing::SphereMesh& mesh, int64_t n_views, int64_t side, int rounds) {
  const at::Tensor pos = testing::seen_from_around(mesh.vertices, n_views).set_requires_grad(true);
  const at::Tensor attr = mesh.vertices.unsqueeze(0).clone().set_requires_grad(true), &tri = mesh.triangles;
  const auto topology = raster::EdgeTopology::of(tri);
  raster::Rasterized rast;
  at::Tensor out, image;
  const auto forward = [&] {
    rast = raster::rasterize(pos, tri, side, side);
    out = raster::interpolate(attr, rast.rast, tri);
    image = raster::antialias(out, rast.rast, pos, tri, &topology);
  };
  const double rasterize_ms = best_ms(rounds, [&] { rast = raster::rasterize(pos, tri, side, side); });
  const double interpolate_ms = best_ms(rounds, [&] { out = raster::interpolate(attr, rast.rast, tri); });
  const double antialias_ms =
      best_ms(rounds, [&] { image = raster::antialias(out, rast.rast, pos, tri, &topology); });
  const double forward_ms = best_ms(rounds, forward);
  const at::Tensor weights = at::rand_like(image);
  double backward_ms = 1e30;
  for (int round = 0; round < rounds; ++round) {
    forward();
    const double before = now_s();
    torch::autograd::grad({image}, {pos, attr}, {weights});
    backward_ms = std::min(backward_ms, (now_s() - before) * 1e3);
  }
  const double pixels = static_cast<double>(n_views * side * side);
  std::printf("| %ld | %ldx%ldx%ld | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.0f |\n",
              static_cast<long>(tri.size(0)), static_cast<long>(n_views), static_cast<long>(side),
              static_cast<long>(side), rasterize_ms, interpolate_ms, antialias_ms, forward_ms,
              pixels / forward_ms * 1e-3, backward_ms, pixels / backward_ms * 1e-3,
              static_cast<double>(peak_rss_bytes()) / 1048576);
  std::fflush(stdout);
}

int run(const Options& options) {
  at::set_num_threads(options.n_threads);
  std::printf(
      "| triangles | images | rasterize, ms | interpolate, ms | antialias, ms | all three, ms | Mpix/s | "
      "backward, ms | Mpix/s | peak so far, MiB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | "
      "--- |\n");
  for (const int divisions : options.divisions) {
    const auto mesh = testing::sphere_mesh(divisions);
    bench(mesh, 1, 1024, options.rounds);
    bench(mesh, 8, 512, options.rounds);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  Options options;
  CLI::App app("Times differentiable rasterization on the CPU: one image of 1024x1024 and 8 of 512x512.");
  app.option_defaults()->always_capture_default();
  app.add_option("--divisions", options.divisions, "Spheres of 20 n^2 triangles")->check(CLI::Range(1, 800));
  app.add_option("--threads", options.n_threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--rounds", options.rounds, "Repetitions; the fastest counts")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const t3d::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
