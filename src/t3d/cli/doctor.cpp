#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <sys/statvfs.h>
#include <torch/version.h>

#include <cstdio>
#include <fstream>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/core/clock.h"
#include "t3d/core/share_folder.h"
#include "t3d/core/text.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/startup.h"

namespace t3d::cli {
namespace {

void section(const char* title) {
  std::printf("\n%s\n", title);
}

void row(const std::string& name, const std::string& value, const std::string& remark = "") {
  std::printf("  %-20s %s%s%s\n", name.c_str(), value.c_str(), remark.empty() ? "" : "   — ", remark.c_str());
}

/// What an optional library brings, and how to get it where it is missing.
void feature(bool found, const char* name, const char* brings, const char* packages) {
  row(name, found ? "found" : "missing",
      found ? brings : cat(brings, ": apt-get install ", packages, ", then run ./t3d again"));
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

double meminfo_bytes(const std::string& key) {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind(key + ":", 0) == 0) return 1024.0 * std::atof(line.c_str() + key.size() + 1);
  return 0;
}

/// Rate of a 1024^3 matrix product: the quickest sign of a badly set up BLAS.
double matrix_gflops() {
  const auto a = at::rand({1024, 1024}), b = at::rand({1024, 1024});
  at::matmul(a, b);
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const double start = now_s();
    at::matmul(a, b);
    best = std::min(best, now_s() - start);
  }
  return 2.0 * 1024 * 1024 * 1024 / best * 1e-9;
}

/// What the commands will compute with, unless their options say otherwise.
void show_choices() {
  section("what is used");
  row("device (auto)", at::hasCUDA() ? "cuda" : "cpu");
  const auto unit = ops::matrix_unit();
  row("bfloat16 products", ops::matrix_unit_name(unit),
      unit == ops::MatrixUnit::None ? "this processor has none"
                                    : "T3D_MATRIX_UNIT=none|avx512|amx lowers it");
  row("diffusion models", has_bfloat16() ? "bfloat16" : "float32",
      "on the CPU, in generate, train and distill2d; docs/generate.md has the times of both");
  row("radiance fields", ops::has_fast_matrix_unit() ? "bfloat16" : "float32",
      "on the CPU; t3d reconstruct --precision changes it");
}

void show_models() {
  section("models");
  const auto places = diffusion::ModelPlaces::from_environment();
  const auto models = diffusion::list_models(places);
  for (const auto& model : models)
    row(model.name, human_bytes(static_cast<double>(model.n_bytes())),
        model.is_complete() ? model.path : cat("not complete: ", model.missing()));
  if (models.empty()) row("none found", "the toybox prior comes with t3d", share_folder_remark());
}

int doctor() {
  std::printf("t3d %s (%s build, %s)\n", T3D_VERSION, T3D_BUILD_TYPE, program_file().c_str());

  section("machine");
  row("processor", processor_name());
  row("memory",
      cat(human_bytes(meminfo_bytes("MemAvailable")), " free of ", human_bytes(meminfo_bytes("MemTotal"))));
  struct statvfs disk {};
  if (statvfs(".", &disk) == 0)
    row("disk here",
        cat(human_bytes(static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize)), " free"));

  section("LibTorch");
  row("version", TORCH_VERSION);
#ifdef T3D_HAS_CUDA
  row("CUDA", at::hasCUDA() ? cat(at::detail::getCUDAHooks().getNumGPUs(), " device(s)")
                            : std::string("built in, but no device or driver was found"));
#else
  row("CUDA", "this build has none",
      "set T3D_TORCH to a LibTorch with CUDA (or activate its Python), then run ./t3d again");
#endif
  row("matrix product", cat(static_cast<long>(matrix_gflops()), " GFLOP/s, single precision, 1024^3"));

  section("start-up tuning");
  for (const auto& line : ops::describe_tuning()) row(line.name, line.value, line.remark);

  show_choices();
  show_models();

  section("features");
#ifdef T3D_HAS_EMBREE
  feature(true, "Embree", "t3d render", "libembree-dev");
#else
  feature(false, "Embree", "t3d render", "libembree-dev");
#endif
#ifdef T3D_HAS_FFMPEG
  feature(true, "FFmpeg", "MP4 and GIF", "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev");
#else
  feature(false, "FFmpeg", "MP4 and GIF", "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev");
#endif
#ifdef T3D_HAS_WEBP
  feature(true, "libwebp", "WebP images", "libwebp-dev");
#else
  feature(false, "libwebp", "WebP images", "libwebp-dev");
#endif
#ifdef T3D_HAS_TIFF
  feature(true, "libtiff", "TIFF images", "libtiff-dev");
#else
  feature(false, "libtiff", "TIFF images", "libtiff-dev");
#endif
#ifdef T3D_HAS_MESHOPTIMIZER
  feature(true, "meshoptimizer", "fewer faces in exported meshes", "libmeshoptimizer-dev");
#else
  feature(false, "meshoptimizer", "fewer faces in exported meshes", "libmeshoptimizer-dev");
#endif
#ifdef T3D_HAS_GLOO
  feature(true, "Gloo", "t3d launch on the CPU", "libgloo-dev");
#elif !defined(T3D_HAS_CUDA)
  feature(false, "Gloo", "t3d launch on the CPU", "libgloo-dev");
#endif
#ifdef T3D_HAS_NCCL
  row("NCCL", "found", "t3d launch on several GPUs");
#elif defined(T3D_HAS_CUDA)
  row("NCCL", "missing", "t3d launch on several GPUs: nccl.h and libnccl beside LibTorch, or at NCCL_ROOT");
#endif
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, Run& run) {
  auto* command =
      app.add_subcommand("doctor", "Show what was found on this machine, what is missing, and how to get it");
  command->callback([&run] { run = doctor; });
}

}  // namespace t3d::cli
