#pragma once

#include <cstdint>
#include <vector>

namespace t3d::evaluate {

/// A figure with its 95 % interval, and of how many things it is the mean.
struct Estimate {
  double value = 0, low = 0, high = 0;
  int64_t n = 0;
};

/// A share of right among n. Wilson 1927, "Probable inference, the law of succession, and statistical
/// inference": holds up near 0 and 1 and for small n. n 0: the whole of [0,1].
Estimate share_of(int64_t n_right, int64_t n);

/// A mean, by the percentiles of 2,000 resamples of the values. Efron 1979, "Bootstrap methods: another look
/// at the jackknife". A function of the arguments alone.
Estimate mean_of(const std::vector<double>& values, uint64_t seed = 0);

}  // namespace t3d::evaluate
