#include <ATen/ATen.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/sentence.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/evaluate/captions.h"
#include "t3d/evaluate/objects.h"
#include "t3d/evaluate/samples.h"
#include "t3d/evaluate/view_folders.h"
#include "t3d/io/image_grid.h"
#include "t3d/io/json_file.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;

const char* const kTruth = "ground-truth";

/// What was written, below the table.
void print_results(const std::vector<std::string>& paths) {
  bool is_first = true;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    if (is_first) std::cout << "\n";
    is_first = false;
    print_result(path);
  }
}

struct SamplesCommand {
  std::string model, captions, judge, json, sheet, dtype = "float32", device = "cpu";
  int64_t n = 40, n_candidates = 100, n_steps = 25;
  int views = 4, truths = 8, resolution = 128;
  double guidance = 5, elevation_deg = 15;
  uint64_t seed = 0;
};

/// Objects of the captions themselves, as the world makes them: what the best of models could reach.
evaluate::MakeViews views_of_truth(const evaluate::SampleSettings& s) {
  return [&s](size_t i) {
    const auto [grey, object_seed] = evaluate::draw_for_caption(s.seed, i);
    auto views = evaluate::truth_views(toybox::parse_caption(s.captions[i]), object_seed, s.orbit);
    for (auto& view : views) view = evaluate::before_colour(view, Vec3f::Constant(grey));
    return views;
  };
}

