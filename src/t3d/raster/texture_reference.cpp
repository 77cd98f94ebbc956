#include "t3d/raster/texture_reference.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/raster/cube_map.h"

namespace t3d::raster {
namespace {

/// max(0, 1 - |x|)
at::Tensor tent(const at::Tensor& x) {
  return (1 - x.abs()).clamp_min(0);
}

/// Weights [P,n] of n texels in a row for coordinates [P].
at::Tensor weights_along(const at::Tensor& coordinate, int64_t n, const TextureOptions& options) {
  const bool wraps = options.boundary == TextureBoundary::Wrap;
  const at::Tensor centres = at::arange(n, coordinate.options()).unsqueeze(0);
  at::Tensor x = (wraps ? coordinate - coordinate.detach().floor() : coordinate) * n - 0.5;
  if (options.boundary == TextureBoundary::Clamp) x = x.clamp(0, n - 1);
  if (options.filter == TextureFilter::Nearest) {
    x = (x + 0.5).floor();
    if (options.boundary != TextureBoundary::Zero) x = x.clamp(0, n - 1);
    return (x.unsqueeze(1) == centres).to(coordinate.scalar_type());
  }
  at::Tensor w = tent(x.unsqueeze(1) - centres);
  if (wraps) w = w + tent(x.unsqueeze(1) - centres - n) + tent(x.unsqueeze(1) - centres + n);
  return w;
}

struct FacePlace {
  int64_t face;
  double x, y;  // in [-1,1]
};

/// Where a direction meets the cube, by the table of cube_map.h.
FacePlace face_place(double dx, double dy, double dz) {
  const double ax = std::abs(dx), ay = std::abs(dy), az = std::abs(dz);
  if (az > ax && az > ay) return dz > 0 ? FacePlace{4, dx / az, -dy / az} : FacePlace{5, -dx / az, -dy / az};
  if (ay > ax) return dy > 0 ? FacePlace{2, dx / ay, dz / ay} : FacePlace{3, dx / ay, -dz / ay};
  return dx > 0 ? FacePlace{0, -dz / ax, -dy / ax} : FacePlace{1, dz / ax, -dy / ax};
}

/// A cube [B,6,N,N,C] with a border of one texel around each face, [B,6,N+2,N+2,C].
at::Tensor with_border(const at::Tensor& cube) {
  const int64_t n = cube.size(2), m = n + 2;
  const at::Tensor inner = cube_directions(n), half = cube_directions(2);
  at::Tensor index = at::zeros({6, m, m}, at::kLong);
  for (int64_t f = 0; f < 6; ++f)
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < m; ++column) {
        // Faces are flat: the border lies one more step out.
        const at::Tensor origin = inner[f][0][0];
        const at::Tensor step = (half[f][0][1] - half[f][0][0]) * 2 / n,
                         down = (half[f][1][0] - half[f][0][0]) * 2 / n;
        const at::Tensor d = origin + step * (column - 1) + down * (row - 1);
        const FacePlace p = face_place(d[0].item<double>(), d[1].item<double>(), d[2].item<double>());
        const auto texel = [n](double x) {
          return std::min(std::max<int64_t>(static_cast<int64_t>(std::floor((x + 1) / 2 * n)), 0), n - 1);
        };
        index[f][row][column] = (p.face * n + texel(p.y)) * n + texel(p.x);
      }
  at::Tensor out = cube.reshape({cube.size(0), 6 * n * n, -1})
                       .index_select(1, index.reshape({-1}))
                       .reshape({cube.size(0), 6, m, m, -1});
  at::Tensor mask = at::zeros({m, m, 1}, out.options()), corners = at::zeros_like(out);
  for (const int64_t row : {int64_t{0}, m - 1})
    for (const int64_t column : {int64_t{0}, m - 1}) {
      const int64_t in_row = row == 0 ? 1 : n, in_column = column == 0 ? 1 : n;
      const auto at = [&](int64_t r, int64_t c) { return out.select(2, r).select(2, c); };
      const at::Tensor mean =
          (at(in_row, in_column) + at(in_row, column) + at(row, in_column)) / 3;  // [B,6,C]
      at::Tensor here = at::zeros({m, m, 1}, out.options());
      here[row][column] = 1;
      mask = mask + here;
      corners = corners + here * mean.unsqueeze(2).unsqueeze(2);
    }
  return out * (1 - mask) + corners;
}

/// [P,C] of one image's level [Ht,Wt,C] or [6,N,N,C] at s, t [P] and, for a cube, faces [P].
at::Tensor sample_level(const at::Tensor& level, const at::Tensor& s, const at::Tensor& t,
                        const at::Tensor& face, const TextureOptions& options) {
  if (options.boundary != TextureBoundary::Cube)
    return at::einsum("pi,pj,ijc->pc", {weights_along(t, level.size(0), options),
                                        weights_along(s, level.size(1), options), level});
  const int64_t n = level.size(1);
  TextureOptions flat = options;
  flat.boundary = TextureBoundary::Zero;
  at::Tensor u = s, v = t, texels = level;
  if (options.filter == TextureFilter::Nearest) {
    u = s.clamp(0, 1 - 1e-12), v = t.clamp(0, 1 - 1e-12);
  } else {
    texels = with_border(level.unsqueeze(0))[0];
    u = (s * n + 1) / (n + 2), v = (t * n + 1) / (n + 2);
  }
  const at::Tensor chosen = texels.index_select(0, face);  // [P,n,n,C]
  return at::einsum("pi,pj,pijc->pc",
                    {weights_along(v, texels.size(1), flat), weights_along(u, texels.size(2), flat), chosen});
}

/// The places on the cube and their derivatives by the pixel.
struct CubePlaces {
  at::Tensor s, t, face;  // [P]
  at::Tensor s_by, t_by;  // [P,2]; undefined without derivatives
};

CubePlaces cube_places(const at::Tensor& d, const at::Tensor& da) {
  const at::Tensor here = d.detach().contiguous();
  at::Tensor face = at::empty({d.size(0)}, at::kLong);
  at::Tensor s_of = at::zeros({6, 3}, d.options()), t_of = at::zeros({6, 3}, d.options()),
             m_of = at::zeros({6, 3}, d.options());
  for (int64_t f = 0; f < 6; ++f) m_of[f][f / 2] = f % 2 == 0 ? 1 : -1;
  s_of[0][2] = -1, s_of[1][2] = 1, s_of[2][0] = 1, s_of[3][0] = 1, s_of[4][0] = 1, s_of[5][0] = -1;
  t_of[0][1] = -1, t_of[1][1] = -1, t_of[2][2] = 1, t_of[3][2] = -1, t_of[4][1] = -1, t_of[5][1] = -1;
  for (int64_t p = 0; p < d.size(0); ++p) {
    const double* v = here.data_ptr<double>() + 3 * p;
    face[p] = face_place(v[0], v[1], v[2]).face;
  }
  const auto along = [&](const at::Tensor& of, const at::Tensor& vector) {
    return (of.index_select(0, face) * vector).sum(1);
  };
  const at::Tensor m = along(m_of, d), x = along(s_of, d) / m, y = along(t_of, d) / m;
  CubePlaces out{(x + 1) / 2, (y + 1) / 2, face, {}, {}};
  if (!da.defined()) return out;
  std::vector<at::Tensor> s_by, t_by;
  for (int64_t i = 0; i < 2; ++i) {
    const at::Tensor slope = da.reshape({-1, 3, 2}).select(2, i), dm = along(m_of, slope);
    s_by.push_back((along(s_of, slope) - x * dm) / m / 2);
    t_by.push_back((along(t_of, slope) - y * dm) / m / 2);
  }
  out.s_by = at::stack(s_by, 1), out.t_by = at::stack(t_by, 1);
  return out;
}

}  // namespace

