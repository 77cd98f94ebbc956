#include "t3d/diffusion/adapter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/model_family.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/safetensors.h"

namespace t3d::diffusion {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMostListed = 8;
constexpr const char* kMetadataKey = "lora_adapter_metadata";  // diffusers since 0.34

/// What one layer of the model becomes.
struct Change {
  LayerTensors tensors;
  AlphaRule rule;
};

class AdaptedSource : public TensorSource {
 public:
  AdaptedSource(std::shared_ptr<TensorSource> model, std::shared_ptr<TensorSource> file,
                std::map<std::string, Change> changes, double strength)
      : model_(std::move(model)),
        file_(std::move(file)),
        changes_(std::move(changes)),
        strength_(strength),
        where_(cat(model_->where(), " with ", file_->where())) {}
  const std::string& where() const override { return where_; }
  std::vector<std::string> names() const override { return model_->names(); }
  bool has(const std::string& name) const override { return model_->has(name); }
  std::vector<int64_t> shape(const std::string& name) const override { return model_->shape(name); }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    const bool is_bias = ends_with(name, ".bias");
    const auto found =
        changes_.find(name.substr(0, name.size() - std::min<size_t>(name.size(), is_bias ? 5 : 7)));
    if (found == changes_.end() || !(is_bias || ends_with(name, ".weight")))
      return model_->load(name, dtype, device);
    const at::Tensor plain = model_->load(name, at::kFloat, c10::kCPU).to(at::kFloat);
    const at::Tensor sum = (is_bias ? changed_bias : changed_weight)(*file_, found->second.tensors,
                                                                     found->second.rule, plain, strength_);
    const at::Tensor out = sum.to(at::TensorOptions().dtype(dtype).device(device)).contiguous();
    return out.is_same(plain) ? out.clone() : out;
  }

 private:
  std::shared_ptr<TensorSource> model_, file_;
  std::map<std::string, Change> changes_;  // by the model's layer
  double strength_;
  std::string where_;
};

std::string first_of(const std::vector<std::string>& problems) {
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kMostListed); ++i)
    text += (i > 0 ? "; " : "") + problems[i];
  return problems.size() > kMostListed ? cat(text, "; and ", problems.size() - kMostListed, " more") : text;
}

std::string of_family(const std::vector<std::string>& names) {
  const std::string family = foreign_family(names);
  return family.empty() ? "" : cat(" By its tensors it is for ", family, ".");
}

/// The file that `path` stands for, a folder's own where it is one.
std::string file_of(const std::string& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) return path;
  for (const char* stem : {"pytorch_lora_weights", "adapter_model"})
    for (const char* ending : {".safetensors", ".bin"}) {
      const fs::path file = fs::path(path) / (std::string(stem) + ending);
      if (fs::is_regular_file(file, none)) return file.string();
    }
  throw SystemError(cat(path,
                        ": holds no LoRA, expected pytorch_lora_weights.safetensors or "
                        "adapter_model.safetensors. Name the file itself."));
}

const char* text_of(AdaptedPart part) {
  return part == AdaptedPart::UNet ? "UNet" : "text encoder";
}

}  // namespace

Adapter Adapter::open(const std::string& path) {
  const std::string file = file_of(path);
  const auto source = open_source(file);
  std::string description;
  const fs::path beside = fs::path(file).parent_path() / "adapter_config.json";
  std::error_code none;
  if (ends_with(file, ".safetensors") && source->where() == file) {
    try {
      const auto metadata = io::SafetensorsFile(file).metadata();
      if (const auto found = metadata.find(kMetadataKey); found != metadata.end())
        description = found->second;
    } catch (const UserError&) {
      // a file of torch.save under this name, which has no metadata
    }
  }
  if (description.empty() && starts_with(fs::path(file).filename().string(), "adapter_model") &&
      fs::is_regular_file(beside, none))
    description = read_whole_file(beside.string(), 1 << 20);
  return from(source, description);
}

Adapter Adapter::from(std::shared_ptr<TensorSource> source, const std::string& description) {
  Adapter out;
  out.source_ = std::move(source);
  out.read_names();
  if (!description.empty()) out.read_description(description);
  return out;
}

