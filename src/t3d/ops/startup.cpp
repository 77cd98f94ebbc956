#include "t3d/ops/startup.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "t3d/core/text.h"

namespace t3d::ops {
namespace {

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool is_off(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

/// The path of the mapped library whose name contains `part`, or "".
std::string mapped_library(const std::string& part) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash != std::string::npos && line.find(part, slash) != std::string::npos) return line.substr(slash);
  }
  return "";
}

/// Hosts that preset an AVX2 kernel for OpenBLAS halve its speed on an AVX-512 processor.
bool coretype_holds_back() {
  const char* preset = std::getenv("OPENBLAS_CORETYPE");
  if (preset == nullptr || !has_avx512()) return false;
  const std::string name = preset;
  return name == "Haswell" || name == "Zen" || name == "Nehalem" || name == "Sandybridge" ||
         name == "Prescott";
}

/// libgomp's idle threads spin for milliseconds. When other programs want the cores too, they spin while the
/// thread they wait for is not running, and training slows down severalfold. It reads its variables
/// when it is loaded, so commands that work for long start over; for the others that is not worth 0.1 s.
bool spinning_holds_back(char** argv) {
  if (argv[0] == nullptr || argv[1] == nullptr) return false;
  const char* const long_ones[] = {"reconstruct", "prior", "generate", "train", "distill2d", "evaluate"};
  if (std::none_of(std::begin(long_ones), std::end(long_ones),
                   [&](const char* name) { return std::strcmp(argv[1], name) == 0; }))
    return false;
  return std::getenv("OMP_WAIT_POLICY") == nullptr && std::getenv("GOMP_SPINCOUNT") == nullptr;
}

}  // namespace

int usable_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int cores = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0)
    cores = std::min(cores, static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)));
  return std::max(1, cores);
}

void tune_process(char** argv) {
  if (is_off("T3D_NO_TUNING")) return;
  const bool wrong_core = coretype_holds_back(), spins = spinning_holds_back(argv);
  if ((wrong_core || spins) && std::getenv("T3D_TUNED") == nullptr) {
    if (wrong_core) {
      setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
      unsetenv("OPENBLAS_L2_SIZE");
    }
    if (spins) setenv("GOMP_SPINCOUNT", "4000", 1);
    setenv("T3D_TUNED", "1", 1);
    execv("/proc/self/exe", argv);  // on failure the program just goes on, slower
  }
  if (has_avx512()) {
    setenv("ATEN_CPU_CAPABILITY", "avx512", 0);
  } else if (has_avx2()) {
    setenv("ATEN_CPU_CAPABILITY", "avx2", 0);
  }
#ifdef T3D_HAS_CUDA
  // Blocks that grow: rendering frees and asks for tensors of ever other sizes, which leaves holes.
  setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", 0);
#endif
  // Large tensors stay on the heap: glibc would map and unmap them on every use, a page fault per 4 KiB.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  const char* threads = std::getenv("OMP_NUM_THREADS");
  at::set_num_threads(threads != nullptr && std::atoi(threads) > 0 ? std::atoi(threads) : usable_cores());
}

std::vector<TuningLine> describe_tuning() {
  const bool off = is_off("T3D_NO_TUNING");
  const std::string blas = mapped_library("openblas");
  const char* coretype = std::getenv("OPENBLAS_CORETYPE");
  const char* capability = std::getenv("ATEN_CPU_CAPABILITY");
  std::vector<TuningLine> lines;
  lines.push_back({"threads", cat(at::get_num_threads(), " of ", usable_cores(), " usable cores"),
                   "OMP_NUM_THREADS changes it"});
  lines.push_back({"vector units",
                   has_avx512() ? "AVX-512"
                   : has_avx2() ? "AVX2 + FMA"
                                : "SSE only: expect slow kernels",
                   ""});
  lines.push_back(
      {"OpenBLAS", blas.empty() ? "not loaded (another BLAS serves LibTorch)" : blas,
       blas.find("pthread") != std::string::npos
           ? "the pthread flavour fights with OpenMP: apt-get install libopenblas0-openmp, then rebuild"
           : ""});
  lines.push_back({"OpenBLAS core type", coretype != nullptr ? coretype : "chosen by OpenBLAS",
                   std::getenv("T3D_TUNED") != nullptr ? "corrected by t3d at start" : ""});
  lines.push_back({"ATen capability", capability != nullptr ? capability : "chosen by LibTorch", ""});
#ifdef T3D_HAS_CUDA
  const char* allocator = std::getenv("PYTORCH_CUDA_ALLOC_CONF");
  lines.push_back({"CUDA allocator", allocator != nullptr ? allocator : "chosen by LibTorch", ""});
#endif
  lines.push_back({"malloc", off ? "as the system has it" : "keeps large blocks (M_MMAP_MAX=0, no trimming)",
                   off ? "T3D_NO_TUNING=1 is set" : ""});
  return lines;
}

}  // namespace t3d::ops
