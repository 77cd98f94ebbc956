#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
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

/// The least of some rounds, elapsed and of all processors together, which other programs disturb less.
struct Time {
  double wall_ms = 1e30, processor_ms = 1e30;
};

/// Calls prepare(), which does not count, and body() once to warm up and then in each round.
Time least_time(
    int rounds, const std::function<void()>& body, const std::function<void()>& prepare = [] {}) {
  Time least;
  for (int round = 0; round <= rounds; ++round) {
    prepare();
    const double before = now_s();
    const std::clock_t clock = std::clock();
    body();
    if (round == 0) continue;
    least.wall_ms = std::min(least.wall_ms, (now_s() - before) * 1e3);
    least.processor_ms =
        std::min(least.processor_ms, 1e3 * static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC);
  }
  return least;
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
  const Time rasterize = least_time(rounds, [&] { rast = raster::rasterize(pos, tri, side, side); });
  const Time interpolate = least_time(rounds, [&] { out = raster::interpolate(attr, rast.rast, tri); });
  const Time antialias =
      least_time(rounds, [&] { image = raster::antialias(out, rast.rast, pos, tri, &topology); });
  const Time all = least_time(rounds, forward);
  const at::Tensor weights = at::rand_like(image);
  const Time backward = least_time(
      rounds,
      [&] {
        torch::autograd::grad({image}, {pos, attr}, {weights});
      },
      forward);
  const double pixels = static_cast<double>(n_views * side * side);
  std::printf("| %ld | %ldx%ldx%ld | %.1f | %.1f | %.1f | %.1f (%.1f) | %.1f | %.1f (%.1f) | %.1f | %.0f |\n",
              static_cast<long>(tri.size(0)), static_cast<long>(n_views), static_cast<long>(side),
              static_cast<long>(side), rasterize.wall_ms, interpolate.wall_ms, antialias.wall_ms, all.wall_ms,
              all.processor_ms, pixels / all.wall_ms * 1e-3, backward.wall_ms, backward.processor_ms,
              pixels / backward.wall_ms * 1e-3, static_cast<double>(peak_rss_bytes()) / 1048576);
  std::fflush(stdout);
}

int run(const Options& options) {
  at::set_num_threads(options.n_threads);
  std::printf(
      "| triangles | images | rasterize, ms | interpolate, ms | antialias, ms | all three, ms (processor) | "
      "Mpix/s | "
      "backward, ms (processor) | Mpix/s | peak so far, MiB |\n| --- | --- | --- | --- | --- | --- | --- | "
      "--- | --- | "
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
