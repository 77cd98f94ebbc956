#pragma once

#include <cstdint>

namespace t3d::ops {

/// Where a batch of small vectors lies in memory, so that one kernel's output can be the next one's input
/// without a copy. Component i of vector n is
///
///   data[n * row_stride + (i / group) * group_stride + i % group]
///
/// Row-major storage is rows(data, n_components); a wider row that holds several parts is
/// rows(data + offset, n_components, row_width). The hash grid is fastest when it writes level by level:
/// level_rows(data, level_pitch(n, n_features), n_features). `data` may be null where a function says so.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t row_stride = 0;
  int64_t group_stride = 0;
  int64_t group = 1;

  T& at(int64_t row, int64_t i) const {
    return data[row * row_stride + (i / group) * group_stride + i % group];
  }
  operator Rows<const T>() const { return {data, row_stride, group_stride, group}; }
};

template <class T>
Rows<T> rows(T* data, int64_t n_components, int64_t row_stride = 0) {
  return {data, row_stride == 0 ? n_components : row_stride, 0, n_components};
}

/// [n_levels][pitch][n_features]: each level's features of the whole batch together, pitch >= its size.
template <class T>
Rows<T> level_rows(T* data, int64_t pitch, int64_t n_features) {
  return {data, n_features, pitch * n_features, n_features};
}

/// A good pitch for n vectors: where `data` begins on a cache line, all levels do, and an odd number of lines
/// lies between them, so that they do not compete for the same places of the cache.
inline int64_t level_pitch(int64_t n, int64_t n_features) {
  constexpr int64_t kLineFloats = 16;
  return ((n * n_features + kLineFloats - 1) / kLineFloats | 1) * kLineFloats / n_features;
}

}  // namespace t3d::ops
