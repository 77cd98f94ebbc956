#include <ATen/Parallel.h>
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/memory_usage.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/unet.h"
#include "t3d/ops/startup.h"

// Opening a UNet from disk: seconds against reading the file once, resident memory against the weights that
// are kept. Reading and opening take turns, so that both find the file in the same state (in memory after the
// first).
namespace {

using namespace t3d;
using namespace t3d::diffusion;

double seconds(const std::function<void()>& body) {
  const double before = now_s();
  body();
  return now_s() - before;
}

void read_file(const std::string& path) {
  std::vector<char> block(size_t{4} << 20);
  const int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) throw SystemError(cat(path, ": cannot be read", errno_text(), ". Check the name."));
  while (read(fd, block.data(), block.size()) > 0) {
  }
  close(fd);
}

void drop_from_cache(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) return;
  fdatasync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

int measure(const std::string& model, const std::string& dtype, int repeats, bool cold) {
  const std::string path = find_model(model);
  const std::string file = std::filesystem::is_directory(path) ? find_weights(path + "/unet") : path;
  const at::ScalarType type = dtype == "fp16" ? at::kHalf : dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  double read = 1e30, opened = 1e30;
  size_t kept = 0, resident = 0;
  const size_t before = current_rss_bytes();
  for (int i = 0; i < repeats; ++i) {
    if (cold) drop_from_cache(file);
    read = std::min(read, seconds([&] { read_file(file); }));
    if (cold) drop_from_cache(file);
    opened = std::min(opened, seconds([&] {
                        const auto weights = Weights::from(open_part(path, "unet"), type);
                        const UNet unet(unet_config_from_json(part_config(path, "unet"), path), weights);
                        weights.check();
                        kept = 0;
                        for (const auto& [name, tensor] : weights.parameters()) kept += tensor.nbytes();
                        resident = std::max(resident, current_rss_bytes() - before);
                      }));
  }
  const size_t peak = peak_rss_bytes() - before;
  std::printf("%s, %.2f GB, kept as %s: %.2f GB\n", file.c_str(),
              static_cast<double>(std::filesystem::file_size(file)) / 1e9, dtype.c_str(),
              static_cast<double>(kept) / 1e9);
  std::printf("reading the file         %10.2f s\n", read);
  std::printf("opening the model        %10.2f s, %.2f of reading\n", opened, opened / read);
  std::printf("resident, model open     %10.2f GB, %.2f of the kept weights\n",
              static_cast<double>(resident) / 1e9, static_cast<double>(resident) / static_cast<double>(kept));
  std::printf("resident at the peak     %10.2f GB, %.2f of the kept weights\n",
              static_cast<double>(peak) / 1e9, static_cast<double>(peak) / static_cast<double>(kept));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  std::string model, dtype = "fp32";
  int repeats = 3;
  bool cold = false;
  int n_threads = static_cast<int>(std::thread::hardware_concurrency());
  CLI::App app("Times opening a model's UNet against reading its file; t3d models synthesize makes one.");
  app.add_option("MODEL", model, "model, by path or name")->required();
  app.add_option("--dtype", dtype, "fp32, fp16 or bf16")->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  app.add_option("--repeats", repeats, "of both, the best counts")->check(CLI::Range(1, 100));
  app.add_option("--threads", n_threads, "threads")->check(CLI::Range(1, 1024));
  app.add_flag("--cold", cold, "drop the file from the page cache before each");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(n_threads);
  try {
    return measure(model, dtype, repeats, cold);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
