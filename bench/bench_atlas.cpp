// Texture coordinates of meshes that are hard to unwrap: seconds, charts, overlaps, memory.
//
//   bench_atlas --meshes ../shared/data/meshes [--size 2048] [--only NAME]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/memory_usage.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/marching_cubes.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/export/uv_atlas.h"
#include "t3d/io/read_mesh.h"
#include "t3d/io/weld.h"

namespace t3d {
namespace {

/// Every face in four, the shape as it was.
io::Mesh subdivided(const io::Mesh& mesh) {
  io::Mesh out;
  out.positions = mesh.positions;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> middles;
  const auto middle = [&](uint32_t a, uint32_t b) {
    const auto [place, is_new] =
        middles.emplace(std::minmax(a, b), static_cast<uint32_t>(out.positions.size()));
    if (is_new) out.positions.push_back(0.5f * (mesh.positions[a] + mesh.positions[b]));
    return place->second;
  };
  for (const auto& f : mesh.faces) {
    const uint32_t ab = middle(f[0], f[1]), bc = middle(f[1], f[2]), ca = middle(f[2], f[0]);
    for (const auto& face : {std::array<uint32_t, 3>{f[0], ab, ca}, std::array<uint32_t, 3>{ab, f[1], bc},
                             std::array<uint32_t, 3>{ca, bc, f[2]}, std::array<uint32_t, 3>{ab, bc, ca}})
      out.faces.push_back(face);
  }
  return out;
}

io::Mesh welded(const io::Mesh& mesh) {
  const io::WeldedVertices places = io::weld(mesh.positions);
  io::Mesh out;
  for (const uint32_t v : places.first) out.positions.push_back(mesh.positions[v]);
  for (const auto& f : mesh.faces) {
    const std::array<uint32_t, 3> face = {places.number[f[0]], places.number[f[1]], places.number[f[2]]};
    if (face[0] != face[1] && face[1] != face[2] && face[2] != face[0]) out.faces.push_back(face);
  }
  return out;
}

io::Mesh level_set(int n, const std::function<float(const Vec3f&)>& value) {
  const auto grid = export_::SampleGrid::over_box({Vec3f::Constant(-1), Vec3f::Constant(1)}, n);
  return export_::marching_cubes(
      grid,
      [&](int k, float* values) {
        for (int j = 0; j < n; ++j)
          for (int i = 0; i < n; ++i)
            values[j * n + i] =
                value(grid.origin + Vec3f(static_cast<float>(i), static_cast<float>(j), static_cast<float>(k))
                                        .cwiseProduct(grid.spacing));
      },
      {});
}

float noise(const Vec3f& p) {
  return std::sin(41 * p.x() + 17 * p.y()) * std::sin(37 * p.y() - 31 * p.z()) * std::cos(43 * p.z() + p.x());
}

/// Share of the edges that have more than two faces.
double crowded_share(const io::Mesh& mesh) {
  const auto sides = export_::sorted_sides(mesh.faces);
  double n = 0, n_crowded = 0;
  export_::for_each_edge(sides, [&](size_t first, size_t end) { ++n, n_crowded += end - first > 2; });
  return n > 0 ? n_crowded / n : 0;
}

/// A rough ball whose vertices are pulled onto a lattice, as wide as it takes for a quarter of the edges to
/// have more than two faces.
io::Mesh crowded() {
  constexpr int kSamples = 295;
  const io::Mesh fine = level_set(kSamples, [](const Vec3f& p) { return 0.8f - p.norm() + 0.9f * noise(p); });
  io::Mesh mesh;
  for (float lattice = 1.2f * 2 / kSamples; lattice < 0.2f && crowded_share(mesh) < 0.25; lattice *= 1.15f) {
    mesh = fine;
    for (Vec3f& p : mesh.positions)
      for (int axis = 0; axis < 3; ++axis) p[axis] = std::round(p[axis] / lattice) * lattice;
    mesh = welded(mesh);
  }
  return mesh;
}

/// Balls of 80 faces each, far apart.
io::Mesh many_parts() {
  const io::Mesh ball = welded(level_set(5, [](const Vec3f& p) { return 0.8f - p.norm(); }));
  io::Mesh mesh;
  for (int i = 0; i < 3000; ++i) {
    const Vec3f at(static_cast<float>(i % 20), static_cast<float>(i / 20 % 15), static_cast<float>(i / 300));
    const auto first = static_cast<uint32_t>(mesh.positions.size());
    for (const Vec3f& p : ball.positions) mesh.positions.push_back(at + 0.02f * p);
    for (const auto& f : ball.faces) mesh.faces.push_back({first + f[0], first + f[1], first + f[2]});
  }
  return mesh;
}

bool measure(const std::string& name, io::Mesh mesh, int size) {
  const double share = crowded_share(mesh), began = now_s();
  const std::clock_t cpu_began = std::clock();
  export_::AtlasOptions options;
  options.size = size;
  const export_::AtlasInfo info = export_::make_atlas(mesh, options);
  const double seconds = now_s() - began;
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC;
  const export_::UvCheck check = export_::check_uv(mesh, size);
  std::printf(
      "%-16s %8zu faces, %4.1f %% crowded edges: %6.2f s (%5.2f s of a core), %6d charts, %4.1f %% used, %zu "
      "overlapping "
      "texels, %zu inverted, peak %.0f MiB\n",
      name.c_str(), mesh.faces.size(), 100 * share, seconds, cpu_seconds, info.n_charts, 100 * check.used,
      check.n_shared_texels, check.n_inverted_charts + check.n_inverted_faces,
      static_cast<double>(peak_rss_bytes()) / (1 << 20));
  std::fflush(stdout);
  return check.n_shared_texels + check.n_inverted_charts + check.n_inverted_faces == 0;
}

int run(const std::string& folder, const std::string& only, int size) {
  bool is_fine = true;
  const auto one = [&](const std::string& name, const std::function<io::Mesh()>& make) {
    if (only.empty() || only == name) is_fine = measure(name, make(), size) && is_fine;
  };
  if (!folder.empty()) {
    for (const char* name :
         {"cow.obj", "spot/spot_triangulated.obj", "stanford-bunny.obj", "suzanne.obj", "teapot.obj"})
      one(std::filesystem::path(name).stem().string(),
          [&] { return welded(io::read_mesh(folder + "/" + name)); });
    one("fine-bunny",
        [&] { return subdivided(subdivided(welded(io::read_mesh(folder + "/stanford-bunny.obj")))); });
  }
  one("many-parts", many_parts);
  size = std::max(size, 4096);  // more than a hundred thousand charts, each with its padding
  one("crowded", crowded);

  return is_fine ? 0 : 1;
}

}  // namespace
}  // namespace t3d

int main(int argc, char** argv) {
  CLI::App app("Texture coordinates of meshes that are hard to unwrap");
  std::string folder, only;
  int size = 2048;
  app.add_option("--meshes", folder, "Folder with the bunny and its companions");
  app.add_option("--only", only, "One of them");
  app.add_option("--size", size, "Texels along a side");
  CLI11_PARSE(app, argc, argv);
  try {
    return t3d::run(folder, only, size);
  } catch (const t3d::Error& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return failure.exit_code();
  }
}
