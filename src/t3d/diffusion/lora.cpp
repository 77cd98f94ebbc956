#include "t3d/diffusion/lora.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/rng.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text_ends.h"
#include "t3d/io/safetensors.h"

namespace t3d::diffusion {
namespace {

constexpr const char* kProjections[] = {"to_q", "to_k", "to_v", "to_out.0"};

enum class Half { Down, Up, Alpha };

struct Place {
  std::string site;
  Half half;
};

struct Ending {
  const char* text;
  Half half;
};
constexpr Ending kEndings[] = {{".lora_A.weight", Half::Down},
                               {".lora_B.weight", Half::Up},
                               {".lora_A.default.weight", Half::Down},
                               {".lora_B.default.weight", Half::Up},
                               {".lora.down.weight", Half::Down},
                               {".lora.up.weight", Half::Up},
                               {"_lora.down.weight", Half::Down},
                               {"_lora.up.weight", Half::Up},
                               {".lora.alpha", Half::Alpha},
                               {"_lora.alpha", Half::Alpha},
                               {".alpha", Half::Alpha}};

/// The site that a tensor's name belongs to in any naming; an empty site when it is no such name.
Place place_of(std::string name) {
  for (const char* prefix : {"base_model.model.", "unet."})
    if (starts_with(name, prefix)) name = name.substr(std::string(prefix).size());
  for (const Ending& ending : kEndings) {
    if (!ends_with(name, ending.text)) continue;
    std::string site = name.substr(0, name.size() - std::string(ending.text).size());
    const size_t processor = site.find(".processor.");
    if (processor != std::string::npos) site.replace(processor, std::string(".processor.").size(), ".");
    if (ends_with(site, ".to_out")) site += ".0";
    return {site, ending.half};
  }
  return {"", Half::Down};
}

std::string tensor_name(const std::string& site, LoraNaming naming, Half half) {
  const bool down = half == Half::Down;
  if (half == Half::Alpha) return (naming == LoraNaming::Diffusers ? "unet." : "") + site + ".alpha";
  if (naming == LoraNaming::Peft) return site + (down ? ".lora_A.weight" : ".lora_B.weight");
  if (naming == LoraNaming::Diffusers)
    return "unet." + site + (down ? ".lora.down.weight" : ".lora.up.weight");
  const std::string plain = ends_with(site, ".to_out.0") ? site.substr(0, site.size() - 2) : site;
  const size_t dot = plain.rfind('.');
  return plain.substr(0, dot) + ".processor" + plain.substr(dot) +
         (down ? "_lora.down.weight" : "_lora.up.weight");
}

std::string listed(const std::vector<std::string>& problems) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(problems.size(), 8); ++i) text += (i > 0 ? "; " : "") + problems[i];
  return problems.size() > 8 ? cat(text, "; and ", problems.size() - 8, " more") : text;
}

}  // namespace

std::vector<LoraSite> attention_sites(const std::map<std::string, at::Tensor>& parameters) {
  std::vector<LoraSite> sites;
  for (const auto& [name, tensor] : parameters)
    for (const char* attention : {".attn1.", ".attn2."})
      for (const char* projection : kProjections)
        if (ends_with(name, std::string(attention) + projection + ".weight"))
          sites.push_back({name.substr(0, name.size() - 7), tensor.size(1), tensor.size(0)});
  return sites;
}

Lora Lora::make(const LoraConfig& config, const std::vector<LoraSite>& sites, uint64_t seed,
                c10::Device device) {
  T3D_CHECK(config.rank > 0, "rank ", config.rank);
  Lora lora;
  for (const LoraSite& site : sites) {
    uint64_t key = seed ^ 1469598103934665603ull;
    for (const char c : site.name) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    Rng rng(key);
    Pair pair;
    pair.down = at::empty({config.rank, site.n_in}, at::kFloat);
    auto* p = pair.down.data_ptr<float>();
    for (int64_t i = 0; i < pair.down.numel(); ++i) p[i] = rng.normal() / static_cast<float>(config.rank);
    pair.down = pair.down.to(device);
    pair.up = at::zeros({site.n_out, config.rank}, pair.down.options());
    pair.alpha = config.alpha > 0 ? config.alpha : static_cast<double>(config.rank);
    lora.pairs_.emplace(site.name, std::move(pair));
  }
  return lora;
}

