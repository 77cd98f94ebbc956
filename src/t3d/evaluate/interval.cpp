#include "t3d/evaluate/interval.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"

namespace t3d::evaluate {
namespace {

constexpr double kZ = 1.959963984540054;  // of 95 %, two-sided
constexpr int kResamples = 2000;
constexpr uint64_t kBootstrapStream = 0xb007;

}  // namespace

Estimate share_of(int64_t n_right, int64_t n) {
  return share_of(n_right, n, static_cast<double>(n));
}

Estimate share_of(int64_t n_right, int64_t n, double n_independent) {
  if (n == 0) return {0, 0, 1, 0};
  const double count = n_independent, p = static_cast<double>(n_right) / static_cast<double>(n);
  const double scale = 1 / (1 + kZ * kZ / count), middle = scale * (p + kZ * kZ / (2 * count));
  const double reach = scale * kZ * std::sqrt(p * (1 - p) / count + kZ * kZ / (4 * count * count));
  return {p, std::max(0.0, std::min(p, middle - reach)), std::min(1.0, std::max(p, middle + reach)), n};
}

Estimate mean_of(const std::vector<double>& values, uint64_t seed) {
  if (values.empty()) return {};
  const auto n = static_cast<uint32_t>(values.size());
  double sum = 0;
  for (const double v : values) sum += v;
  std::vector<double> means(kResamples);
  Rng rng(seed, kBootstrapStream);
  for (double& mean : means) {
    double drawn = 0;
    for (uint32_t i = 0; i < n; ++i) drawn += values[rng.below(n)];
    mean = drawn / n;
  }
  std::sort(means.begin(), means.end());
  return {sum / n, means[kResamples / 40], means[kResamples - 1 - kResamples / 40],
          static_cast<int64_t>(values.size())};
}

Estimate mean_by_caption(const std::vector<double>& values, const std::vector<std::string>& captions) {
  T3D_CHECK(values.size() == captions.size(), values.size(), " values of ", captions.size(), " captions");
  std::map<std::string, std::pair<double, double>> sums;  // sum, count
  std::vector<std::string> order;
  for (size_t i = 0; i < values.size(); ++i) {
    auto& [sum, count] = sums[captions[i]];
    if (count == 0) order.push_back(captions[i]);
    sum += values[i], ++count;
  }
  std::vector<double> means;
  for (const auto& caption : order) means.push_back(sums[caption].first / sums[caption].second);
  return mean_of(means);
}

}  // namespace t3d::evaluate