void Adapter::read_names() {
  const std::vector<std::string> names = source_->names();
  std::vector<std::string> problems;
  size_t n_beside = 0;
  for (const std::string& name : names) {
    AdapterName parts;
    std::string problem;
    if (is_beside_adapter(name)) {
      ++n_beside;
    } else if (!parse_adapter_name(name, parts, problem)) {
      problems.push_back(cat(name, " ", problem.empty() ? "is no name of a LoRA tensor" : problem));
    } else if (const auto [at, is_new] = layers_[parts.part][parts.layer].emplace(parts.role, name);
               !is_new) {
      problems.push_back(cat(name, " and ", at->second, " are the same"));
    }
  }
  if (layers_.empty() && problems.empty()) problems.push_back("it has no tensors");
  if (!problems.empty())
    throw UserError(cat(where(), ": not a LoRA file that is read: ", with_full_stop(first_of(problems)),
                        of_family(names), " See docs/lora.md for what is."));
  if (n_beside > 0)
    log::warning(
        cat(where(), ": ", n_beside, " tensors of embeddings that come with the LoRA are left out."));
}

void Adapter::read_description(const std::string& text) {
  const std::string place = where() + ": its description";
  const json all = parse_json(text, place);
  if (!all.is_object()) throw UserError(cat(place, " is no object of keys. Get the file again."));
  for (const AdaptedPart part : {AdaptedPart::UNet, AdaptedPart::TextEncoder}) {
    const std::string prefix = part == AdaptedPart::UNet ? "unet." : "text_encoder.";
    const auto key = [&](const char* name) {
      return all.contains(prefix + name) ? all.at(prefix + name) : all.value(name, json());
    };
    Description& d = descriptions_[part];
    json alpha = key("lora_alpha");
    if (alpha.is_null()) alpha = key("alpha");
    if (alpha.is_number()) d.alpha = alpha.get<double>();
    d.is_rank_stabilised = key("use_rslora") == true;
    const json pattern = key("alpha_pattern");
    if (!pattern.is_object()) continue;
    for (const auto& [name, value] : pattern.items()) {
      if (!value.is_number() || name.find_first_of("*^$[(|+?\\") != std::string::npos)
        throw UserError(
            cat(place, " has alpha_pattern ", name, ": ", value.dump(),
                ", but a layer's name and a number are read. Merge the LoRA into its model instead."));
      d.alphas[name] = value.get<double>();
    }
  }
}

AlphaRule Adapter::rule_of(AdaptedPart part, const std::string& layer) const {
  const auto found = descriptions_.find(part);
  if (found == descriptions_.end()) return {};
  AlphaRule rule{found->second.alpha, found->second.is_rank_stabilised};
  for (const auto& [name, alpha] : found->second.alphas)
    if (layer == name || ends_with(layer, "." + name)) rule.alpha = alpha;
  return rule;
}

bool Adapter::changes(AdaptedPart part) const {
  return n_layers(part) > 0;
}

size_t Adapter::n_layers(AdaptedPart part) const {
  const auto found = layers_.find(part);
  return found == layers_.end() ? 0 : found->second.size();
}

std::shared_ptr<TensorSource> Adapter::onto(std::shared_ptr<TensorSource> model, AdaptedPart part,
                                            double strength) const {
  if (!changes(part)) return model;
  const AdapterLayers known(*model, part);
  std::map<std::string, Change> found;
  std::vector<std::string> problems;
  for (const auto& [name, tensors] : layers_.at(part)) {
    const std::string layer = known.find(name);
    if (layer.empty()) {
      const std::string near = problems.size() < kMostListed ? known.suggestion(name) : "";
      problems.push_back(cat(name, " is no layer of this ", text_of(part), near));
      continue;
    }
    const auto shape_of = [&](const std::string& tensor) {
      return model->has(tensor) ? model->shape(tensor) : std::vector<int64_t>{};
    };
    const auto bias = shape_of(layer + ".bias");
    const std::string problem =
        layer_problem(*source_, tensors, shape_of(layer + ".weight"), bias.empty() ? 0 : bias[0]);
    if (!problem.empty())
      problems.push_back(cat(name, " ", problem));
    else if (!found.emplace(layer, Change{tensors, rule_of(part, layer)}).second)
      problems.push_back(cat(name, " is in the file under two names"));
  }
  if (!problems.empty())
    throw UserError(cat(where(), ": does not fit ", model->where(), ": ", with_full_stop(first_of(problems)),
                        of_family(source_->names()), " Use a LoRA that was made for this model."));
  return std::make_shared<AdaptedSource>(std::move(model), source_, std::move(found), strength);
}

std::shared_ptr<TensorSource> open_adapted_part(const std::string& model, const std::string& part,
                                                const AdapterUse& use) {
  const auto source = open_part(model, part);
  if (use.path.empty() || (part != "unet" && part != "text_encoder")) return source;
  return Adapter::open(use.path).onto(source, part == "unet" ? AdaptedPart::UNet : AdaptedPart::TextEncoder,
                                      use.strength);
}

}  // namespace t3d::diffusion
