#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/export/bake.h"
#include "t3d/export/mesh_parts.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

/// The reference's textures, texel by texel: which texels lie on the surface, where on it, and what is
/// written for them. What lies beside the surface is filled in another way: docs/differences.md.
namespace t3d::export_ {
namespace {

using testing::GoldenCases;

const char* const kCases = "texture-bake/cases.safetensors";

/// With a vertex for each corner, since the reference's faces name positions and coordinates apart.
io::Mesh recorded_mesh(const GoldenCases& cases, const std::string& name) {
  const auto positions = cases.as_float(name + ".v_pos").contiguous(),
             uvs = cases.as_float(name + ".v_tex").contiguous();
  const auto faces = cases.tensor(name + ".t_pos_idx").to(at::kLong).contiguous(),
             uv_faces = cases.tensor(name + ".t_tex_idx").to(at::kLong).contiguous();
  io::Mesh mesh;
  for (int64_t f = 0; f < faces.size(0); ++f) {
    const auto first = static_cast<uint32_t>(mesh.positions.size());
    for (int64_t c = 0; c < 3; ++c) {
      const float* p = positions.data_ptr<float>() + 3 * faces.data_ptr<int64_t>()[3 * f + c];
      const float* uv = uvs.data_ptr<float>() + 2 * uv_faces.data_ptr<int64_t>()[3 * f + c];
      mesh.positions.emplace_back(p[0], p[1], p[2]);
      mesh.uvs.emplace_back(uv[0], 1 - uv[1]);  // there v grows downwards
    }
    mesh.faces.push_back({first, first + 1, first + 2});
  }
  make_vertex_normals(mesh);
  return mesh;
}

class GoldenTextureBake : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTextureBake, TexelsLieWhereTheyDoInTheReferenceAndHoldTheSame) {
  T3D_NEED_CASES(kCases);
  const GoldenCases cases(kCases);
  const std::string name = GetParam();
  const io::Mesh mesh = recorded_mesh(cases, name);
  const auto places = cases.as_float(name + ".gb_pos").contiguous();                // [H,W,3]
  const auto holes = cases.tensor(name + ".hole_mask").to(at::kByte).contiguous();  // [H,W]
  const auto size = static_cast<int>(places.size(0));
  const int64_t n_texels = int64_t{size} * size;
  const uint8_t* is_hole = holes.data_ptr<uint8_t>();
  std::vector<std::string> maps;
  for (const char* map : {"albedo", "metallic", "roughness", "bump"})
    if (cases.contains(name + "." + map + ".raw")) maps.emplace_back(map);

  std::vector<bool> is_asked(static_cast<size_t>(n_texels));
  float farthest = 0;
  const auto recorded = [&](size_t n, const Vec3f* points, const Vec3f*) {
    NamedMaps out;
    std::vector<int64_t> texels;
    for (size_t i = 0; i < n; ++i) {
      int64_t best = -1;
      float least = 1e9f;
      for (int64_t t = 0; t < n_texels; ++t) {
        if (is_hole[t] != 0) continue;
        const float away = (Eigen::Map<const Vec3f>(places.data_ptr<float>() + 3 * t) - points[i]).norm();
        if (away < least) least = away, best = t;
      }
      farthest = std::max(farthest, least);
      is_asked[static_cast<size_t>(best)] = true;
      texels.push_back(best);
    }
    for (const std::string& map : maps) {
      const auto raw = cases.as_float(name + "." + map + ".raw").reshape({n_texels, -1}).contiguous();
      MapValues& values = out[map];
      values.channels = static_cast<int>(raw.size(1));
      for (const int64_t t : texels) {
        const float* row = raw.data_ptr<float>() + t * values.channels;
        values.values.insert(values.values.end(), row, row + values.channels);
      }
    }
    return out;
  };
  const auto baked = bake_maps(mesh, recorded, size);
  EXPECT_LT(farthest, 1e-5f) << "every texel is asked for at the reference's point of the surface";
  for (int64_t t = 0; t < n_texels; ++t)
    EXPECT_EQ(is_asked[static_cast<size_t>(t)], is_hole[t] == 0) << "texel " << t;
  for (const std::string& map : maps) {
    const auto expected =
        cases.tensor(name + "." + map + ".u8").to(at::kByte).reshape({n_texels, -1}).contiguous();
    const io::Image8& image = baked.at(map);
    ASSERT_EQ(image.channels, expected.size(1)) << map;
    for (int64_t t = 0; t < n_texels; ++t)
      for (int c = 0; c < image.channels && is_hole[t] == 0; ++c) {
        // The reference cuts fractions off, and we round.
        const int ours = image.pixels[static_cast<size_t>(t * image.channels + c)],
                  theirs = expected.data_ptr<uint8_t>()[t * image.channels + c];
        EXPECT_TRUE(ours == theirs || ours == theirs + 1)
            << map << " of texel " << t << ": " << ours << ", " << theirs;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTextureBake, ::testing::Values("nomaterial", "pbr"));

}  // namespace
}  // namespace t3d::export_
