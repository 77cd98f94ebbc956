#include "t3d/ops/device_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#ifdef T3D_HAS_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

namespace t3d::ops {

bool is_out_of_memory(const std::exception& failure) {
  if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&failure) != nullptr) return true;
  const auto* error = dynamic_cast<const c10::Error*>(&failure);
  if (error == nullptr) return false;
  const std::string_view text = error->what_without_backtrace();
  // The caching allocator and the driver; the CPU's allocator in two versions; cuBLAS and cuDNN.
  for (const char* words : {"out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED"})
    if (text.find(words) != std::string_view::npos) return true;
  return false;
}

#ifdef T3D_HAS_CUDA

namespace {

/// The pools as a whole; later entries split them by size.
constexpr size_t kAll = 0;

c10::DeviceIndex index_of(c10::Device device) {
  return device.has_index() ? device.index() : c10::cuda::current_device();
}

}  // namespace

size_t device_bytes(c10::Device device) {
  if (!device.is_cuda()) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index_of(device));
  return static_cast<size_t>(stats.reserved_bytes[kAll].current);
}

size_t peak_device_bytes(c10::Device device) {
  if (!device.is_cuda()) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index_of(device));
  return static_cast<size_t>(stats.reserved_bytes[kAll].peak);
}

#else

size_t device_bytes(c10::Device) {
  return 0;
}

size_t peak_device_bytes(c10::Device) {
  return 0;
}

#endif

}  // namespace t3d::ops
