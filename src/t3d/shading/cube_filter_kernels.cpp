#include "t3d/shading/cube_filter_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define T3D_FILTER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=haswell", "default")))
#else
#define T3D_FILTER_CLONES
#endif

namespace t3d::shading {

T3D_FILTER_CLONES
void add_glossy_texels(const CubeTexels& texels, int64_t first, int64_t n, const float* normal, float reach2,
                       float alpha2, float* sums) {
  const float *x = texels.x + first, *y = texels.y + first, *z = texels.z + first, *w = texels.weight + first,
              *r = texels.red + first, *g = texels.green + first, *b = texels.blue + first;
  const float nx = normal[0], ny = normal[1], nz = normal[2], slope = 0.25f * (1 - alpha2);
  float total = 0, red = 0, green = 0, blue = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - nx, dy = y[i] - ny, dz = z[i] - nz, q = dx * dx + dy * dy + dz * dz;
    const float d = alpha2 + q * slope;
    const float weight = q <= reach2 ? w[i] * (1 - 0.5f * q) / (d * d) : 0.0f;
    total += weight;
    red += weight * r[i];
    green += weight * g[i];
    blue += weight * b[i];
  }
  sums[0] += total, sums[1] += red, sums[2] += green, sums[3] += blue;
}

}  // namespace t3d::shading
