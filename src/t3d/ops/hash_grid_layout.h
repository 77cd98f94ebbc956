#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::ops {

/// How a position between grid vertices is blended: with its fraction f, or with f*f*(3-2f), whose derivative
/// is continuous.
enum class Interpolation { Linear, Smoothstep };

struct HashGridConfig {
  int n_dims = 3;
  int n_levels = 16;
  int n_features = 2;
  int log2_table = 19;
  int base_resolution = 16;
  double per_level_scale = 1.447269237440378;
  Interpolation interpolation = Interpolation::Linear;
};

/// One level: a point x in [0,1]^D lies at x * scale + 0.5 in units of cells.
struct HashGridLevel {
  float scale;
  uint32_t resolution;   ///< vertices per axis
  uint32_t n_entries;    ///< feature vectors stored; a power of two when not dense
  uint32_t first_entry;  ///< of all levels' entries, where this one's begin
  bool is_dense;         ///< every vertex has an entry of its own; otherwise the index is a hash
};

/// Where each level's features lie in the flat parameter vector: entry e of level l, feature f, is
/// params[(levels[l].first_entry + e) * n_features + f].
///
///   scale      = exp2(l * log2 b) * base_resolution - 1      in float32, as tiny-cuda-nn rounds it
///   resolution = ceil(scale) + 1
///   n_entries  = min(resolution^D rounded up to a multiple of 8, 2^log2_table)
///   index      = x + y*res + z*res^2 + w*res^3               modulo n_entries, when dense
///              = x ^ y*2654435761 ^ z*805459861 ^ w*3674653429   modulo n_entries, otherwise (uint32)
struct HashGridLayout {
  HashGridConfig config;
  std::vector<HashGridLevel> levels;

  int64_t n_entries() const;
  int64_t n_params() const { return n_entries() * config.n_features; }
  int n_outputs() const { return config.n_levels * config.n_features; }

  /// Throws UserError when a value is out of range: 2..4 dimensions, 1..32 levels, 1, 2, 4 or 8 features,
  /// log2_table 3..28, base_resolution 1..65536, per_level_scale at least 1, finest resolution below 2^24.
  static HashGridLayout make(const HashGridConfig& config);

  /// The layout of a stored parameter vector. ceil(scale) sits on exact integers for round growth factors, so
  /// float32 and exact arithmetic give tables of other sizes (11,445,040 and 11,420,064 numbers for 16..1024
  /// in 16 levels); the vector's length tells which was meant, and also a table size that differs from the
  /// config's. Throws UserError, naming `where`, when no layout has that length.
  static HashGridLayout for_stored(const HashGridConfig& config, int64_t n_params, const std::string& where);
};

}  // namespace t3d::ops
