#include "t3d/system/loss_names.h"

#include <algorithm>
#include <string>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/text_ends.h"
#include "t3d/system/term.h"

namespace t3d::system {
namespace {

/// What our guidances and systems read, without "lambda_".
const std::vector<std::string>& our_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"sds", "sds_img", "vsd", "vsd_img", "lora", "asd"};
    for (const Term& term : terms()) all.push_back(term.name);
    return all;
  }();
  return names;
}
/// And what systems of threestudio and its extensions read that are not built here.
const std::vector<std::string> kOthers = {"pretrain",
                                          "rgb",
                                          "mask",
                                          "mask_binary",
                                          "normal",
                                          "normal_smooth",
                                          "depth_rel",
                                          "p",
                                          "l1",
                                          "l2",
                                          "G",
                                          "D",
                                          "kl",
                                          "clip",
                                          "latent_sds",
                                          "pixel_sds",
                                          "gan",
                                          "lpips",
                                          "3d_sds",
                                          "2d_sds",
                                          "csd",
                                          "nfsd",
                                          "3d_normal_smooth",
                                          "laplacian_smooth",
                                          "mesh_normal_consistency",
                                          "position",
                                          "scales",
                                          "opacity",
                                          "tv_loss",
                                          "curvature",
                                          "sdi",
                                          "hifa",
                                          "recon",
                                          "intersection"};
/// Numbers of the terms that are no weights.
const std::vector<std::string> kPlain = {"emptiness_scale", "center_ratio"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void check_loss_names(const config::Node& block, const std::vector<std::string>& own) {
  if (!block.is_map()) return;
  const std::string start = "lambda_";
  std::vector<std::string> all = kPlain;
  for (const std::string& name : our_names()) all.push_back(start + name);
  for (const auto& [key, value] : block.map()) {
    const bool is_lambda = starts_with(key, start);
    const std::string stem = is_lambda ? key.substr(start.size()) : key;
    if (contains(all, key) || (is_lambda && contains(own, stem))) continue;
    const std::string path = cat("system.loss.", key);
    if (is_lambda && contains(kOthers, stem)) {
      if (value != config::Node(0.0) && value != config::Node(int64_t{0}))
        config::warn_ignored(value, path, "it is the weight of a system that is not built here");
      continue;
    }
    std::string near = is_lambda ? nearest(stem, our_names()) : nearest(key, all);
    if (!near.empty() && is_lambda) near = start + near;
    if (near.empty() && !is_lambda && contains(our_names(), key)) near = start + key;
    const std::string where = value.origin.source.empty() ? "" : value.origin.text() + ": ";
    if (!near.empty())
      throw UserError(
          cat(where, "unknown option system.loss.", key, "; did you mean system.loss.", near, "?"));
    if (!is_lambda && !starts_with(key, "loss_"))
      throw UserError(cat(where, "unknown option system.loss.", key,
                          "; expected lambda_NAME, the weight of a loss. Remove it."));
    config::warn_ignored(value, path, "no such loss is known");
  }
}

}  // namespace t3d::system
