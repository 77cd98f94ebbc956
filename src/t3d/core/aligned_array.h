#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

namespace t3d {

/// n numbers that begin on a cache line, without values until they are written.
template <class T>
class AlignedArray {
  static_assert(std::is_trivial_v<T>, "nothing is constructed");

 public:
  static constexpr size_t kLineBytes = 64;

  explicit AlignedArray(int64_t n = 0)
      : data_(static_cast<T*>(
            ::operator new[](static_cast<size_t>(n) * sizeof(T), std::align_val_t(kLineBytes)))),
        size_(n) {}

  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete[](p, std::align_val_t(kLineBytes)); }
  };
  std::unique_ptr<T[], Free> data_;
  int64_t size_;
};

}  // namespace t3d
