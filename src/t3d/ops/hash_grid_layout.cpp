#include "t3d/ops/hash_grid_layout.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::ops {
namespace {

enum class Rounding { Float32, Exact };

void require(bool holds, const char* key, double found, const char* expected) {
  if (!holds) throw UserError(cat("hash grid: ", key, " is ", found, ", expected ", expected, "."));
}

void check(const HashGridConfig& c) {
  require(c.n_dims >= 2 && c.n_dims <= 4, "n_dims", c.n_dims, "2, 3 or 4");
  require(c.n_levels >= 1 && c.n_levels <= 32, "n_levels", c.n_levels, "1 to 32");
  require(c.n_features == 1 || c.n_features == 2 || c.n_features == 4 || c.n_features == 8, "n_features",
          c.n_features, "1, 2, 4 or 8");
  require(c.log2_table >= 3 && c.log2_table <= 28, "log2_table", c.log2_table, "3 to 28");
  require(c.base_resolution >= 1 && c.base_resolution <= 65536, "base_resolution", c.base_resolution,
          "1 to 65536");
  require(c.per_level_scale >= 1 && c.per_level_scale <= 16, "per_level_scale", c.per_level_scale, "1 to 16");
}

float level_scale(const HashGridConfig& c, int level, Rounding rounding) {
  if (rounding == Rounding::Exact) {
    // Growth factors are given to 15 digits or so: what is within 1e-9 of an integer is meant to be one.
    const double scale = c.base_resolution * std::pow(c.per_level_scale, level) - 1.0;
    const double nearest = std::round(scale);
    return static_cast<float>(std::abs(scale - nearest) < 1e-9 * std::max(1.0, scale) ? nearest : scale);
  }
  const float log2_growth = std::log2(static_cast<float>(c.per_level_scale));
  return std::exp2(static_cast<float>(level) * log2_growth) * static_cast<float>(c.base_resolution) - 1.0f;
}

HashGridLayout make_rounded(const HashGridConfig& config, Rounding rounding) {
  check(config);
  HashGridLayout layout;
  layout.config = config;
  const uint64_t table = uint64_t{1} << config.log2_table;
  uint64_t first = 0;
  for (int l = 0; l < config.n_levels; ++l) {
    HashGridLevel level{};
    level.scale = level_scale(config, l, rounding);
    require(level.scale < 16777215.f, "the finest level's resolution", level.scale, "below 2^24");
    level.resolution = static_cast<uint32_t>(std::ceil(level.scale)) + 1;
    uint64_t vertices = 1;  // saturates above the table's size
    for (int d = 0; d < config.n_dims; ++d)
      vertices = std::min<uint64_t>(vertices * level.resolution, uint64_t{1} << 32);
    level.n_entries = static_cast<uint32_t>(std::min((vertices + 7) / 8 * 8, table));
    level.is_dense = vertices <= level.n_entries;
    level.first_entry = static_cast<uint32_t>(first);
    first += level.n_entries;
    require(first < (uint64_t{1} << 32) / 8, "the number of entries", static_cast<double>(first),
            "below 2^29");
    layout.levels.push_back(level);
  }
  return layout;
}

}  // namespace

int64_t HashGridLayout::n_entries() const {
  return levels.empty() ? 0 : int64_t{levels.back().first_entry} + levels.back().n_entries;
}

HashGridLayout HashGridLayout::make(const HashGridConfig& config) {
  return make_rounded(config, Rounding::Float32);
}

HashGridLayout HashGridLayout::for_stored(const HashGridConfig& config, int64_t n_params,
                                          const std::string& where) {
  std::vector<int> tables = {config.log2_table};
  for (int t = 14; t <= 24; ++t) tables.push_back(t);
  for (int table : tables) {
    HashGridConfig candidate = config;
    candidate.log2_table = table;
    for (Rounding rounding : {Rounding::Float32, Rounding::Exact}) {
      HashGridLayout layout = make_rounded(candidate, rounding);
      if (layout.n_params() == n_params) return layout;
    }
  }
  throw UserError(cat(where, ": a hash grid of ", n_params, " numbers, but ", config.n_levels, " levels of ",
                      config.n_features, " features from resolution ", config.base_resolution,
                      ", growing by ", config.per_level_scale, ", have ", make(config).n_params(),
                      "; give the configuration that it was trained with."));
}

}  // namespace t3d::ops
