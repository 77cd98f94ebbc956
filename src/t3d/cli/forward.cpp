#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "t3d/cli/command.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/diffusion/adapter.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/unet.h"
#include "t3d/io/safetensors.h"

namespace t3d::cli {
namespace {

using namespace diffusion;
using Tensors = std::map<std::string, at::Tensor>;

struct ForwardOptions {
  std::string module, model, inputs, output, grad, lora, dtype = "fp32", device = "cpu";
  double lora_scale = 1;
  int64_t n_views = 1;
  bool recompute = false, tiling = false;
};

at::ScalarType scalar_type(const std::string& name) {
  return name == "fp16" ? at::kHalf : name == "bf16" ? at::kBFloat16 : at::kFloat;
}

/// The folder of one part: DIR itself, or DIR/unet and so on where DIR is a whole model.
std::string part_folder(const std::string& model, const std::string& part) {
  const std::string inside = model + "/" + part;
  return std::filesystem::is_regular_file(inside + "/config.json") ? inside : model;
}

/// The UNet's weights with what --lora changes in them; it must change something.
std::shared_ptr<TensorSource> with_lora(std::shared_ptr<TensorSource> source, const ForwardOptions& o) {
  if (o.lora.empty()) return source;
  const Adapter adapter = Adapter::open(o.lora);
  if (!adapter.changes(AdaptedPart::UNet))
    throw UserError(cat(adapter.where(), ": changes the text encoder alone. Run t3d forward text with it."));
  if (const size_t n = adapter.n_layers(AdaptedPart::TextEncoder); n > 0)
    log::info(cat(adapter.where(), ": its ", n,
                  n == 1 ? " layer of the text encoder is for" : " layers of the text encoder are for",
                  " t3d forward text, t3d sample and "
                  "t3d convert"));
  return adapter.onto(std::move(source), AdaptedPart::UNet, o.lora_scale);
}

Weights open_weights(const std::string& folder, const ForwardOptions& o) {
  return Weights::from(open_source(find_weights(folder)), scalar_type(o.dtype), c10::Device(o.device));
}

class Inputs {
 public:
  Inputs(const ForwardOptions& o) : file_(o.inputs), device_(o.device) {
    if (o.grad.empty()) return;
    at::Tensor wanted = get(o.grad);
    if (!wanted.is_floating_point())
      throw UserError(cat("--grad ", o.grad, ": whole numbers have no gradient. Name another input."));
    tensors_[o.grad] = wanted.to(at::kFloat).clone().set_requires_grad(true);
  }
  bool has(const std::string& name) const { return file_.contains(name); }
  at::Tensor get(const std::string& name) {
    auto& t = tensors_[name];
    if (!t.defined()) {
      t = file_.copy(name).to(device_);
      if (t.is_floating_point()) t = t.to(at::kFloat);
    }
    return t;
  }

