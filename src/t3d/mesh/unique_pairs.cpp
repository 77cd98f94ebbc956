#include "t3d/mesh/unique_pairs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::mesh {
namespace {

/// Counting by the first number leaves lists of a few entries, which are then sorted.
UniquePairs by_counting(const at::Tensor& given) {
  const at::Tensor pairs = given.contiguous();
  const int64_t n = pairs.size(0);
  const int64_t* p = pairs.data_ptr<int64_t>();
  int64_t n_first = 0;
  for (int64_t i = 0; i < n; ++i) {
    T3D_CHECK(p[2 * i] >= 0 && p[2 * i + 1] >= 0, "pair ", i, " is negative");
    n_first = std::max(n_first, p[2 * i] + 1);
  }
  std::vector<int64_t> begin(static_cast<size_t>(n_first) + 1, 0);
  for (int64_t i = 0; i < n; ++i) ++begin[static_cast<size_t>(p[2 * i]) + 1];
  for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];

  struct Entry {
    int64_t second, from;
  };
  std::vector<Entry> entries(static_cast<size_t>(n));
  std::vector<int64_t> next(begin.begin(), begin.end() - 1);
  for (int64_t i = 0; i < n; ++i)
    entries[static_cast<size_t>(next[static_cast<size_t>(p[2 * i])]++)] = {p[2 * i + 1], i};

  const at::Tensor found = at::empty({n, 2}, pairs.options()), place = at::empty({n}, pairs.options());
  int64_t *out = found.data_ptr<int64_t>(), *at = place.data_ptr<int64_t>(), n_found = 0;
  for (int64_t first = 0; first < n_first; ++first) {
    const auto list = entries.begin() + begin[static_cast<size_t>(first)],
               end = entries.begin() + begin[static_cast<size_t>(first) + 1];
    std::sort(list, end, [](const Entry& a, const Entry& b) { return a.second < b.second; });
    for (auto e = list; e != end; ++e) {
      if (e == list || e->second != (e - 1)->second) {
        out[2 * n_found] = first, out[2 * n_found + 1] = e->second;
        ++n_found;
      }
      at[e->from] = n_found - 1;
    }
  }
  return {found.narrow(0, 0, n_found).clone(), place};
}

}  // namespace

UniquePairs unique_pairs(const at::Tensor& pairs) {
  T3D_CHECK(pairs.dim() == 2 && pairs.size(1) == 2 && pairs.scalar_type() == at::kLong,
            "pairs must be [M,2] int64, not ", pairs.sizes());
  if (pairs.size(0) == 0) return {pairs, at::empty({0}, pairs.options())};
  if (pairs.device().is_cpu()) return by_counting(pairs);
  const int64_t n = pairs.select(1, 1).max().item<int64_t>() + 1;
  const auto [keys, place, counts] =
      at::_unique2(pairs.select(1, 0) * n + pairs.select(1, 1), /*sorted=*/true, /*return_inverse=*/true);
  return {at::stack({keys.div(n, "floor"), keys.remainder(n)}, 1), place};
}

at::Tensor undirected(const at::Tensor& pairs) {
  const auto a = pairs.select(1, 0), b = pairs.select(1, 1);
  return at::stack({at::minimum(a, b), at::maximum(a, b)}, 1);
}

}  // namespace t3d::mesh
