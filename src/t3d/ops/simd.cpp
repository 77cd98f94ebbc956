#include "t3d/ops/simd.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#ifdef T3D_HAS_BFLOAT16_KERNELS
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace t3d::ops {
namespace {

constexpr Simd kAll[] = {Simd::Portable, Simd::Avx2, Simd::Avx512, Simd::Avx512Bf16, Simd::Amx};

#ifdef T3D_HAS_BFLOAT16_KERNELS
bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBf16) == 0 || (d & kTile) == 0) return false;
#ifdef __linux__
  // Eight kilobytes of registers more to save: Linux wants every process to ask before the first use. What
  // it grants holds for all threads.
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 5)) != 0;
}
#endif

Simd find_best_of_cpu() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#ifdef T3D_HAS_BFLOAT16_KERNELS
  if (avx512 && has_avx512_bf16()) return has_amx_bf16() ? Simd::Amx : Simd::Avx512Bf16;
#endif
  return avx512 ? Simd::Avx512 : avx2 ? Simd::Avx2 : Simd::Portable;
#else
  return Simd::Portable;
#endif
}

Simd best_of_cpu() {
  static const Simd best = find_best_of_cpu();
  return best;
}

Simd wanted_by_environment(Simd best) {
  const char* name = std::getenv("T3D_SIMD");
  if (name == nullptr) return best;
  for (Simd candidate : kAll)
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
  switch (simd) {
    case Simd::Amx:
      return "amx";
    case Simd::Avx512Bf16:
      return "avx512bf16";
    case Simd::Avx512:
      return "avx512";
    case Simd::Avx2:
      return "avx2";
    default:
      return "portable";
  }
}

bool has_fast_bfloat16() {
#ifdef T3D_HAS_BFLOAT16_KERNELS
  return simd() == Simd::Amx || (simd() == Simd::Avx512Bf16 && __builtin_cpu_is("amd") != 0);
#else
  return false;
#endif
}

}  // namespace t3d::ops
