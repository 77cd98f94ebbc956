#include "t3d/raster/texture.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/core/error.h"
#include "t3d/ops/device.h"
#include "t3d/raster/absent_tensor.h"
#include "t3d/raster/texture_cpu.h"

#ifdef T3D_HAS_CUDA
#include "t3d/raster/texture_cuda.h"
#endif

namespace t3d::raster {
namespace {

using lookup::PlaceGradients;
using lookup::Places;
using lookup::TextureView;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

template <class Body>
void with_texture_type(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kDouble) return body(double{});
  T3D_CHECK(tensor.scalar_type() == at::kFloat, "a texture is float or double, not ", tensor.scalar_type());
  body(float{});
}

lookup::Filter filter_of(TextureFilter filter) {
  switch (filter) {
    case TextureFilter::Nearest:
      return lookup::Filter::Nearest;
    case TextureFilter::Linear:
      return lookup::Filter::Linear;
    case TextureFilter::LinearMipmapNearest:
      return lookup::Filter::MipmapNearest;
    case TextureFilter::LinearMipmapLinear:
      return lookup::Filter::MipmapLinear;
  }
  return lookup::Filter::Linear;
}

lookup::Boundary boundary_of(TextureBoundary boundary) {
  switch (boundary) {
    case TextureBoundary::Wrap:
      return lookup::Boundary::Wrap;
    case TextureBoundary::Clamp:
      return lookup::Boundary::Clamp;
    case TextureBoundary::Zero:
      return lookup::Boundary::Zero;
    case TextureBoundary::Cube:
      return lookup::Boundary::Cube;
  }
  return lookup::Boundary::Wrap;
}

template <class T>
TextureView<T> view_of(const variable_list& levels, int64_t filter, int64_t boundary) {
  TextureView<T> view{};
  view.filter = static_cast<lookup::Filter>(filter);
  view.boundary = static_cast<lookup::Boundary>(boundary);
  view.n_levels = static_cast<int>(levels.size());
  view.n_images = levels[0].size(0);
  view.n_channels = static_cast<int>(levels[0].size(-1));
  int64_t n_texels = 0;
  for (size_t l = 0; l < levels.size(); ++l) {
    view.levels[l] = levels[l].data_ptr<T>();
    view.height[l] = static_cast<int>(levels[l].size(-3));
    view.width[l] = static_cast<int>(levels[l].size(-2));
    view.first_texel[l] = n_texels;
    n_texels += levels[l].numel() / view.n_channels;
  }
  return view;
}

template <class T>
Places<T> places_of(const at::Tensor& uv, const at::Tensor& uv_da, const at::Tensor& bias) {
  return {uv.data_ptr<T>(), data_or_null<T>(uv_da), data_or_null<T>(bias), uv.numel() / uv.size(-1),
          uv.size(1) * uv.size(2)};
}

/// Function::apply wants what may be absent as an optional.
c10::optional<at::Tensor> optional_of(const at::Tensor& t) {
  return t.defined() ? c10::optional<at::Tensor>(t) : c10::nullopt;
}

at::Tensor contiguous_or_none(const c10::optional<at::Tensor>& t) {
  return raster::contiguous_or_none(t.value_or(at::Tensor()));
}

struct Lookup : public Function<Lookup> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& uv_in,
                            const c10::optional<at::Tensor>& uv_da_in,
                            const c10::optional<at::Tensor>& bias_in, at::TensorList levels_in,
                            int64_t filter, int64_t boundary) {
    const at::Tensor uv = uv_in.contiguous(), uv_da = contiguous_or_none(uv_da_in),
                     bias = contiguous_or_none(bias_in);
    variable_list levels;
    bool has_learned_texels = false;
    for (const at::Tensor& level : levels_in) {
      levels.push_back(level.contiguous());
      has_learned_texels = has_learned_texels || level.requires_grad();
    }
    at::Tensor out = at::empty({uv.size(0), uv.size(1), uv.size(2), levels[0].size(-1)}, uv.options());
    with_texture_type(uv, [&](auto zero) {
      using T = decltype(zero);
      const auto view = view_of<T>(levels, filter, boundary);
      const auto places = places_of<T>(uv, uv_da, bias);
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(uv))
        return cuda::sample_texture(view, places, out.data_ptr<T>(), ops::current_stream());
#endif
      cpu::sample_texture(view, places, out.data_ptr<T>());
    });
    variable_list saved = {uv, uv_da, bias};
    saved.insert(saved.end(), levels.begin(), levels.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["filter"] = filter;
    ctx->saved_data["boundary"] = boundary;
    ctx->saved_data["has_learned_texels"] = has_learned_texels;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &uv = saved[0], &uv_da = saved[1], &bias = saved[2];
    const variable_list levels(saved.begin() + 3, saved.end());
    const bool has_learned_texels = ctx->saved_data["has_learned_texels"].toBool();
    const at::Tensor d_out = gradients[0].contiguous();  // [B,H,W,C]
    const at::Tensor d_uv = at::empty_like(uv), d_da = uv_da.defined() ? at::empty_like(uv_da) : at::Tensor(),
                     d_bias = bias.defined() ? at::empty_like(bias) : at::Tensor();
    const int64_t n_channels = d_out.size(-1);
    int64_t n_texels = 0;
    for (const at::Tensor& level : levels) n_texels += level.numel() / n_channels;
    const at::Tensor d_texels =
        has_learned_texels ? at::zeros({n_texels, n_channels}, uv.options()) : at::Tensor();
    with_texture_type(uv, [&](auto zero) {
      using T = decltype(zero);
      const auto view =
          view_of<T>(levels, ctx->saved_data["filter"].toInt(), ctx->saved_data["boundary"].toInt());
      const auto places = places_of<T>(uv, uv_da, bias);
      const auto pointer = [](const at::Tensor& t) { return t.defined() ? t.data_ptr<T>() : nullptr; };
      const PlaceGradients<T> to = {pointer(d_uv), pointer(d_da), pointer(d_bias)};
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(uv))
        return cuda::sample_texture_adjoint(view, places, d_out.data_ptr<T>(), to, pointer(d_texels),
                                            ops::current_stream());
#endif
      cpu::sample_texture_adjoint(view, places, d_out.data_ptr<T>(), to, pointer(d_texels));
    });
    variable_list out = {d_uv, d_da, d_bias};
    int64_t first = 0;
    for (const at::Tensor& level : levels) {
      const int64_t n = level.numel() / n_channels;
      out.push_back(has_learned_texels ? d_texels.narrow(0, first, n).view(level.sizes()) : at::Tensor());
      first += n;
    }
    out.insert(out.end(), {at::Tensor(), at::Tensor()});
    return out;
  }
};

