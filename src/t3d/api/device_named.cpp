#include "t3d/api/device_named.h"

#include <ATen/Context.h>

#include "t3d/core/error.h"

namespace t3d::api {

c10::Device device_named(const std::string& name) {
  if (name == "cpu") return c10::kCPU;
  if (name != "cuda" && name != "auto")
    throw UserError(cat("device ", name, ": expected auto, cpu or cuda. Choose one of them."));
  const bool has_cuda = at::hasCUDA();
  if (name == "cuda" && !has_cuda)
    throw SystemError("--device cuda: this build or machine has no CUDA; see t3d doctor. Pass --device cpu.");
  return has_cuda ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
}

}  // namespace t3d::api
