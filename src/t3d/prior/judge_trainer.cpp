#include "t3d/prior/judge_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/ops/device_graph.h"
#include "t3d/prior/augmentation.h"
#include "t3d/prior/text_tokens.h"
#include "t3d/prior/view_set.h"

namespace t3d::prior {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;
using nlohmann::json;

constexpr uint64_t kPairStream = 0x1d6e;
const char* const kScale = "logit_scale";
const double kFirstScale = std::log(1 / 0.07), kLargestScale = std::log(100.0);

json tower_json(const char* type, int channels, int layers, int heads) {
  return {{"model_type", type},          {"hidden_size", channels},      {"intermediate_size", 4 * channels},
          {"num_hidden_layers", layers}, {"num_attention_heads", heads}, {"hidden_act", "quick_gelu"},
          {"layer_norm_eps", 1e-5}};
}

json model_json(const JudgeTraining& c, int64_t n_words) {
  json text = tower_json("clip_text_model", c.text_channels, c.text_layers, c.text_heads);
  text.update({{"max_position_embeddings", c.text_length},
               {"vocab_size", n_words},
               {"bos_token_id", n_words - 2},
               {"eos_token_id", n_words - 1},
               {"pad_token_id", n_words - 1},
               {"projection_dim", c.shared_channels}});
  json vision = tower_json("clip_vision_model", c.vision_channels, c.vision_layers, c.vision_heads);
  vision.update({{"image_size", c.image_size},
                 {"patch_size", c.patch_size},
                 {"num_channels", 3},
                 {"projection_dim", c.shared_channels}});
  return {{"architectures", {"CLIPModel"}},      {"model_type", "clip"},
          {"projection_dim", c.shared_channels}, {"logit_scale_init_value", kFirstScale},
          {"text_config", std::move(text)},      {"vision_config", std::move(vision)}};
}

json preprocessor_json(int size) {
  const json middle = {0.5, 0.5, 0.5};
  return {{"image_processor_type", "CLIPImageProcessor"},
          {"do_resize", true},
          {"size", {{"shortest_edge", size}}},
          {"resample", 2},  // bilinear
          {"do_center_crop", true},
          {"crop_size", {{"height", size}, {"width", size}}},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255},
          {"do_normalize", true},
          {"image_mean", middle},
          {"image_std", middle},
          {"do_convert_rgb", true}};
}

std::vector<std::string> first_lines(const std::vector<std::string>& captions) {
  std::vector<std::string> lines;
  for (const std::string& text : captions) lines.push_back(text.substr(0, text.find('\n')));
  return lines;
}

/// Equal numbers for equal texts, [n] int64.
at::Tensor numbers_of(const std::vector<std::string>& texts) {
  std::map<std::string, int64_t> number;
  auto out = at::empty({static_cast<int64_t>(texts.size())}, at::kLong);
  for (size_t i = 0; i < texts.size(); ++i)
    out.data_ptr<int64_t>()[i] = number.emplace(texts[i], static_cast<int64_t>(number.size())).first->second;
  return out;
}

/// [n,S] of pictures with one grey each, in pieces.
at::Tensor embed_views(const ds::ClipModel& model, const ViewSet& views, const at::Tensor& index) {
  constexpr int64_t kPiece = 256;
  const auto grey = at::linspace(kDarkestGrey, 1, index.numel());
  std::vector<at::Tensor> parts;
  for (int64_t i = 0; i < index.numel(); i += kPiece) {
    const auto pictures = views.pictures(index.slice(0, i, i + kPiece), grey.slice(0, i, i + kPiece));
    parts.push_back(ds::unit_rows(model.image(pictures).features));
  }
  return at::cat(parts);
}

class JudgeTrainer {
 public:
  JudgeTrainer(const JudgeTraining& config, const TrainingRun& run)
      : config_(checked(config, run)),
        run_(run),
        views_(config.data, run.device, checked_size(config)),
        table_(tokenize(prepared_tokenizer(), views_.captions())),
        captions_(numbers_of(first_lines(views_.captions())).to(run.device)),
        weights_(ds::Weights::random(config.seed, at::kFloat, run.device)),
        model_(ds::ClipConfig::from_json(whole_config(), "the configuration"), weights_),
        scale_(weights_.parameters().at(kScale)),
        dtype_(config.bf16 && run.device.is_cuda() ? at::kBFloat16 : at::kFloat),
        adam_(started(weights_.parameters()),
              {0.9, 0.98, 1e-6, config.weight_decay, 1, config.ema_decay, dtype_}),
        step_([this](const std::vector<at::Tensor>& in) { return step_on(in[0], in[1], in[2]); },
              config.cuda_graphs ? run.device : c10::Device(c10::kCPU)) {
    model_.text().check_ids(table_.ids);
    table_.ids = table_.ids.to(run.device);
    model_.compute_in(dtype_);
  }

