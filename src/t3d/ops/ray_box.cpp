#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

#include "t3d/core/error.h"
#include "t3d/ops/ray_march.h"

namespace t3d::ops {
namespace {

/// Kay and Kajiya's slabs. An axis the ray does not move along divides by zero; the infinities (and the NaN
/// of an origin exactly on the slab, which loses every comparison) leave the interval as it is.
template <class T>
void ray_box(const T* origins, const T* directions, int64_t n_rays, const T* low, const T* high, T miss,
             T* t_min, T* t_max, uint8_t* hit) {
  at::parallel_for(0, n_rays, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T enter = -std::numeric_limits<T>::infinity(), leave = std::numeric_limits<T>::infinity();
      for (int axis = 0; axis < 3; ++axis) {
        const T inverse = T(1) / directions[3 * r + axis], o = origins[3 * r + axis];
        T a = (low[axis] - o) * inverse, b = (high[axis] - o) * inverse;
        if (inverse < T(0)) std::swap(a, b);
        if (a > enter) enter = a;
        if (b < leave) leave = b;
      }
      const bool is_hit = enter <= leave && leave > T(0) && leave < std::numeric_limits<T>::infinity();
      t_min[r] = is_hit ? enter : miss;
      t_max[r] = is_hit ? leave : miss;
      hit[r] = is_hit ? 1 : 0;
    }
  });
}

}  // namespace

void cpu::ray_box(const float* origins, const float* directions, int64_t n_rays, const float* box_min,
                  const float* box_max, float miss, float* t_min, float* t_max, uint8_t* hit) {
  t3d::ops::ray_box(origins, directions, n_rays, box_min, box_max, miss, t_min, t_max, hit);
}

RayBoxHits intersect_box(const at::Tensor& origins, const at::Tensor& directions, const Box3f& box,
                         double miss) {
  T3D_CHECK(origins.dim() == 2 && origins.size(1) == 3 && origins.sizes() == directions.sizes(), "origins ",
            origins.sizes(), " and directions ", directions.sizes(), " must both be [R,3]");
  const at::Tensor o = origins.detach().contiguous(), d = directions.detach().contiguous();  // [R,3]
  const int64_t n = o.size(0);
  RayBoxHits out{at::empty({n}, o.options()), at::empty({n}, o.options()), at::empty({n}, at::kBool)};
  auto* hit = reinterpret_cast<uint8_t*>(out.hit.data_ptr<bool>());
  if (o.scalar_type() == at::kDouble) {
    const Vec3d low = box.min.cast<double>(), high = box.max.cast<double>();
    ray_box(o.data_ptr<double>(), d.data_ptr<double>(), n, low.data(), high.data(), miss,
            out.t_min.data_ptr<double>(), out.t_max.data_ptr<double>(), hit);
  } else {
    ray_box(o.data_ptr<float>(), d.data_ptr<float>(), n, box.min.data(), box.max.data(),
            static_cast<float>(miss), out.t_min.data_ptr<float>(), out.t_max.data_ptr<float>(), hit);
  }
  return out;
}

}  // namespace t3d::ops