at::Tensor texture_reference(const at::Tensor& tex, const at::Tensor& uv, const TextureOptions& options,
                             const at::Tensor& uv_da, const at::Tensor& mip_level_bias,
                             const std::vector<at::Tensor>& mips) {
  const bool is_cube = options.boundary == TextureBoundary::Cube;
  const bool has_levels = options.filter == TextureFilter::LinearMipmapNearest ||
                          options.filter == TextureFilter::LinearMipmapLinear;
  std::vector<at::Tensor> levels = {tex};
  if (has_levels)
    for (const at::Tensor& level : mips.empty() ? texture_mips(tex, options.max_mip_level) : mips)
      levels.push_back(level);
  std::vector<at::Tensor> images;
  for (int64_t b = 0; b < uv.size(0); ++b) {
    const at::Tensor flat = uv[b].reshape({-1, uv.size(-1)});
    const at::Tensor da = uv_da.defined() ? uv_da[b].reshape({-1, uv_da.size(-1)}) : at::Tensor();
    CubePlaces p;
    if (is_cube) {
      p = cube_places(flat, da);
    } else {
      p = {flat.select(1, 0), flat.select(1, 1), {}, {}, {}};
      if (da.defined()) p.s_by = da.slice(1, 0, 2), p.t_by = da.slice(1, 2, 4);
    }
    at::Tensor lod = at::zeros_like(p.s);
    if (has_levels && mip_level_bias.defined()) lod = mip_level_bias[b].reshape({-1});
    if (has_levels && da.defined()) {
      const at::Tensor J = at::stack({p.s_by * tex.size(-2), p.t_by * tex.size(-3)}, 1);  // [P,2,2]
      const at::Tensor squares = at::matmul(J.transpose(1, 2), J);
      const at::Tensor a = squares.select(1, 0).select(1, 0), d = squares.select(1, 1).select(1, 1),
                       c = squares.select(1, 0).select(1, 1);
      // The larger root of the characteristic polynomial.
      const at::Tensor largest = (a + d) / 2 + (((a + d) / 2).square() - (a * d - c * c)).sqrt();
      lod = lod + largest.log2() / 2;
    }
    lod = lod.clamp(0, static_cast<double>(levels.size() - 1));
    if (options.filter == TextureFilter::LinearMipmapNearest) lod = (lod + 0.5).floor().detach();
    at::Tensor sum;
    for (size_t l = 0; l < levels.size(); ++l) {
      const at::Tensor image = levels[l][tex.size(0) == 1 ? 0 : b];
      const at::Tensor part =
          tent(lod - static_cast<double>(l)).unsqueeze(1) * sample_level(image, p.s, p.t, p.face, options);
      sum = sum.defined() ? sum + part : part;
    }
    images.push_back(sum.reshape({uv.size(1), uv.size(2), tex.size(-1)}));
  }
  return at::stack(images);
}

}  // namespace t3d::raster