void check_shapes(const std::vector<at::Tensor>& levels, const at::Tensor& uv, bool is_cube,
                  const at::Tensor& uv_da, const at::Tensor& bias) {
  const at::Tensor& tex = levels[0];
  T3D_CHECK(uv.dim() == 4 && uv.size(-1) == (is_cube ? 3 : 2), "texture coordinates are [B,H,W,",
            is_cube ? 3 : 2, "], not ", uv.sizes());
  T3D_CHECK(tex.dim() == (is_cube ? 5 : 4), "a texture is [B,H,W,C], a cube [B,6,N,N,C], not ", tex.sizes());
  T3D_CHECK(!is_cube || (tex.size(1) == 6 && tex.size(2) == tex.size(3)), "a cube is [B,6,N,N,C], not ",
            tex.sizes());
  T3D_CHECK(tex.size(0) == 1 || tex.size(0) == uv.size(0), "a texture of ", tex.size(0), " images for ",
            uv.size(0), " images of coordinates");
  T3D_CHECK(tex.size(-3) > 0 && tex.size(-2) > 0, "a texture without texels: ", tex.sizes());
  T3D_CHECK(static_cast<int>(levels.size()) <= lookup::kMaxLevels, "a texture of ", levels.size(), " levels");
  for (size_t l = 1; l < levels.size(); ++l) {
    const at::Tensor& above = levels[l - 1];
    auto wanted = above.sizes().vec();
    for (size_t side = wanted.size() - 3; side < wanted.size() - 1; ++side)
      wanted[side] = std::max<int64_t>(wanted[side] / 2, 1);
    T3D_CHECK(levels[l].sizes() == at::IntArrayRef(wanted), "level ", l, " of a texture is ",
              levels[l].sizes(), ", not ", at::IntArrayRef(wanted));
  }
  auto leading = uv.sizes().vec();
  if (uv_da.defined()) {
    leading.back() = is_cube ? 6 : 4;
    T3D_CHECK(uv_da.sizes() == at::IntArrayRef(leading), "uv_da is ", uv_da.sizes(), ", not ",
              at::IntArrayRef(leading));
  }
  leading.pop_back();
  T3D_CHECK(!bias.defined() || bias.sizes() == at::IntArrayRef(leading), "mip_level_bias is ", bias.sizes(),
            ", not ", at::IntArrayRef(leading));
  for (const at::Tensor& t : {uv_da, bias, tex})
    T3D_CHECK(!t.defined() || (t.scalar_type() == uv.scalar_type() && t.device() == uv.device()),
              "a texture and its coordinates are of one type, on one device");
}

}  // namespace

