#pragma once

/// What this machine can do at best, measured, so that a benchmark can say which share of it was reached.
namespace t3d::bench {

/// Single-precision multiply-adds of all threads together, in GFLOP/s, with the instruction set that
/// ops::simd() names; the best of several tries.
double fma_gflops();

/// Multiply-adds of bfloat16 numbers with sums in float, by ops::matrix_unit(), likewise; 0 where there is
/// none.
double bfloat16_gflops();

/// Random reads of 8 bytes (one hash-grid entry of two floats) from a table of `table_bytes`, all threads
/// together, each read's address known in advance, in millions a second.
double random_reads_m(long table_bytes);

}  // namespace t3d::bench
