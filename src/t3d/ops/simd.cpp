#include "t3d/ops/simd.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace t3d::ops {
namespace {

Simd best_of_cpu() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return avx512 ? Simd::Avx512 : avx2 ? Simd::Avx2 : Simd::Portable;
#else
  return Simd::Portable;
#endif
}

Simd wanted_by_environment(Simd best) {
  const char* name = std::getenv("T3D_SIMD");
  if (name == nullptr) return best;
  for (Simd candidate : {Simd::Portable, Simd::Avx2, Simd::Avx512})
    if (std::string(name) == simd_name(candidate)) return std::min(candidate, best);
  return best;
}

Simd& current() {
  static Simd value = wanted_by_environment(best_of_cpu());
  return value;
}

}  // namespace

Simd simd() {
  return current();
}

void set_simd(Simd wanted) {
  current() = std::min(wanted, best_of_cpu());
}

const char* simd_name(Simd simd) {
  return simd == Simd::Avx512 ? "avx512" : simd == Simd::Avx2 ? "avx2" : "portable";
}

}  // namespace t3d::ops
