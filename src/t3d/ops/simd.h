#pragma once

/// Which instruction set the raw CPU kernels use: chosen once, at run time.
///
/// A kernel is written once as always-inline templates over vector types of the compiler's own, and
/// instantiated inside one function per instruction set, which carries the T3D_TARGET_ attribute.
namespace t3d::ops {

enum class Simd { Portable, Avx2, Avx512 };

/// The best that the CPU has, or less: T3D_SIMD=portable|avx2|avx512 in the environment, or set_simd.
Simd simd();
/// For tests and benchmarks. Never raises it above what the CPU has.
void set_simd(Simd wanted);
const char* simd_name(Simd simd);

}  // namespace t3d::ops

#define T3D_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__)
#define T3D_TARGET_AVX2 __attribute__((target("avx2,fma,bmi,bmi2")))
#define T3D_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")))
#else
#define T3D_TARGET_AVX2
#define T3D_TARGET_AVX512
#endif
