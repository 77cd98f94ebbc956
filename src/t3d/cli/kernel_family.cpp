#include "t3d/cli/kernel_family.h"

#include <algorithm>
#include <iterator>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::cli {
namespace {

struct Family {
  const char* name;
  ops::Simd simd;
  ops::MatrixUnit unit;
  const char *aten, *onednn, *openblas;  ///< their own names for it
};

constexpr Family kFamilies[] = {
    {"amx", ops::Simd::Avx512, ops::MatrixUnit::Amx, "avx512", "AVX512_CORE_AMX", "SkylakeX"},
    {"avx512-bf16", ops::Simd::Avx512, ops::MatrixUnit::Avx512, "avx512", "AVX512_CORE_BF16", "SkylakeX"},
    {"avx512", ops::Simd::Avx512, ops::MatrixUnit::None, "avx512", "AVX512_CORE", "SkylakeX"},
    {"avx2", ops::Simd::Avx2, ops::MatrixUnit::None, "avx2", "AVX2", "Haswell"},
    {"plain", ops::Simd::Portable, ops::MatrixUnit::None, "default", "SSE41", "Nehalem"},
};

constexpr const char* kNative = "native";

const Family* family_of(const std::string& name) {
  const auto* found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const Family& family) { return name == family.name; });
  return found == std::end(kFamilies) ? nullptr : found;
}

bool is_shown(const Family& family) {
  return family.simd <= ops::simd() && family.unit <= ops::matrix_unit();
}

}  // namespace

std::string family_names() {
  std::string names = kNative;
  for (const Family& family : kFamilies) names += cat(", ", family.name);
  return names;
}

void check_family(const std::string& name) {
  if (name == kNative) return;
  const Family* family = family_of(name);
  if (family == nullptr)
    throw UserError(
        cat("--kernels ", name, ": there is no such family; the names are ", family_names(), "."));
  if (is_shown(*family)) return;
  std::string shown = kNative;
  for (const Family& other : kFamilies)
    if (is_shown(other)) shown += cat(", ", other.name);
  throw UserError(cat("--kernels ", name, ": this processor lacks it; it can show ", shown, "."));
}

std::string environment_of(const std::string& name) {
  const Family* family = name == kNative ? nullptr : family_of(name);
  if (family == nullptr) return "";
  return cat("T3D_SIMD=", ops::simd_name(family->simd),
             " T3D_MATRIX_UNIT=", ops::matrix_unit_name(family->unit), " ATEN_CPU_CAPABILITY=", family->aten,
             " ONEDNN_MAX_CPU_ISA=", family->onednn, " DNNL_MAX_CPU_ISA=", family->onednn,
             " OPENBLAS_CORETYPE=", family->openblas, " ");
}

}  // namespace t3d::cli
