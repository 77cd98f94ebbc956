#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/cli/reconstruct_config.h"
#include "t3d/cli/struct_options.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/clock.h"
#include "t3d/core/config/load_config.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/remove_tree.h"
#include "t3d/export/mesh_exporter_config.h"
#include "t3d/ops/mlp_config.h"
#include "t3d/train/metrics.h"
#include "t3d/train/ngp_trainer.h"
#include "t3d/train/reconstruct_outputs.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

struct ReconstructOptions {
  ReconstructConfig config;
  std::string output, config_file;
  bool resume = false, overwrite = false;
};

bool use_cuda(const std::string& device) {
  if (device == "cpu") return false;
  const bool available = train::ngp_cuda_available();
  if (device == "cuda" && !available)
    throw SystemError("--device cuda: this build or machine has no CUDA; see t3d doctor. Pass --device cpu.");
  return available;
}

ops::Precision network_precision(const std::string& asked, bool cuda) {
  if (cuda && asked != "auto")
    throw UserError(cat("--precision ", asked,
                        ": on CUDA the networks always compute in half precision. Leave it out, or pass "
                        "--device cpu."));
  return cuda ? ops::Precision::Float32 : ops::precision_from_name(asked);
}

/// The device's defaults with what was asked for on top.
field::NgpConfig make_config(const ReconstructConfig& o, bool cuda, const data::PosedImages& images) {
  field::NgpConfig c = cuda ? field::NgpConfig{} : field::ngp_config_for_cpu();
  if (!cuda && images.aabb_scale > 1) c.log2_table = 17, c.n_levels = 14, c.max_resolution = 1024;
  const auto set = [](auto& value, const auto& asked) {
    if (asked) value = static_cast<std::decay_t<decltype(value)>>(*asked);
  };
  set(c.n_levels, o.levels);
  set(c.n_features, o.features);
  set(c.log2_table, o.log2_table);
  set(c.max_resolution, o.max_resolution);
  set(c.colour_hidden, o.colour_hidden);
  set(c.n_neurons, o.neurons);
  set(c.target_samples, o.target_samples);
  set(c.learning_rate, o.learning_rate);
  c.final_learning_rate = std::min(c.final_learning_rate, c.learning_rate);
  set(c.distortion, o.distortion);
  c.precision = network_precision(o.precision, cuda);
  // Behind a backdrop of one colour nothing has to be opaque.
  if (images.backdrop) {
    c.random_background = false;
    std::copy_n(images.backdrop->data(), 3, c.background.data());
  }
  field::check(c);
  return c;
}

/// Makes the folder ready once nothing can be wrong with the input any more.
void prepare_folder(const ReconstructOptions& o, const train::OutputOptions& outputs) {
  const fs::path folder = o.output;
  if (o.overwrite)
    for (const char* ours : {"ckpts", "configs", "test", "depth", "save", "csv_logs", "tb_logs",
                             "report.json", "report.md", "turntable.mp4", "turntable.gif", "parsed.yaml"})
      remove_tree((folder / ours).string());
  for (const char* ending : {".glb", ".obj", ".mtl", ".png", ".jpg", ".ply", ".stl", ".3mf"})  // made anew
    remove_tree((folder / (outputs.mesh_files.name + ending)).string());
  make_folders(o.output);
  make_folders((folder / "configs").string());
  if (!o.config_file.empty())
    fs::copy_file(o.config_file, folder / "configs" / "raw.yaml", fs::copy_options::overwrite_existing);
  write_file_atomically((folder / "configs" / "parsed.yaml").string(),
                        config::write_yaml(config::write_struct(o.config)));
}

/// What a CPU can show in a minute; larger photographs are reduced unless --max-size says otherwise.
constexpr int kCpuImageSide = 512;

int longest_side(const data::PosedImages& images) {
  int side = 0;
  for (const auto& view : images.train)
    side = std::max({side, view.camera.lens.width, view.camera.lens.height});
  return side;
}

/// Seconds for the whole run; 0: other stop conditions alone decide.
double time_budget(const ReconstructConfig& c, bool cuda) {
  if (!c.steps && !c.time_budget && !c.train_seconds) return cuda ? 30 : 60;
  return c.time_budget.value_or(0);
}

