#include "t3d/ops/matrix_unit.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace t3d::ops {
namespace {

#if defined(__x86_64__) && defined(__GNUC__)

/// Linux lets a process use tiles only after it has asked: their state is 8 KiB a thread.
bool amx_granted() {
#ifdef SYS_arch_prctl
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

MatrixUnit best_of_cpu() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (simd() != Simd::Avx512 || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return MatrixUnit::None;
  constexpr unsigned kAvx512Bf16 = 1u << 5, kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  if ((a & kAvx512Bf16) == 0) return MatrixUnit::None;
  __get_cpuid_count(7, 0, &a, &b, &c, &d);
  const bool amx = (d & kAmxBf16) != 0 && (d & kAmxTile) != 0;
  return amx && amx_granted() ? MatrixUnit::Amx : MatrixUnit::Avx512;
}

#else

MatrixUnit best_of_cpu() {
  return MatrixUnit::None;
}

#endif

MatrixUnit best() {
  static const MatrixUnit value = best_of_cpu();
  return value;
}

MatrixUnit& current() {
  static MatrixUnit value = [] {
    const char* name = std::getenv("T3D_MATRIX_UNIT");
    for (MatrixUnit unit : {MatrixUnit::None, MatrixUnit::Avx512, MatrixUnit::Amx})
      if (name != nullptr && std::string(name) == matrix_unit_name(unit)) return std::min(unit, best());
    return best();
  }();
  return value;
}

}  // namespace

MatrixUnit matrix_unit() {
  return current();
}

void set_matrix_unit(MatrixUnit wanted) {
  current() = std::min(wanted, best());
}

bool has_fast_matrix_unit() {
#if defined(__x86_64__) && defined(__GNUC__)
  return matrix_unit() == MatrixUnit::Amx ||
         (matrix_unit() == MatrixUnit::Avx512 && __builtin_cpu_is("amd") != 0);
#else
  return false;
#endif
}

const char* matrix_unit_name(MatrixUnit unit) {
  return unit == MatrixUnit::Amx ? "amx" : unit == MatrixUnit::Avx512 ? "avx512" : "none";
}

}  // namespace t3d::ops