/// [V,3,H,W] in [0,1]
std::vector<io::Image8> images_of(const at::Tensor& pictures) {
  std::vector<io::Image8> out;
  for (int64_t v = 0; v < pictures.size(0); ++v) {
    const auto rows = pictures[v].permute({1, 2, 0}).contiguous();  // [H,W,3]
    io::ImageF image(static_cast<int>(rows.size(1)), static_cast<int>(rows.size(0)), 3);
    std::copy_n(rows.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
    out.push_back(io::to_8bit(image));
  }
  return out;
}

at::ScalarType type_named(const std::string& name) {
  return name == "float16" ? at::kHalf : name == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

/// Samples of a model: caption i is drawn with the seed behind the i-th one.
evaluate::MakeViews views_of_model(const SamplesCommand& o, const std::string& path,
                                   evaluate::SampleSettings& s) {
  const c10::Device device = device_named(o.device);
  auto prompts = s.captions;
  prompts.emplace_back();  // what guidance moves away from
  const auto dtype = type_named(o.dtype);
  const auto text = ds::embed_prompts(path, prompts, dtype, device);
  const auto model = ds::load_model(path, "", dtype, device);
  const auto pipeline =
      std::make_shared<ds::TextToImage>(model.denoiser, model.scheduler, model.decode, device);
  ds::SampleOptions options;
  options.n_steps = o.n_steps;
  options.guidance = o.guidance;
  options.latent_height = options.latent_width = model.latent_size;
  constexpr double kFront = 90;  // +x
  if (model.takes_cameras) {
    options.camera = ds::orbit_cameras(o.views, o.elevation_deg, kFront);
  } else {
    s.n_truths = 0;
    log::warning(cat(path,
                     ": takes no cameras, so one picture of each caption is made and its colours are not "
                     "measured."));
  }
  return [=](size_t i) mutable {
    options.seed = o.seed + i;
    const auto row = static_cast<int64_t>(i), last = text.size(0) - 1;
    return images_of((*pipeline)(text.slice(0, row, row + 1), text.slice(0, last, last + 1), options));
  };
}

nlohmann::json settings_json(const SamplesCommand& o, const std::string& judge) {
  nlohmann::json out = {{"model", o.model},
                        {"judge", judge},
                        {"captions_from", o.captions},
                        {"seed", o.seed},
                        {"candidates", o.n_candidates},
                        {"views", o.views},
                        {"truths", o.truths},
                        {"elevation", o.elevation_deg}};
  if (o.model != kTruth) out.update({{"steps", o.n_steps}, {"guidance", o.guidance}, {"dtype", o.dtype}});
  return out;
}

void check_truth_captions(const std::vector<std::string>& captions, const std::string& from) {
  for (const std::string& caption : captions) try {
      toybox::parse_caption(caption);
    } catch (const UserError& e) {
      throw UserError(cat(from, ": the world has no object for \"", caption, "\": ", e.what()));
    }
}

int evaluate_samples(const SamplesCommand& o) {
  evaluate::SampleSettings s;
  s.captions = evaluate::captions_from(o.captions, o.n, o.seed);
  s.n_candidates = o.n_candidates;
  s.n_truths = o.truths;
  s.seed = o.seed;
  s.orbit.n_views = o.views;
  s.orbit.resolution = o.resolution;
  s.orbit.elevation_deg = static_cast<float>(o.elevation_deg);
  const bool is_truth = o.model == kTruth;
  const std::string path = is_truth ? "" : ds::find_model(o.model),
                    folder = o.judge.empty() ? evaluate::find_judge(path) : o.judge;
  const evaluate::Judge judge(folder, device_named(o.device));
  if (is_truth) check_truth_captions(s.captions, o.captions);
  const auto make_views = is_truth ? views_of_truth(s) : views_of_model(o, path, s);

  s.stop = stop_on_signals();
  Progress progress("evaluate", static_cast<int64_t>(s.captions.size()));
  std::vector<std::vector<io::Image8>> rows;
  int64_t n_right = 0;
  const auto report = evaluate::evaluate_samples(
      s, judge, make_views,
      [&](size_t i, const std::vector<io::Image8>& views, const evaluate::CaptionResult& result) {
        rows.push_back(views);
        n_right += result.rank == 1;
        progress.update(static_cast<int64_t>(i) + 1, cat(n_right, " chosen right"));
      });
  progress.finish();

  auto json = evaluate::report_json(report);
  json.update(settings_json(o, folder));
  io::write_json_file(o.json, json);
  io::read_json_file(o.json);
  const std::string sheet = o.sheet.empty() ? fs::path(o.json).replace_extension(".png").string() : o.sheet;
  io::write_png(sheet, io::picture_grid(rows), io::ReadBack::Yes);
  std::cout << evaluate::report_markdown(report);
  log::info(cat(o.json, " and ", sheet, ": ", counted(static_cast<int64_t>(s.captions.size()), "caption"),
                ", a row each"));
  print_results({o.json, sheet});
  return 0;
}

struct ViewsCommand {
  std::string folder, clip, json, text_folder, device = "cpu";
};

int evaluate_views(const ViewsCommand& o) {
  evaluate::Judge judge(o.clip, device_named(o.device));
  judge.images.filter = ds::ResizeFilter::Bilinear;
  judge.images.shortest_edge = judge.images.crop_width;
  const StopToken stop = stop_on_signals();
  Progress progress("evaluate", 0);
  const auto report = evaluate::evaluate_view_folders(
      o.folder, judge,
      [&](int64_t done, int64_t total) {
        progress.set_total(total);
        progress.update(done);
      },
      stop);
  progress.finish();
  if (!o.json.empty()) {
    auto json = evaluate::report_json(report);
    json.update({{"folder", o.folder}, {"clip", o.clip}});
    io::write_json_file(o.json, json);
    io::read_json_file(o.json);
  }
  if (!o.text_folder.empty()) evaluate::write_text_reports(o.text_folder, report);
  std::cout << evaluate::report_markdown(report);
  print_results({o.json, o.text_folder});
  return 0;
}

struct ObjectsCommand {
  std::string folder, captions = "held-out", judge, json, sheet, device = "cpu";
  int64_t n = 40, per_caption = 1, n_candidates = 100;
  int views = 8, truths = 8, resolution = 128;
  double elevation_deg = 15;
  uint64_t seed = 0;
  bool is_lit = false;
};

evaluate::ObjectSet choose_objects(const ObjectsCommand& o) {
  if (o.folder == kTruth) {
    const auto captions = evaluate::captions_from(o.captions, o.n, o.seed);
    return evaluate::objects_of_truth(captions, o.per_caption, o.seed, o.captions);
  }
  auto set = evaluate::objects_in_folder(o.folder);
  set.is_lit = o.is_lit;
  return set;
}

nlohmann::json settings_json(const ObjectsCommand& o, const std::string& judge) {
  nlohmann::json out = {{"folder", o.folder},
                        {"judge", judge},
                        {"seed", o.seed},
                        {"candidates", o.n_candidates},
                        {"views", o.views},
                        {"truths", o.truths},
                        {"elevation", o.elevation_deg},
                        {"resolution", o.resolution},
                        {"lit", o.is_lit || o.folder == kTruth}};
  if (o.folder == kTruth) out.update({{"captions_from", o.captions}, {"per_caption", o.per_caption}});
  return out;
}

std::string progress_note(int64_t n_done, int64_t n_found, int64_t n_failed, double iou_sum,
                          int64_t n_shapes) {
  char iou[32] = "";
  if (n_shapes > 0) std::snprintf(iou, sizeof iou, ", IoU %.3f", iou_sum / static_cast<double>(n_shapes));
  return cat(n_found, " of ", n_done, " found", iou, n_failed > 0 ? cat(", ", n_failed, " failed") : "");
}

int evaluate_objects(const ObjectsCommand& o) {
  const StopToken stop = stop_on_signals();
  const auto set = choose_objects(o);
  for (const auto& failure : set.failures) log::warning(cat(failure.name, ": ", failure.reason));
  const std::string folder = o.judge.empty() ? evaluate::find_judge() : o.judge;
  const evaluate::Judge judge(folder, device_named(o.device));
  evaluate::ObjectSettings s;
  s.stop = stop;
  s.n_candidates = o.n_candidates;
  s.n_truths = o.truths;
  s.orbit = {o.views, o.resolution, static_cast<float>(o.elevation_deg)};
  s.seed = o.seed;

  const std::string sheet =
      !o.sheet.empty() || o.json.empty() ? o.sheet : fs::path(o.json).replace_extension(".png").string();
  Progress progress("evaluate", static_cast<int64_t>(set.entries.size()));
  std::vector<std::vector<io::Image8>> rows;
  int64_t n_done = 0, n_found = 0, n_shapes = 0;
  double iou_sum = 0;
  const auto report = evaluate::evaluate_objects(
      s, set, judge,
      [&](size_t i, const std::vector<io::Image8>& views, const std::vector<io::Image8>& best,
          const evaluate::ObjectResult* result) {
        if (result != nullptr) {
          ++n_done;
          n_found += result->judged.rank == 1;
          if (result->shape) ++n_shapes, iou_sum += result->shape->iou;
          if (!sheet.empty()) {
            rows.push_back(views);
            rows.back().insert(rows.back().end(), best.begin(), best.end());
          }
        }
        const auto n_seen = static_cast<int64_t>(i) + 1;
        progress.update(n_seen, progress_note(n_done, n_found, n_seen - n_done, iou_sum, n_shapes));
      });
  progress.finish();

  if (!o.json.empty()) {
    auto json = evaluate::report_json(report);
    json.update(settings_json(o, folder));
    io::write_json_file(o.json, json);
    io::read_json_file(o.json);
  }
  if (!sheet.empty()) io::write_png(sheet, io::picture_grid(rows), io::ReadBack::Yes);
  std::cout << evaluate::report_markdown(report);
  if (!sheet.empty())
    log::info(cat(sheet, ": a row for each object, right of it the true one that is the nearest"));
  print_results({o.json, sheet});
  return 0;
}

void add_samples_command(CLI::App* group, Run& run) {
  auto o = std::make_shared<SamplesCommand>();
  auto* c = group->add_subcommand("samples", "Sample captions with a model, and judge the pictures");
  c->add_option("--model", o->model, "Folder or name of the model; ground-truth: the toybox's own objects")
      ->required();
  c->add_option("--captions", o->captions, "held-out: of the toybox; or a text file, one caption a line")
      ->required();
  c->add_option("--json", o->json, "Where the report goes")->required();
  c->add_option("--sheet", o->sheet, "PNG of the pictures, a row for each caption [beside the report]");
  c->add_option("--judge", o->judge,
                "Folder of a CLIPModel [judge in the model's folder, else the toybox's]");
  c->add_option("-n", o->n, "Held-out captions")->check(CLI::Range(1, 1000000))->capture_default_str();
  c->add_option("--seed", o->seed, "Of captions, candidates and noise")->capture_default_str();
  c->add_option("--candidates", o->n_candidates, "Captions to choose from, the own one included")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  c->add_option("--steps", o->n_steps, "Steps of the sampler")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  c->add_option("--guidance", o->guidance, "Weight of the caption")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  c->add_option("--views", o->views, "Views around the object")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  c->add_option("--elevation", o->elevation_deg, "Of the views, degrees")
      ->check(CLI::Range(-90.0, 90.0))
      ->capture_default_str();
  c->add_option("--truths", o->truths,
                "Objects of each caption that colours are compared with; 0: not measured")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  c->add_option("--dtype", o->dtype, "Type of the model's weights; the judge's is float32")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->capture_default_str();
  c->add_option("--res", o->resolution, "Pixels of ground-truth pictures")
      ->check(CLI::Range(16, 1024))
      ->capture_default_str();
  c->add_option("--device", o->device, "cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  c->callback([o, &run] { run = [o] { return evaluate_samples(*o); }; });
}

void add_views_command(CLI::App* group, Run& run) {
  auto o = std::make_shared<ViewsCommand>();
  auto* c =
      group->add_subcommand("views", "Judge rendered views: a folder with a sub-folder for each prompt");
  c->add_option("folder", o->folder, "Sub-folders are named as their prompts, _ for spaces")->required();
  c->add_option("--clip", o->clip, "Folder of a CLIPModel, such as clip-vit-large-patch14")->required();
  c->add_option("--json", o->json, "Where the report goes");
  c->add_option("--result-dir", o->text_folder, "Where similarity.txt and recall.txt go, as ScaleDreamer's");
  c->add_option("--device", o->device, "cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  c->callback([o, &run] { run = [o] { return evaluate_views(*o); }; });
}

void add_objects_command(CLI::App* group, Run& run) {
  auto o = std::make_shared<ObjectsCommand>();
  auto* c = group->add_subcommand("objects", "Measure objects that t3d generate made of toybox captions");
  c->add_option(
       "folder", o->folder,
       "Has a sub-folder for each object, with run.json and mesh.glb; ground-truth: the toybox's own")
      ->required();
  c->add_option("--json", o->json, "Where the report goes");
  c->add_option("--sheet", o->sheet,
                "PNG with a row for each object, the nearest true one beside it [beside the report]");
  c->add_option("--judge", o->judge, "Folder of a CLIPModel [the toybox's]");
  c->add_option("--candidates", o->n_candidates, "Captions to choose from, the own one included")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  c->add_option("--truths", o->truths,
                "True objects of each caption to compare with; 0: shapes and colours are not measured")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  c->add_option("--views", o->views, "Views around the object")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  c->add_option("--elevation", o->elevation_deg, "Of the views, degrees")
      ->check(CLI::Range(-90.0, 90.0))
      ->capture_default_str();
  c->add_option("--res", o->resolution, "Pixels of a side of the pictures")
      ->check(CLI::Range(16, 1024))
      ->capture_default_str();
  c->add_flag("--lit", o->is_lit,
              "The meshes' colours are of surfaces that need light [they are what the surface looks like]");
  std::vector<CLI::Option*> of_truth;
  of_truth.push_back(c->add_option("--captions", o->captions,
                                   "Of ground-truth: held-out, or a text file, one caption a line")
                         ->capture_default_str());
  of_truth.push_back(c->add_option("-n", o->n, "Of ground-truth: held-out captions")
                         ->check(CLI::Range(1, 1000000))
                         ->capture_default_str());
  of_truth.push_back(
      c->add_option("--per-caption", o->per_caption, "Of ground-truth: objects of each caption")
          ->check(CLI::Range(1, 1000))
          ->capture_default_str());
  c->add_option("--seed", o->seed, "Of backgrounds, candidates and true objects")->capture_default_str();
  c->add_option("--device", o->device, "Of the judge: cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  c->callback([o, of_truth, &run] {
    for (const auto* option : of_truth)
      if (option->count() > 0 && o->folder != kTruth)
        throw UserError(cat(option->get_name(), " is for ground-truth; the objects of ", o->folder,
                            " tell their own captions. Leave it out."));
    run = [o] { return evaluate_objects(*o); };
  });
}

}  // namespace

void add_evaluate_command(CLI::App& app, Run& run) {
  auto* group = app.add_subcommand("evaluate", "Measure how well pictures show what texts say");
  group->require_subcommand(1);
  add_samples_command(group, run);
  add_views_command(group, run);
  add_objects_command(group, run);
}

}  // namespace t3d::cli