data::PosedImagesOptions image_options(const ReconstructConfig& c, bool cuda) {
  data::PosedImagesOptions options;
  options.holdout = c.holdout.value_or(options.holdout);
  options.max_size = c.max_size.value_or(cuda ? 0 : kCpuImageSide);
  options.aabb_scale = c.aabb_scale.value_or(0);
  options.time_budget = c.time_budget.value_or(0);
  return options;
}

/// What is measured on views that are not trained on needs some.
void check_measured_views(const ReconstructConfig& c, const data::PosedImages& images) {
  if (!images.val.empty() || !images.test.empty()) return;
  const char* asked = c.target_psnr ? "--target-psnr" : c.eval_every ? "--eval-every" : nullptr;
  if (asked != nullptr)
    throw UserError(cat(images.folder, ": ", asked,
                        " measures on views that are not trained on, and holdout 0 ",
                        "leaves none. Leave one of the two out, or use holdout 2 or more."));
}

train::NgpTrainOptions train_options(const ReconstructConfig& c, bool cuda) {
  train::NgpTrainOptions options;
  options.stop.steps = c.steps.value_or(0);
  options.stop.seconds = time_budget(c, cuda);
  options.stop.train_seconds = c.train_seconds.value_or(0);
  options.stop.target_psnr = c.target_psnr.value_or(0);
  options.stop.max_memory_bytes = static_cast<size_t>(c.max_memory.value_or(0) * 1024 * 1024);
  options.eval_every = c.eval_every.value_or(0);
  options.checkpoint_steps = c.checkpoint_steps.value_or(0);
  return options;
}

/// What was spent, training's share and the least that has to follow must fit into the budget. One that was
/// asked for and does not hold them is refused; the usual one grows.
void check_budget(const ReconstructConfig& c, double spent, train::NgpStop& stop) {
  const double others = spent + stop.least_after_seconds, share = 1 - stop.least_train_share;
  if (others <= share * stop.seconds) return;
  const double least = std::ceil(1.1 * others / share);
  const auto tenths = [](double seconds) { return std::ceil(10 * seconds) / 10; };
  if (c.time_budget)
    throw UserError(cat("--time-budget ", stop.seconds, " is too short: loading took ", tenths(spent),
                        " s, the least of the outputs takes ", tenths(stop.least_after_seconds),
                        " s, and training gets ", std::lround(100 * stop.least_train_share),
                        " % of the budget. Use --time-budget ", least, " or more, a smaller --max-size",
                        c.mesh ? ", --no-mesh" : "", ", or --steps."));
  log::info(cat("the run takes ", least, " s instead of ", stop.seconds, ": loading alone took ",
                tenths(spent), " s"));
  stop.seconds = least;
}

/// mesh.glb, and mesh.obj with normals, mesh.mtl and mesh.png, and mesh.ply with vertex colours, unless the
/// exporter's keys say otherwise.
export_::ExportOptions mesh_options(const ReconstructConfig& c) {
  config::Node block(config::Node::Map{});
  const auto otherwise = [&block](const char* name, config::Node::Value value) {
    block.set(name, config::Node(std::move(value), {"reconstruct", 0, 0}));
  };
  otherwise("save_name", std::string("mesh"));
  otherwise("texture_format", std::string("png"));
  otherwise("save_normal", true);
  otherwise("n_faces", int64_t{100000});
  otherwise("resolution", int64_t{c.mesh_resolution});
  if (!c.exporter.is_null()) config::merge(block, c.exporter);
  const auto keys = config::read_struct<export_::MeshExporterConfig>(block, "exporter");
  if (keys.save_video)
    throw UserError("exporter.save_video: the turntable is the key video here. Leave save_video out.");
  export_::ExportOptions options = export_::export_options(keys, "exporter");
  if (c.exporter.find("fmt") == nullptr) options.formats.push_back(export_::MeshFormat::Ply);
  return options;
}

