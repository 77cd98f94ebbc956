#include "t3d/shading/fg_table.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstring>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/math/ggx.h"

namespace t3d::shading {

at::Tensor fg_table(int64_t n) {
  constexpr int kSide = 12;  // 144 samples: within 0.005 of many more
  const at::Tensor out = at::empty({n, n, 2}, at::kFloat);
  float* to = out.data_ptr<float>();
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t column = 0; column < n; ++column) {
        const float roughness = (static_cast<float>(row) + 0.5f) / static_cast<float>(n);
        const float cosine = (static_cast<float>(column) + 0.5f) / static_cast<float>(n);
        const GgxAlbedo albedo = ggx_albedo(cosine, roughness * roughness, kSide);
        // Schlick's term is F0 (1 - f) + f, so that b is all that F90 = 1 adds.
        to[2 * (row * n + column)] = albedo.a;
        to[2 * (row * n + column) + 1] = albedo.b;
      }
  });
  return out;
}

at::Tensor read_fg_table(const std::string& path) {
  constexpr int64_t kSize = 256;
  const std::string bytes = read_whole_file(path);
  const at::Tensor out = at::empty({kSize, kSize, 2}, at::kFloat);
  if (bytes.size() != out.nbytes())
    throw UserError(cat(path, ": the file has ", bytes.size(), " bytes, and 256x256x2 floats are ",
                        out.nbytes(), ". Remove it, and the table is computed."));
  std::memcpy(out.data_ptr<float>(), bytes.data(), bytes.size());
  return out;
}

}  // namespace t3d::shading
