#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

/// Sums of pixels' gradients at vertices on the CPU: the same for any number of threads.
namespace t3d::raster::cpu {

/// What a row of pixels adds to vertices: for each run of pixels of one triangle, the three vertices' places
/// in the total and n_values numbers for each.
template <class T>
class RowRuns {
 public:
  void clear() {
    vertices_.clear();
    values_.clear();
  }
  /// Begins a run at three vertices; returns 3 * n_values zeros to add to, valid until the next call.
  T* begin(const int64_t vertex[3], int64_t n_values) {
    vertices_.insert(vertices_.end(), vertex, vertex + 3);
    values_.resize(values_.size() + static_cast<size_t>(3 * n_values), T(0));
    return values_.data() + values_.size() - 3 * n_values;
  }
  /// Adds to the vertices `from` .. `to` - 1 of the total.
  void add_to(T* total, int64_t n_values, int64_t from, int64_t to) const {
    for (size_t c = 0; c < vertices_.size(); ++c) {
      if (vertices_[c] < from || vertices_[c] >= to) continue;
      const T* value = values_.data() + c * n_values;
      T* const sum = total + vertices_[c] * n_values;
      for (int64_t n = 0; n < n_values; ++n) sum[n] += value[n];
    }
  }

 private:
  std::vector<int64_t> vertices_;
  std::vector<T> values_;
};

/// total [n_vertices, n_values] += the runs that fill(row, runs) makes for rows 0 .. n_rows - 1 of `width`
/// pixels: row by row, and within a row from left to right. Rows are filled in parallel, and then each thread
/// adds all of them to vertices of its own. At most about 64 MiB, or one row, are kept at a time.
template <class T, class Fill>
void add_rows_to_vertices(int64_t n_rows, int64_t width, int64_t n_values, int64_t n_vertices, T* total,
                          const Fill& fill) {
  const int64_t row_bytes = 3 * width * static_cast<int64_t>(sizeof(int64_t)) +
                            3 * width * n_values * static_cast<int64_t>(sizeof(T));
  const int64_t at_once = std::clamp<int64_t>((int64_t{64} << 20) / std::max<int64_t>(row_bytes, 1), 1,
                                              std::max<int64_t>(n_rows, 1));
  std::vector<RowRuns<T>> runs(static_cast<size_t>(at_once));
  for (int64_t first = 0; first < n_rows; first += at_once) {
    const int64_t n = std::min(at_once, n_rows - first);
    at::parallel_for(0, n, 4, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        runs[r].clear();
        fill(first + r, runs[r]);
      }
    });
    const int64_t of_thread = std::max<int64_t>(1024, n_vertices / at::get_num_threads() + 1);
    at::parallel_for(0, n_vertices, of_thread, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < n; ++r) runs[r].add_to(total, n_values, begin, end);
    });
  }
}

}  // namespace t3d::raster::cpu