Lora Lora::load(const TensorSource& source, const std::vector<LoraSite>& sites, c10::Device device) {
  std::map<std::string, LoraSite> known;
  std::vector<std::string> site_names, problems;
  for (const LoraSite& site : sites) {
    known[site.name] = site;
    site_names.push_back(site.name);
  }
  Lora lora;
  size_t n_text = 0;
  for (const std::string& name : source.names()) {
    if (starts_with(name, "text_encoder")) {
      ++n_text;
      continue;
    }
    const Place place = place_of(name);
    const auto site = known.find(place.site);
    if (site == known.end()) {
      problems.push_back(name + " belongs to no attention projection of this model" +
                         (place.site.empty() ? "" : did_you_mean(place.site, site_names)));
      continue;
    }
    const std::vector<int64_t> shape = source.shape(name);
    Pair& pair = lora.pairs_[place.site];
    if (place.half == Half::Alpha) {
      const at::Tensor alpha = source.load(name, at::kFloat, c10::kCPU);
      if (alpha.numel() == 1)
        pair.alpha = alpha.to(at::kDouble).item<double>();
      else
        problems.push_back(cat(name, " has ", alpha.numel(), " numbers instead of 1"));
      continue;
    }
    const bool down = place.half == Half::Down;
    const int64_t wide = down ? site->second.n_in : site->second.n_out;
    if (shape.size() != 2 || shape[down ? 1 : 0] != wide || shape[down ? 0 : 1] < 1) {
      problems.push_back(cat(name, " is ", at::IntArrayRef(shape), " instead of ",
                             down ? cat("[rank,", wide, "]") : cat("[", wide, ",rank]")));
      continue;
    }
    at::Tensor t = source.load(name, at::kFloat, device);
    if (!at::isfinite(t).all().item<bool>()) problems.push_back(name + " holds NaN or infinity");
    (down ? pair.down : pair.up) = std::move(t);
  }
  for (auto& [site, pair] : lora.pairs_) {
    if (!pair.down.defined() || !pair.up.defined()) {
      problems.push_back(cat(site, " has no ", pair.down.defined() ? "up" : "down", " half"));
    } else if (pair.down.size(0) != pair.up.size(1)) {
      problems.push_back(
          cat(site, " has rank ", pair.down.size(0), " below and ", pair.up.size(1), " above"));
    } else if (pair.alpha == 0) {
      pair.alpha = static_cast<double>(pair.down.size(0));
    }
  }
  if (lora.pairs_.empty() && problems.empty()) problems.push_back("it has no LoRA weights");
  if (!problems.empty())
    throw UserError(cat(source.where(), ": not LoRA weights of this model: ", listed(problems),
                        ". Check that the file was trained on the same UNet."));
  if (n_text > 0)
    log::warning(cat(source.where(), ": left out ", counted(static_cast<int64_t>(n_text), "tensor"),
                     " of a text encoder."));
  return lora;
}

void Lora::save(const std::string& path, LoraNaming naming) const {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [site, pair] : pairs_) {
    tensors[tensor_name(site, naming, Half::Down)] = pair.down.detach();
    tensors[tensor_name(site, naming, Half::Up)] = pair.up.detach();
    if (pair.alpha != static_cast<double>(pair.down.size(0)))
      tensors[tensor_name(site, naming, Half::Alpha)] = at::full({}, pair.alpha, at::kFloat);
  }
  io::write_safetensors(path, tensors, {{"format", "pt"}});
}

at::Tensor Lora::add(const std::string& site, const at::Tensor& x, const at::Tensor& y, double scale) const {
  const auto it = pairs_.find(site);
  if (it == pairs_.end() || scale == 0) return y;
  const Pair& pair = it->second;
  const at::Tensor low = at::linear(at::linear(x.to(pair.down.scalar_type()), pair.down), pair.up);
  return y + (low * (scale * pair.alpha / static_cast<double>(pair.down.size(0)))).to(y.scalar_type());
}

void Lora::require_grad(bool wanted) {
  for (auto& [site, pair] : pairs_) {
    pair.down.set_requires_grad(wanted);
    pair.up.set_requires_grad(wanted);
  }
}

std::map<std::string, at::Tensor> Lora::parameters() const {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [site, pair] : pairs_) {
    tensors[tensor_name(site, LoraNaming::AttnProcs, Half::Down)] = pair.down;
    tensors[tensor_name(site, LoraNaming::AttnProcs, Half::Up)] = pair.up;
  }
  return tensors;
}

std::vector<at::Tensor> Lora::parameters_under(const std::string& prefix) const {
  std::vector<at::Tensor> tensors;
  for (auto it = pairs_.lower_bound(prefix); it != pairs_.end() && starts_with(it->first, prefix); ++it) {
    tensors.push_back(it->second.down);
    tensors.push_back(it->second.up);
  }
  return tensors;
}

}  // namespace t3d::diffusion
