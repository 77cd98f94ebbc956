#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/memory_usage.h"
#include "t3d/io/read_mesh.h"
#include "t3d/trace/camera_sets.h"
#include "t3d/trace/path_tracer.h"

// Path tracing of one mesh from an orbit of cameras: seconds a view, without reading, building and writing.
namespace {

using namespace t3d;

struct Options {
  std::string mesh, json, peer;
  int resolution = 512, samples = 32, bounces = 1, views = 4, rounds = 3, threads = 0;
};

struct Round {
  double ours_s, peer_s;  // a view
};

double render_views(const trace::Scene& scene, const std::vector<Camera>& cameras, const Options& options) {
  trace::RenderSettings settings;
  settings.samples = options.samples;
  settings.max_bounces = options.bounces;
  settings.n_threads = options.threads;
  const double begin = now_s();
  for (const Camera& camera : cameras) {
    settings.seed++;
    trace::render_view(scene, camera, settings);
  }
  return (now_s() - begin) / static_cast<double>(cameras.size());
}

/// Runs the peer; it prints "seconds_per_view X". 0 when it did not.
double run_peer(const std::string& command) {
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return 0;
  double found = 0;
  char line[4096];
  while (fgets(line, sizeof line, pipe) != nullptr) std::sscanf(line, "seconds_per_view %lf", &found);
  pclose(pipe);
  return found;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int bench(const Options& options) {
  io::Mesh mesh = io::read_mesh(options.mesh);
  io::fit_mesh(mesh, 0.9f);
  const size_t n_faces = mesh.faces.size();
  const double begin = now_s();
  const trace::Scene scene(std::move(mesh), trace::Environment{}, trace::AreaLight{});
  const double build_s = now_s() - begin;

  trace::CameraSetOptions set;
  set.set = trace::CameraSet::Orbit;
  set.n_views = options.views;
  set.resolution = options.resolution;
  set.elevation_deg = 20;
  const auto cameras = trace::make_cameras(set);

  std::vector<double> ours, peer;
  for (int round = 0; round < options.rounds; ++round) {  // in turn, so that both see the same machine
    ours.push_back(render_views(scene, cameras, options));
    if (!options.peer.empty()) peer.push_back(run_peer(options.peer));
    std::printf("round %d: %.3f s a view", round + 1, ours.back());
    if (!peer.empty()) std::printf(", peer %.3f s, ratio %.2f", peer.back(), peer.back() / ours.back());
    std::printf("\n");
    std::fflush(stdout);
  }
  std::printf("%s: %zu faces, BVH in %.3f s; %dx%d, %d samples, %d threads: %.3f s a view (median of %d)\n",
              options.mesh.c_str(), n_faces, build_s, options.resolution, options.resolution, options.samples,
              options.threads, median(ours), options.rounds);
  if (!peer.empty())
    std::printf("peer %.3f s a view: %.2f times ours\n", median(peer), median(peer) / median(ours));
  if (!options.json.empty()) {
    nlohmann::json report = {{"mesh", options.mesh},
                             {"faces", n_faces},
                             {"resolution", options.resolution},
                             {"samples", options.samples},
                             {"threads", options.threads},
                             {"build_s", build_s},
                             {"seconds_per_view", ours},
                             {"peak_mib", peak_rss_bytes() / 1048576.0}};
    if (!peer.empty()) report["peer_seconds_per_view"] = peer;
    std::ofstream(options.json) << report.dump(2) << "\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.threads = static_cast<int>(std::thread::hardware_concurrency());
  CLI::App app("Seconds a view of the path tracer");
  app.option_defaults()->always_capture_default();
  app.add_option("mesh", options.mesh, "Mesh, such as spot_triangulated.obj")->required();
  app.add_option("--res", options.resolution, "Width and height")->check(CLI::Range(1, 8192));
  app.add_option("--samples", options.samples, "Paths per pixel")->check(CLI::Range(1, 65536));
  app.add_option("--bounces", options.bounces, "Reflections after the first surface")
      ->check(CLI::Range(0, 16));
  app.add_option("--views", options.views, "Views of the orbit")->check(CLI::Range(1, 1000));
  app.add_option("--rounds", options.rounds, "Repetitions; the median counts")->check(CLI::Range(1, 100));
  app.add_option("--threads", options.threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--json", options.json, "Report to write");
  app.add_option("--peer", options.peer,
                 "Command to run after each round on the same views; prints 'seconds_per_view X'");
  CLI11_PARSE(app, argc, argv);
  try {
    return bench(options);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
