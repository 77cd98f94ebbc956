#pragma once

#include "t3d/ops/simd.h"

namespace t3d::ops {

/// What multiplies bfloat16 matrices on this CPU, chosen once, at run time: nothing by itself, the AVX-512
/// BF16 instruction, or AMX tiles. Kernels that need one say so, and callers fall back on LibTorch.
enum class MatrixUnit { None, Avx512, Amx };

/// The best that the CPU and the kernel grant, or less: T3D_MATRIX_UNIT=none|avx512|amx in the environment,
/// T3D_SIMD below avx512, or set_matrix_unit.
MatrixUnit matrix_unit();
/// For tests and benchmarks. Never raises it above what the CPU has.
void set_matrix_unit(MatrixUnit wanted);
const char* matrix_unit_name(MatrixUnit unit);

/// Whether its products are faster than those of float32: AMX sixteen times; vdpbf16ps twice on AMD's
/// processors by their manuals, while on a Xeon of 2023 we measured half the rate.
bool has_fast_matrix_unit();

}  // namespace t3d::ops
