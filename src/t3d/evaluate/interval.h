#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::evaluate {

/// A figure with its 95 % interval, and of how many things it is the mean.
struct Estimate {
  double value = 0, low = 0, high = 0;
  int64_t n = 0;
};

/// A share of right among n. Wilson 1927, "Probable inference, the law of succession, and statistical
/// inference": holds up near 0 and 1 and for small n. n 0: the whole of [0,1].
///
/// `n_independent`: how many of them chance drew on their own, where several of one caption go right or wrong
/// together (the effective sample size of clusters that agree: the widest interval). It sets the interval's
/// width; n stays what is counted.
Estimate share_of(int64_t n_right, int64_t n);
Estimate share_of(int64_t n_right, int64_t n, double n_independent);

/// A mean, by the percentiles of 2,000 resamples of the values. Efron 1979, "Bootstrap methods: another look
/// at the jackknife". A function of the arguments alone.
Estimate mean_of(const std::vector<double>& values, uint64_t seed = 0);

/// The mean over captions of the mean over what each has: captions, not values, are resampled. n: captions.
/// captions[i] is what values[i] belongs to.
Estimate mean_by_caption(const std::vector<double>& values, const std::vector<std::string>& captions);

}  // namespace t3d::evaluate