  JudgeReport operator()() {
    const auto loop = run_training("judge", config::write_yaml(config::write_struct(config_)), config_, run_,
                                   adam_, [this](int64_t draw) { return step(draw); });
    JudgeReport report;
    report.finished = loop.finished;
    report.steps = loop.steps;
    if (!run_.group->is_first()) return report;
    write_model();
    measure(report);
    return report;
  }

 private:
  std::string folder() const { return run_.folder + "/judge"; }

  static const JudgeTraining& checked(const JudgeTraining& c, const TrainingRun& run) {
    check_batch(c, run.group->size());
    return c;
  }

  static int64_t checked_size(const JudgeTraining& c) {
    if (c.image_size % c.patch_size != 0)
      throw UserError(
          cat("image_size is ", c.image_size, ", expected a multiple of patch_size (", c.patch_size, ")."));
    return c.image_size;
  }

  std::string prepared_tokenizer() const {
    distributed::in_first(*run_.group, [&] {
      if (!fs::exists(folder() + "/tokenizer_config.json"))
        write_tokenizer(folder(), views_.captions(), config_.text_length, config_.most_merges);
    });
    return folder();
  }

  json whole_config() const {
    return model_json(config_, ds::ClipTokenizer::from_folder(folder()).vocabulary_size());
  }

  /// CLIP's own start: section 2.5 of the paper.
  static const std::map<std::string, at::Tensor>& started(
      const std::map<std::string, at::Tensor>& parameters) {
    at::Tensor scale = parameters.at(kScale);
    scale.fill_(kFirstScale);
    return parameters;
  }