train::OutputOptions output_options(const ReconstructConfig& c) {
  train::OutputOptions options;
  options.mesh = c.mesh;
  options.video = c.video;
  options.mesh_files = mesh_options(c);
  options.mesh_resolution = options.mesh_files.surface.resolution;
  options.video_frames = c.video_frames;
  return options;
}

int reconstruct(const ReconstructOptions& o) {
  const double started = now_s();
  check_run_folder(o.output, o.resume, o.overwrite);
  if (o.config.data.empty())
    throw UserError("t3d reconstruct needs a data set. Name its folder, or give data in the --config file.");
  const bool cuda = use_cuda(o.config.device);
  network_precision(o.config.precision, cuda);  // before anything is read or written
  train::OutputOptions outputs = output_options(o.config);
  data::PosedImages images = data::read_posed_images(o.config.data, image_options(o.config, cuda));
  check_measured_views(o.config, images);
  for (const std::string& note : images.notes) log::info(note);
  log::info(data::describe(images));
  if (!cuda && !o.config.max_size && longest_side(images) == kCpuImageSide)
    log::info(cat("on the CPU, images above ", kCpuImageSide,
                  " pixels are reduced to that; --max-size changes it"));
  const field::NgpConfig config = make_config(o.config, cuda, images);

  train::NgpTrainOptions options = train_options(o.config, cuda);
  options.run_folder = o.output;
  options.started = started;
  const auto seed = static_cast<uint64_t>(o.config.seed);
  const auto stepper = cuda ? train::make_ngp_stepper_cuda(config, images.train, images.aabb_scale, seed)
                            : train::make_ngp_stepper_cpu(config, images.train, images.aabb_scale, seed);
  for (auto& view : images.train) view.rgba = {}, view.mask = {};  // the stepper has its own copy
  if (options.stop.seconds > 0) {
    const train::NgpTrainer untrained(images, config, options, *stepper);
    options.stop.least_after_seconds = train::measure_outputs(images, untrained, *stepper, outputs).least();
    check_budget(o.config, now_s() - started, options.stop);
  }
  options.control.stop = stop_on_signals();
  outputs.control = options.control;
  prepare_folder(o, outputs);
  offer_to_go_on([folder = o.output] { return command_to_resume(folder); });
  train::NgpTrainer trainer(images, config, options, *stepper);
  trainer.set_estimate([&] { return train::measure_outputs(images, trainer, *stepper, outputs).all(); });
  if (o.resume) trainer.resume(o.output);
  train::Metrics metrics(o.output, o.resume ? std::optional<int64_t>(stepper->steps_done()) : std::nullopt);
  trainer.set_metrics(&metrics);

  train::ReconstructReport report;
  report.device = cuda ? "cuda" : "cpu";
  report.precision = cuda ? "float16" : config.precision == ops::Precision::Bfloat16 ? "bfloat16" : "float32";
  report.seconds_load = now_s() - started;
  report.seconds_train = trainer.train({});
  report.steps = stepper->steps_done();
  train::write_outputs(o.output, images, config, trainer, *stepper, outputs, {started, options.stop.seconds},
                       report);
  double psnr = 0, ssim = 0;
  for (const auto& view : report.views) psnr += view.psnr, ssim += view.ssim;
  const double n_views = static_cast<double>(report.views.size());
  if (n_views > 0) metrics.log(report.steps, {{"test/psnr", psnr / n_views}, {"test/ssim", ssim / n_views}});
  metrics.flush();
  if (report.is_empty) {
    log::error(cat(o.output,
                   ": the field is empty: no test view shows anything but the background. Train longer, or "
                   "check that the cameras see the scene's box (--aabb-scale, scale and offset)."));
    return 1;
  }
  print_result(o.output);
  // Every other output throws when it cannot be made; a field without a surface has said so already.
  return outputs.mesh && report.mesh_files.empty() ? 1 : 0;
}

/// The options that were given, by their names in a configuration file.
config::Node given_options(const CLI::App& command) {
  config::Node given(config::Node::Map{});
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    std::string key = option->get_lnames().front();
    if (key == "output" || key == "config" || key == "resume" || key == "overwrite") continue;
    std::string value = option->results().back();
    if (key.rfind("no-", 0) == 0) key = key.substr(3), value = "false";
    std::replace(key.begin(), key.end(), '-', '_');
    given.set(key, config::Node(value, {"--" + option->get_lnames().front(), 0, 0}));
  }
  return given;
}

