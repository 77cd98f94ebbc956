#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/raster/texture.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::raster {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;

const char* const kFiles[] = {"rasterizer/cases_sphere.safetensors",
                              "rasterizer/cases_triangles.safetensors"};

TextureFilter filter_named(const std::string& name) {
  if (name == "nearest") return TextureFilter::Nearest;
  if (name == "linear") return TextureFilter::Linear;
  if (name == "linear-mipmap-nearest") return TextureFilter::LinearMipmapNearest;
  if (name == "linear-mipmap-linear") return TextureFilter::LinearMipmapLinear;
  throw std::runtime_error("there is no filter " + name);
}

TextureBoundary boundary_named(const std::string& name) {
  if (name == "wrap") return TextureBoundary::Wrap;
  if (name == "clamp") return TextureBoundary::Clamp;
  if (name == "zero") return TextureBoundary::Zero;
  throw std::runtime_error("there is no boundary " + name);
}

/// Texture coordinates of the recorded image [1,H,W,2], their derivatives [1,H,W,4] and the covered pixels.
struct RecordedPlaces {
  at::Tensor uv, uv_da, is_covered;
};

RecordedPlaces places_in(const GoldenCases& cases, const at::Tensor& vertex_uv) {
  const at::Tensor rast = cases.as_float("rast"), db = cases.as_float("rast_db");
  const at::Tensor id = rast.select(-1, 3).to(at::kLong);                                       // [1,H,W]
  const at::Tensor corners = cases.tensor("tri").to(at::kLong).index({(id - 1).clamp_min(0)});  // [1,H,W,3]
  const auto corner = [&](int64_t k) { return vertex_uv[0].index({corners.select(-1, k)}); };
  const at::Tensor along_u = corner(0) - corner(2), along_v = corner(1) - corner(2);  // [1,H,W,2]
  const auto part = [](const at::Tensor& t, int64_t k) { return t.select(-1, k).unsqueeze(-1); };
  RecordedPlaces out;
  out.uv = corner(2) + part(rast, 0) * along_u + part(rast, 1) * along_v;
  const at::Tensor by_x = part(db, 0) * along_u + part(db, 2) * along_v;
  const at::Tensor by_y = part(db, 1) * along_u + part(db, 3) * along_v;
  out.uv_da = at::stack({by_x, by_y}, -1).flatten(-2);
  out.is_covered = (id > 0).unsqueeze(-1).to(at::kFloat);
  return out;
}

TEST(GoldenTexture, LookupsAndGradientsMatchNvdiffrast) {
  for (const char* file : kFiles) {
    T3D_NEED_CASES(file);
    const GoldenCases cases(file);
    const GoldenOptions options(file);
    for (const std::string& name : options.runs()) {
      const GoldenOptions run = options.run(name);
      at::Tensor tex = cases.as_float("tex").clone().set_requires_grad(true);
      at::Tensor uv = cases.as_float("uv").clone().set_requires_grad(true);
      const RecordedPlaces places = places_in(cases, uv);
      TextureOptions lookup;
      lookup.filter = filter_named(run.text("filter_mode"));
      lookup.boundary = boundary_named(run.text("boundary_mode"));
      if (run.has("max_mip_level")) lookup.max_mip_level = static_cast<int>(run.whole("max_mip_level"));
      const at::Tensor image =
          texture(tex, places.uv, lookup, run.truth("uses_uv_da") ? places.uv_da : at::Tensor()) *
          places.is_covered;
      const auto gradients = torch::autograd::grad({(image * cases.as_float("R")).sum()}, {tex, uv});
      const std::string key = std::string(file) + ": " + name;
      const double errors[] = {max_relative_error(image, cases.tensor(name), 1),
                               max_relative_error(gradients[0], cases.tensor(name + ".grad.tex")),
                               max_relative_error(gradients[1], cases.tensor(name + ".grad.uv"))};
      EXPECT_LT(errors[0], 1e-4) << key;
      EXPECT_LT(errors[1], 1e-3) << key;
      EXPECT_LT(errors[2], 1e-3) << key;
      testing::record_golden(key, errors[0]);
      testing::record_golden(key + ".grad.tex", errors[1]);
      testing::record_golden(key + ".grad.uv", errors[2]);
    }
  }
}

}  // namespace
}  // namespace t3d::raster
