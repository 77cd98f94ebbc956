#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace t3d::ops::cpu {

/// Numbers from a cache line's boundary on, not initialised: kernels load and store whole lines.
template <class T>
class Aligned {
 public:
  explicit Aligned(int64_t n) : room_(new T[static_cast<size_t>(n) + kLine / sizeof(T)]) {
    data_ = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(room_.get()) + kLine - 1) / kLine * kLine);
  }
  T* data() const { return data_; }

 private:
  static constexpr size_t kLine = 64;
  std::unique_ptr<T[]> room_;
  T* data_;
};

}  // namespace t3d::ops::cpu