  /// One batch's loss, detached; its gradients are in the optimizer.
  at::Tensor step(int64_t draw) {
    const int64_t n = batch_share(config_, run_), n_views = views_.n_views();
    Rng rng(config_.seed, kPairStream + (static_cast<uint64_t>(draw) << 16));
    auto index = at::empty({n}, at::kLong), rows = at::empty({n}, at::kLong),
         objects = at::empty({n}, at::kLong);
    auto grey = at::empty({n}, at::kFloat);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t object = rng.below(static_cast<uint32_t>(views_.n_objects()));
      const int64_t first = table_.first_row[static_cast<size_t>(object)],
                    n_rows = table_.first_row[static_cast<size_t>(object) + 1] - first;
      objects.data_ptr<int64_t>()[i] = object;
      index.data_ptr<int64_t>()[i] = object * n_views + rng.below(static_cast<uint32_t>(n_views));
      rows.data_ptr<int64_t>()[i] =
          n_rows == 0 ? table_.empty_row() : first + rng.below(static_cast<uint32_t>(n_rows));
      grey.data_ptr<float>()[i] = rng.uniform(kDarkestGrey, 1);
    }
    at::manual_seed(config_.seed * 1000003 + static_cast<uint64_t>(draw));
    const auto pictures = augment(views_.pictures(index, grey), grey.to(run_.device), config_.augmentation);
    return step_({pictures, table_.ids.index_select(0, rows.to(run_.device)),
                  captions_.index_select(0, objects.to(run_.device))});
  }

  /// What is recorded: pictures [B,3,R,R], their captions' tokens [B,L] and numbers [B].
  at::Tensor step_on(const at::Tensor& pictures, const at::Tensor& ids, const at::Tensor& caption) const {
    const auto own = at::arange(caption.size(0), caption.options());
    const auto is_same =
        caption.unsqueeze(0)
            .eq(caption.unsqueeze(1))
            .logical_and(own.unsqueeze(0).ne(own.unsqueeze(1)));  // [B,B] other objects of the same caption
    const auto scale = scale_.to(at::kFloat);
    const auto cosines = ds::unit_rows(model_.image(pictures).features)
                             .matmul(ds::unit_rows(model_.text_features(ids)).t());  // [pictures,texts]
    const auto logits = (scale.clamp_max(kLargestScale).exp() * cosines)
                            .masked_fill(is_same, -std::numeric_limits<float>::infinity());
    // Above its bound the scale gets no gradient from the logits; the last term brings it back.
    const auto loss = 0.5 * (at::cross_entropy_loss(logits, own) + at::cross_entropy_loss(logits.t(), own)) +
                      (scale - kLargestScale).clamp_min(0);
    loss.backward();
    return loss.detach();
  }

  void write_model() const {
    std::map<std::string, at::Tensor> halves;
    for (const auto& [name, tensor] : adam_.averaged())
      halves.emplace(name, (name == kScale ? tensor.clamp_max(kLargestScale) : tensor).to(at::kHalf).cpu());
    make_folders(folder());
    io::write_safetensors(folder() + "/model.safetensors", halves, {{"format", "pt"}});
    io::write_json_file(folder() + "/config.json", whole_config());
    io::write_json_file(folder() + "/preprocessor_config.json", preprocessor_json(config_.image_size));
  }

  /// Of the files that were written.
  void measure(JudgeReport& report) const {
    const c10::NoGradGuard no_grad;
    const auto model = ds::load_clip_model(folder(), at::kFloat, run_.device);
    const bool has_val = !config_.val_data.empty();
    const ViewSet other(has_val ? config_.val_data : config_.data, run_.device, config_.image_size);
    const int64_t n_all = other.n_objects(), n = std::min<int64_t>(config_.val_objects, n_all),
                  n_views = other.n_views(), size = std::min<int64_t>(config_.candidates, n);
    const auto lines = first_lines(other.captions());
    const std::vector<std::string> texts(lines.end() - n, lines.end());
    const auto caption = numbers_of(texts).to(run_.device);  // [n]
    const auto ids = tokenize(folder(), texts).ids.slice(0, 0, n);
    const auto words = ds::unit_rows(model.text_features(ids.to(run_.device)));  // [n,S]
    const auto pictures = embed_views(model, other, at::arange((n_all - n) * n_views, n_all * n_views))
                              .view({n, n_views, -1});  // [n,V,S]
    int64_t n_right = 0, n_right_objects = 0;
    for (int64_t i = 0; i + size <= n; i += size) {
      const auto choice = words.slice(0, i, i + size), seen = pictures.slice(0, i, i + size);
      const auto own = caption.slice(0, i, i + size);
      const auto best = seen.matmul(choice.t()).argmax(2),             // [size,V]
          best_of_object = seen.mean(1).matmul(choice.t()).argmax(1);  // [size]
      n_right += own.index({best}).eq(own.unsqueeze(1)).sum().item<int64_t>();
      n_right_objects += own.index({best_of_object}).eq(own).sum().item<int64_t>();
      report.n_objects += size;
    }
    report.n_candidates = size;
    report.r_at_1 = static_cast<double>(n_right) / static_cast<double>(report.n_objects * n_views);
    report.r_at_1_objects = static_cast<double>(n_right_objects) / static_cast<double>(report.n_objects);
    write_sheet(other, n_all - n,
                pictures.slice(0, 0, size).select(1, 0).matmul(words.slice(0, 0, size).t()));
  }

  /// A row for each of the first pictures: itself, then the objects of the most similar captions.
  void write_sheet(const ViewSet& views, int64_t first_object, const at::Tensor& similarity) const {
    constexpr int64_t kRows = 12, kColumns = 5;
    const int64_t n = similarity.size(0), n_rows = std::min(n, kRows), n_columns = std::min(n, kColumns);
    const auto best = std::get<1>(similarity.slice(0, 0, n_rows).topk(n_columns, 1)).cpu();
    const auto objects = at::cat({at::arange(n_rows).unsqueeze(1), best}, 1);  // [rows,1+columns]
    const auto pictures = views.pictures(((objects + first_object) * views.n_views()).flatten(),
                                         at::full({objects.numel()}, 0.75f));
    const int64_t side = views.resolution();
    const auto sheet = (pictures * 0.5 + 0.5)
                           .view({n_rows, 1 + n_columns, 3, side, side})
                           .permute({0, 3, 1, 4, 2})
                           .reshape({n_rows * side, (1 + n_columns) * side, 3})
                           .cpu()
                           .contiguous();
    io::ImageF image(static_cast<int>(sheet.size(1)), static_cast<int>(sheet.size(0)), 3);
    std::copy_n(sheet.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
    io::write_png(run_.folder + "/retrieval.png", io::to_8bit(image), io::ReadBack::Yes);
  }

  JudgeTraining config_;
  TrainingRun run_;
  ViewSet views_;
  TokenTable table_;
  at::Tensor captions_;  // [N] equal where captions are
  ds::Weights weights_;
  ds::ClipModel model_;
  at::Tensor scale_;
  at::ScalarType dtype_;
  optim::AveragedAdamW adam_;
  ops::DeviceGraph step_;
};

}  // namespace

void check_batch(const JudgeTraining& config, int n_processes) {
  if (batch_share(config, n_processes) < 2)
    throw UserError(
        cat("batch is 1 in each process, expected at least 2: pictures learn by being told apart. Use "
            "batch=",
            2 * n_processes, " or more."));
}

JudgeReport train_judge(const JudgeTraining& config, const TrainingRun& run) {
  return JudgeTrainer(config, run)();
}

}  // namespace t3d::prior
