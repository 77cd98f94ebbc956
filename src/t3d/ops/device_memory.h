#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <exception>

namespace t3d::ops {

/// Bytes that this process holds for tensors on a CUDA device: now, and the most so far. What the driver and
/// libraries need for themselves, some hundred MiB, is not counted. 0 on the CPU.
size_t device_bytes(c10::Device device);
size_t peak_device_bytes(c10::Device device);

/// Whether `failure` says that the memory of a device or of the machine does not suffice. LibTorch has a type
/// for the first alone, and not in every place.
bool is_out_of_memory(const std::exception& failure);

}  // namespace t3d::ops