std::vector<at::Tensor> texture_mips(const at::Tensor& tex, std::optional<int> max_level) {
  std::vector<at::Tensor> levels;
  at::Tensor level = tex;
  const int last = std::min(max_level.value_or(lookup::kMaxLevels - 1), lookup::kMaxLevels - 1);
  while (static_cast<int>(levels.size()) < last && (level.size(-3) > 1 || level.size(-2) > 1)) {
    const int64_t h = level.size(-3), w = level.size(-2), in_h = h > 1 ? 2 : 1, in_w = w > 1 ? 2 : 1;
    if (h % in_h != 0 || w % in_w != 0)
      throw UserError(cat("level ", levels.size(), " of a texture has ", w, "x", h,
                          " texels, which cannot be halved. Use a size that is a power of two, or a smaller"
                          " max_mip_level."));
    std::vector<int64_t> shape = level.sizes().vec();
    shape.resize(shape.size() - 3);
    const auto n = static_cast<int64_t>(shape.size());
    shape.insert(shape.end(), {h / in_h, in_h, w / in_w, in_w, level.size(-1)});
    level = level.reshape(shape).mean({n + 1, n + 3});
    levels.push_back(level);
  }
  return levels;
}

at::Tensor texture(const at::Tensor& tex, const at::Tensor& uv, const TextureOptions& options,
                   const at::Tensor& uv_da, const at::Tensor& mip_level_bias,
                   const std::vector<at::Tensor>& mips) {
  const bool has_levels = options.filter == TextureFilter::LinearMipmapNearest ||
                          options.filter == TextureFilter::LinearMipmapLinear;
  std::vector<at::Tensor> levels = {tex};
  if (has_levels) {
    std::vector<at::Tensor> coarser = mips.empty() ? texture_mips(tex, options.max_mip_level) : mips;
    if (options.max_mip_level && static_cast<int>(coarser.size()) > *options.max_mip_level)
      coarser.resize(static_cast<size_t>(*options.max_mip_level));
    levels.insert(levels.end(), coarser.begin(), coarser.end());
    T3D_CHECK(uv_da.defined() || mip_level_bias.defined(),
              "mipmaps need uv_da or mip_level_bias to choose the level by");
  }
  const at::Tensor da = has_levels ? uv_da : at::Tensor(), bias = has_levels ? mip_level_bias : at::Tensor();
  check_shapes(levels, uv, options.boundary == TextureBoundary::Cube, da, bias);
  return Lookup::apply(uv, optional_of(da), optional_of(bias), at::TensorList(levels),
                       static_cast<int64_t>(filter_of(options.filter)),
                       static_cast<int64_t>(boundary_of(options.boundary)));
}

}  // namespace t3d::raster
