#pragma once

/// Which instruction set the raw CPU kernels use: chosen once, at run time.
///
/// A kernel is written once as always-inline templates over vector types of the compiler's own, and
/// instantiated inside one function per instruction set, which carries the T3D_TARGET_ attribute.
namespace t3d::ops {

/// Each has all that those before it have. Avx512Bf16: vdpbf16ps. Amx: tile products of bfloat16, with the
/// kernel's leave to use them.
enum class Simd { Portable, Avx2, Avx512, Avx512Bf16, Amx };

/// The best that the CPU has, or less: T3D_SIMD=portable|avx2|avx512|avx512bf16|amx in the environment, or
/// set_simd.
Simd simd();
/// For tests and benchmarks. Never raises it above what the CPU has.
void set_simd(Simd wanted);
const char* simd_name(Simd simd);

/// Whether products of bfloat16 are faster than those of float32 with simd(): with AMX sixteen times, with
/// vdpbf16ps twice on AMD's processors, while Intel's take four times as long for it as for a float32
/// multiply-add (measured on a Xeon of 2023), half as fast in all.
bool has_fast_bfloat16();

}  // namespace t3d::ops

#define T3D_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__)
#define T3D_TARGET_AVX2 __attribute__((target("avx2,fma,bmi,bmi2")))
#define T3D_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")))
#else
#define T3D_TARGET_AVX2
#define T3D_TARGET_AVX512
#endif
#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 11))
#define T3D_HAS_BFLOAT16_KERNELS 1
#define T3D_TARGET_AVX512BF16 \
  __attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")))
#endif
