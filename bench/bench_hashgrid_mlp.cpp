#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/measured_peak.h"
#include "t3d/core/clock.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/rng.h"
#include "t3d/ops/aligned.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/simd.h"
#include "t3d/ops/startup.h"

// Hash grid of 16 levels x 2 features, followed by a network 32-64-64-4: forward and backward (gradients of
// all parameters) of a batch of uniformly random points, which is the hardest order for the memory.
namespace {

using namespace t3d;
using namespace t3d::ops;

struct Result {
  int log2_table;
  double encode_s, forward_s, backward_s, scatter_s, whole_s;
};

std::vector<float> random_floats(int64_t n, float low, float high, uint64_t seed) {
  std::vector<float> out(n);
  Rng rng(seed);
  for (float& v : out) v = rng.uniform(low, high);
  return out;
}

/// Times of one batch, each the best of as many rounds as fit into `budget_s`.
Result measure(int log2_table, int64_t n, Precision precision, double budget_s) {
  HashGridConfig grid;
  grid.log2_table = log2_table;
  const HashGridLayout layout = HashGridLayout::make(grid);
  MlpConfig net;
  net.n_in = layout.n_outputs();
  net.n_out = 4;
  net.n_hidden_layers = 2;
  net.precision = precision;

  const std::vector<float> table = random_floats(layout.n_params(), -1e-1f, 1e-1f, 1);
  const std::vector<float> weights = random_floats(mlp_n_params(net), -0.2f, 0.2f, 2);
  const std::vector<float> x = random_floats(n * 3, 0.f, 1.f, 3), dy = random_floats(n * 4, -1.f, 1.f, 4);
  std::vector<float> d_table(table.size()), d_weights(weights.size()), y(n * 4);
  const int64_t pitch = level_pitch(n, grid.n_features);
  const cpu::Aligned<float> features(pitch * net.n_in), d_features(pitch * net.n_in);
  std::vector<float> hidden(cpu::mlp_hidden_size(net, n));
  const auto levels = level_rows(features.data(), pitch, grid.n_features);
  const auto d_levels = level_rows(d_features.data(), pitch, grid.n_features);
  const auto y_rows = rows(y.data(), 4);
  const auto dy_rows = rows(dy.data(), 4);

  const double kNever = 1e30;
  Result best{log2_table, kNever, kNever, kNever, kNever, kNever};
  const double end = now_s() + budget_s;
  for (int round = 0; round < 3 || now_s() < end; ++round) {
    const double t0 = now_s();
    cpu::hash_grid_forward(layout, table.data(), x.data(), 3, n, levels);
    const double t1 = now_s();
    cpu::mlp_forward(net, weights.data(), levels, n, y_rows, hidden.data());
    const double t2 = now_s();
    cpu::mlp_backward(net, weights.data(), levels, n, y_rows, hidden.data(), dy_rows, d_levels,
                      d_weights.data());
    const double t3 = now_s();
    cpu::hash_grid_backward_params(layout, x.data(), 3, n, d_levels, d_table.data());
    const double t4 = now_s();
    best.encode_s = std::min(best.encode_s, t1 - t0);
    best.forward_s = std::min(best.forward_s, t2 - t1);
    best.backward_s = std::min(best.backward_s, t3 - t2);
    best.scatter_s = std::min(best.scatter_s, t4 - t3);
    best.whole_s = std::min(best.whole_s, t4 - t0);
  }
  return best;
}

/// Prints a row of the table; the same for the report. peak: GFLOP/s of the network's kind of products.
nlohmann::json show(const Result& r, int64_t n, const char* precision, double peak, double reads) {
  const double flops_forward = 2.0 * (32 * 64 + 64 * 64 + 64 * 4);
  const double m = static_cast<double>(n) / 1e6;
  const double forward_share = m / r.forward_s * flops_forward / 1e3 / peak;
  const double backward_share = m / r.backward_s * 2 * flops_forward / 1e3 / peak;
  const double share = m / r.whole_s * 3 * flops_forward / 1e3 / peak;
  const double reads_share = m / r.encode_s * 16 * 8 / reads;
  std::printf(
      "| 2^%d | %s | %.2f | %.2f (%.0f %%) | %.2f (%.0f %%) | %.2f | **%.2f** | %.0f %% | %.0f | %.0f %% |\n",
      r.log2_table, precision, m / r.encode_s, m / r.forward_s, 100 * forward_share, m / r.backward_s,
      100 * backward_share, m / r.scatter_s, m / r.whole_s, 100 * share, reads, 100 * reads_share);
  std::fflush(stdout);
  return {{"log2_table", r.log2_table},
          {"precision", precision},
          {"encode_m_per_s", m / r.encode_s},
          {"network_forward_m_per_s", m / r.forward_s},
          {"network_backward_m_per_s", m / r.backward_s},
          {"scatter_m_per_s", m / r.scatter_s},
          {"forward_backward_m_per_s", m / r.whole_s},
          {"share_of_peak", share},
          {"random_reads_m_per_s", reads}};
}

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  int64_t n = 1 << 17;
  double budget_s = 3;
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  std::vector<int> tables = {19, 15};
  std::string json_path, peer, precision = "both";
  CLI::App app("Hash grid 16x2 and network 32-64-64-4, forward and backward, in samples a second");
  app.add_option("--samples", n, "points in a batch")
      ->capture_default_str()
      ->check(CLI::Range(1000, 1 << 24));
  app.add_option("--seconds", budget_s, "time for each table size")->capture_default_str();
  app.add_option("--threads", threads, "threads")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--tables", tables, "log2 of the entries of a level")->delimiter(',')->capture_default_str();
  app.add_option("--precision", precision, "of the network's products")
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "bfloat16", "both"}));
  app.add_option("--json", json_path, "also write the figures here");
  app.add_option("--peer", peer, "a command to run beside, once after each table size; its output is shown");
  CLI11_PARSE(app, argc, argv);
  omp_set_num_threads(threads);

  std::vector<Precision> precisions;
  const double peak = bench::fma_gflops(), peak_bf16 = bench::bfloat16_gflops();
  if (precision != "bfloat16") precisions.push_back(Precision::Float32);
  if (precision == "bfloat16" && peak_bf16 == 0) {
    std::fprintf(stderr, "this processor has no products of bfloat16; pass --precision float32\n");
    return 2;
  }
  if (precision != "float32" && peak_bf16 > 0) precisions.push_back(Precision::Bfloat16);

  nlohmann::json report = {{"simd", simd_name(simd())}, {"matrix_unit", matrix_unit_name(matrix_unit())},
                           {"threads", threads},        {"samples", n},
                           {"fma_gflops", peak},        {"bfloat16_gflops", peak_bf16}};
  std::printf(
      "%d threads, %s, matrix unit %s, measured peak %.0f GFLOP/s in float32, %.0f in bfloat16, batch "
      "%lld\n\n",
      threads, simd_name(simd()), matrix_unit_name(matrix_unit()), peak, peak_bf16,
      static_cast<long long>(n));
  std::printf(
      "| entries | network | encode M/s | network fwd M/s (of peak) | network bwd M/s (of peak) | scatter "
      "M/s | "
      "forward+backward M/s | of peak | random reads M/s | of them used |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (int table : tables) {
    const double reads = bench::random_reads_m(8L << table);
    for (Precision p : precisions)
      report["tables"].push_back(show(measure(table, n, p, budget_s), n,
                                      p == Precision::Float32 ? "float32" : "bfloat16",
                                      p == Precision::Float32 ? peak : peak_bf16, reads));
    if (!peer.empty() && std::system(peer.c_str()) != 0) {
      std::fprintf(stderr, "the peer's command failed: %s\n", peer.c_str());
      return 1;
    }
  }
  report["memory.peak_mib"] = static_cast<double>(peak_rss_bytes()) / (1 << 20);
  std::printf("\npeak memory %.0f MiB\n", static_cast<double>(peak_rss_bytes()) / (1 << 20));
  if (!json_path.empty()) {
    std::ofstream out(json_path);
    out << report.dump(2) << "\n";
    if (!out.flush()) {
      std::fprintf(stderr, "%s: cannot be written\n", json_path.c_str());
      return 3;
    }
  }
  return 0;
}