/// Absolute, without links, and without a slash at its end.
fs::path whole_path(const std::string& path) {
  std::error_code ignored;
  const fs::path whole = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return whole.has_filename() ? whole : whole.parent_path();
}

/// What a resumed run may not change: with other values its checkpoint means something else.
void check_same_run(const config::Node& earlier, const config::Node& now, const std::string& file) {
  for (const char* key :
       {"seed", "levels", "features", "log2_table", "max_resolution", "neurons", "colour_hidden",
        "target_samples", "learning_rate", "distortion", "holdout", "max_size", "aabb_scale"}) {
    const config::Node *a = earlier.find(key), *b = now.find(key);
    if (a != nullptr && b != nullptr && *a != *b)
      throw UserError(cat(file, ": this run has ", key, " ", config::write_yaml_line(*a),
                          ", but --resume came with ", config::write_yaml_line(*b),
                          ". Leave it out, or start a new run in another folder."));
  }
  const config::Node *a = earlier.find("data"), *b = now.find("data");
  if (a == nullptr || b == nullptr || !a->is_string() || !b->is_string()) return;
  const auto &was = std::get<std::string>(a->value), &is = std::get<std::string>(b->value);
  // Another working folder may have another path to the same data.
  if (is != was && whole_path(is) != whole_path(was) &&
      whole_path(is).filename() != whole_path(was).filename())
    throw UserError(cat(file, ": this run is of the data in ", was, ", but --resume came with ", is,
                        ". Leave it out, or start a new run in another folder."));
}

/// Earlier run (--resume), file, key=value, options: the later ones win.
void read_config(ReconstructOptions& o, const std::vector<std::string>& inputs, const CLI::App& command) {
  std::vector<std::string> data, overrides;
  for (const auto& input : inputs) {
    const bool is_override = input.find('=') != std::string::npos && !fs::exists(input);
    (is_override ? overrides : data).push_back(input);
  }
  if (data.size() > 1)
    throw UserError(
        cat("t3d reconstruct takes one data set, not ", data[0], " and ", data[1], ". Leave one out."));
  config::Node given = given_options(command);
  if (data.size() == 1) given.set("data", config::Node(data[0], {"DATA", 0, 0}));

  const std::string parsed = (fs::path(o.output) / "configs" / "parsed.yaml").string();
  config::Node root(config::Node::Map{});
  const bool goes_on = o.resume && fs::exists(parsed);
  if (goes_on) root = config::read_yaml_file(parsed);
  const config::KeyKinds kinds = config::kinds_of<ReconstructConfig>();
  if (!o.config_file.empty()) {
    config::merge(root, config::load_config(o.config_file, overrides, {}, kinds));
  } else {
    for (const auto& text : overrides) config::apply_override(root, text, kinds);
  }
  config::merge(root, given);
  o.config = config::read_struct<ReconstructConfig>(root, "");
  if (goes_on) {
    const auto earlier = config::read_struct<ReconstructConfig>(config::read_yaml_file(parsed), "");
    check_same_run(config::write_struct(earlier), config::write_struct(o.config), parsed);
  }
}

}  // namespace

void add_reconstruct_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<ReconstructOptions>();
  auto inputs = std::make_shared<std::vector<std::string>>();
  auto* c = app.add_subcommand("reconstruct", "Train an instant-NGP radiance field on images with poses");
  c->add_option("DATA", *inputs, "Data set, and overrides of the configuration, key=value");
  c->add_option("-o,--output", o->output, "Run folder")->required();
  c->add_option("--config", o->config_file, "Options from a YAML file, such as RUN/configs/parsed.yaml");
  c->add_flag("--resume", o->resume, "Go on from the newest checkpoint of the run folder");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier run");
  add_struct_options(*c, o->config);
  c->callback([o, inputs, c, &run] {
    run = [o, inputs, c] {
      read_config(*o, *inputs, *c);
      return reconstruct(*o);
    };
  });
}

}  // namespace t3d::cli