 private:
  io::SafetensorsFile file_;
  c10::Device device_;
  Tensors tensors_;
};

Tensors run_unet(const ForwardOptions& o, Inputs& in) {
  const std::string folder = part_folder(o.model, "unet");
  const UNetConfig config = read_unet_config(folder + "/config.json");
  const Weights weights = Weights::from(with_lora(open_source(find_weights(folder)), o), scalar_type(o.dtype),
                                        c10::Device(o.device));
  UNet unet(config, weights);
  weights.check();
  unet.pack();
  unet.recompute = o.recompute;
  UNetExtra extra;
  extra.n_views = o.n_views;
  if (in.has("class_labels")) extra.class_labels = in.get("class_labels");
  if (in.has("camera")) extra.camera = in.get("camera");
  return {{"out", unet(in.get("sample"), in.get("timesteps"), in.get("encoder_hidden_states"), extra)}};
}

Tensors run_autoencoder(const ForwardOptions& o, Inputs& in) {
  if (!o.lora.empty())
    throw UserError(
        cat("--lora ", o.lora, ": no LoRA changes an autoencoder. Run t3d forward unet or text with it."));
  const std::string folder = part_folder(o.model, "vae");
  const AutoencoderConfig config = read_autoencoder_config(folder + "/config.json");
  const Weights weights = open_weights(folder, o);
  Autoencoder vae(config, weights);
  weights.check();
  vae.pack();
  vae.recompute = o.recompute;
  vae.tiling = o.tiling;
  if (o.module == "vae-decode") return {{"out", vae.decode(in.get("z"))}};
  const Posterior posterior = vae.encode(in.get("image"));
  return {{"out", posterior.mean}, {"logvar", posterior.logvar}};
}

Tensors run_text(const ForwardOptions& o, Inputs& in) {
  if (!o.lora.empty() && !Adapter::open(o.lora).changes(AdaptedPart::TextEncoder))
    throw UserError(cat(o.lora, ": changes the UNet alone. Run t3d forward unet with it."));
  const ClipTextModel model = load_clip_text_model(part_folder(o.model, "text_encoder"), scalar_type(o.dtype),
                                                   c10::Device(o.device), {o.lora, o.lora_scale});
  const auto output = model(in.get("input_ids"));
  return {{"out", output.last_hidden_state}, {"pooled", output.pooled}};
}

int forward(const ForwardOptions& o) {
  check_output_file(o.output, {".safetensors"});
  Inputs in(o);
  const c10::AutoGradMode grad_mode(!o.grad.empty());
  Tensors out = o.module == "unet"   ? run_unet(o, in)
                : o.module == "text" ? run_text(o, in)
                                     : run_autoencoder(o, in);
  if (!o.grad.empty()) {
    const at::Tensor result = out.at("out");
    if (!result.requires_grad())
      throw UserError(cat("--grad ", o.grad, ": the output does not depend on it. Name another input."));
    const at::Tensor weights = in.has("R") ? in.get("R") : at::ones_like(result);
    if (weights.sizes() != result.sizes())
      throw UserError(
          cat(o.inputs, ": R is ", weights.sizes(), " instead of ", result.sizes(), ", the output's shape."));
    out["grad." + o.grad] =
        torch::autograd::grad({result}, {in.get(o.grad)}, {weights.to(result.scalar_type())})[0];
  }
  for (auto& [name, tensor] : out) tensor = tensor.detach();
  io::write_safetensors(o.output, out);
  const io::SafetensorsFile written(o.output);
  for (const auto& entry : written.entries())
    log::info(cat(o.output, ": ", entry.name, " ", at::IntArrayRef(entry.shape)));
  print_result(o.output);
  return 0;
}

}  // namespace

void add_forward_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<ForwardOptions>();
  auto* command = app.add_subcommand("forward", "Run one module of a diffusion model on tensors of a file");
  command->add_option("module", o->module, "unet, vae-encode, vae-decode or text")
      ->required()
      ->check(CLI::IsMember({"unet", "vae-encode", "vae-decode", "text"}));
  command->add_option("--model", o->model, "folder of the module or of the whole model")->required();
  command->add_option("--inputs", o->inputs, "safetensors: see docs/forward.md for the names")->required();
  command->add_option("--output", o->output, "safetensors to write")->required();
  command->add_option("--grad", o->grad, "also the gradient of sum(out * R) with respect to this input");
  command->add_option("--lora", o->lora, "LoRA for the UNet or the text encoder, any naming: docs/lora.md");
  command->add_option("--lora-scale", o->lora_scale, "how strongly it counts; 0: as without");
  command->add_option("--views", o->n_views, "views per object (MVDream)")->check(CLI::Range(1, 64));
  command->add_option("--dtype", o->dtype, "of the weights")->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  command->add_option("--device", o->device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_flag("--recompute", o->recompute, "less memory for gradients, one more forward pass");
  command->add_flag("--tiling", o->tiling, "large pictures in tiles");
  command->callback([o, &run] { run = [o] { return forward(*o); }; });
}

}  // namespace t3d::cli
