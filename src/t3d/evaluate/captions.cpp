#include "t3d/evaluate/captions.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/diffusion/prompt_text.h"
#include "t3d/toybox/render_objects.h"

namespace t3d::evaluate {
namespace {

constexpr uint64_t kPoolSeed = 0xca9d1da7e5, kChoiceStream = 0xc4a;
constexpr int64_t kPool = 2048;  // at least so many texts to choose others from

}  // namespace

std::vector<std::string> held_out_captions(int64_t n, uint64_t seed) {
  toybox::RenderPlan plan;
  plan.seed = seed;
  plan.held_out = true;
  std::vector<std::string> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(toybox::caption(toybox::described(plan, i)));
  return out;
}

std::vector<std::string> read_captions(const std::string& path) {
  std::vector<std::string> out;
  std::istringstream lines(read_whole_file(path, uint64_t{1} << 26));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    try {
      if (!diffusion::clean_prompt(line, diffusion::PromptCleaning::Diffusers).empty()) out.push_back(line);
    } catch (const UserError& e) {
      throw UserError(cat(path, ":", number, ": ", e.what()));
    }
  }
  if (out.empty()) throw UserError(cat(path, ": holds no caption, expected one a line."));
  return out;
}

std::vector<std::string> captions_from(const std::string& source, int64_t n, uint64_t seed) {
  return source == "held-out" ? held_out_captions(n, seed) : read_captions(source);
}

Candidates::Candidates(const std::vector<std::string>& captions, int64_t n, uint64_t seed) {
  T3D_CHECK(n >= 2, n, " candidates");
  std::map<std::string, int64_t> row_of;
  const auto row = [&](const std::string& text) {
    const auto [entry, is_new] = row_of.emplace(text, static_cast<int64_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return entry->second;
  };
  toybox::RenderPlan plan;
  plan.seed = kPoolSeed + seed;
  plan.held_out = true;
  std::vector<int64_t> pool;
  for (int64_t i = 0; static_cast<int64_t>(pool.size()) < std::max(kPool, 2 * n); ++i) {
    const size_t before = texts_.size();
    const int64_t r = row(toybox::caption(toybox::described(plan, i)));
    if (texts_.size() > before) pool.push_back(r);
  }
  for (size_t i = 0; i < captions.size(); ++i) {
    std::vector<int64_t> rows{row(captions[i])};
    std::vector<int64_t> rest = pool;
    rest.erase(std::remove(rest.begin(), rest.end(), rows[0]), rest.end());
    Rng rng(plan.seed, kChoiceStream + (static_cast<uint64_t>(i) << 16));
    for (int64_t k = 0; k + 1 < n; ++k) {  // the first of a shuffle
      const auto left = static_cast<uint32_t>(rest.size()) - static_cast<uint32_t>(k);
      std::swap(rest[static_cast<size_t>(k)], rest[static_cast<size_t>(k) + rng.below(left)]);
      rows.push_back(rest[static_cast<size_t>(k)]);
    }
    rows_.push_back(std::move(rows));
  }
}

}  // namespace t3d::evaluate
