#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "t3d/cli/command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/sentence.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/read_mesh.h"
#include "t3d/io/write_mesh.h"
#include "t3d/toybox/palette.h"
#include "t3d/toybox/render_objects.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;
namespace toy = t3d::toybox;

int make_mesh(const std::string& text, const std::string& output, uint64_t seed) {
  check_output_file(output, {".glb", ".obj", ".ply"});
  const auto object = toy::make_object(toy::parse_caption(text), seed);
  if (const fs::path folder = fs::path(output).parent_path(); !folder.empty()) make_folders(folder.string());
  io::write_mesh(output, object.mesh);
  const auto read = io::read_mesh(output, {});
  log::info(cat(output, ": ", toy::caption(object.description), ", ",
                counted(static_cast<int64_t>(read.faces.size()), "triangle")));
  for (const auto& part : object.parts)
    log::info(cat("  ", part.name, part.colour.empty() ? "" : ": ", part.colour));
  print_result(output);
  return 0;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

int show_vocabulary() {
  std::vector<std::string> colours;
  for (const auto& colour : toy::palette())
    colours.push_back(colour.also.empty() ? colour.name : cat(colour.name, " (", joined(colour.also), ")"));
  std::cout << "colours   " << joined(colours) << "\nsizes     " << joined(toy::size_words())
            << "\nfinishes  " << joined(toy::finish_words()) << "\npatterns  " << joined(toy::pattern_words())
            << "\ncounts    two, three\nrelations on top of, next to\n\n"
            << toy::kinds().size() << " kinds, and the part that takes a second colour:\n";
  for (const auto& kind : toy::kinds()) {
    std::cout << "  " << kind.name;
    if (!kind.also.empty()) std::cout << " (" << joined(kind.also) << ")";
    if (!kind.second.empty()) std::cout << ": " << kind.second;
    std::cout << "\n";
  }
  std::cout << "\n"
            << toy::count_single_descriptions()
            << " different captions of one object, before counts and relations. Examples:\n"
               "  a small shiny red mushroom with a white stem\n  three wooden chairs with brown legs\n"
               "  a yellow star on top of a blue cube\n";
  return 0;
}

int list_captions(const toy::RenderPlan& plan, int64_t n) {
  for (int64_t i = 0; i < n; ++i) std::cout << toy::caption(toy::described(plan, i)) << "\n";
  return 0;
}

/// One picture of every kind in usual colours, then of finishes, patterns, counts and relations.
int make_sheet(const std::string& output, int resolution) {
  check_output_file(output, {".png"});
  constexpr int kColumns = 12;
  std::vector<toy::Description> shown;
  for (const auto& kind : toy::kinds()) {
    toy::Description d;
    d.item.kind = &kind;
    shown.push_back(d);
  }
  for (const char* text :
       {"a shiny blue sphere", "a metallic yellow teapot", "a matte green cube", "a wooden chair",
        "a wooden barrel with black hoops", "a striped orange cat with a white tail", "a dotted pink balloon",
        "a dotted red mushroom with a white stem", "a checkered blue mug",
        "a tall red lamp with a black base", "a flat brown cake with white icing",
        "three yellow ducks with orange beaks", "two blue bottles", "a yellow star on top of a blue cube",
        "a green cactus next to a red house", "a black cat on top of a table"})
    shown.push_back(toy::parse_caption(text));
  const auto n = static_cast<int>(shown.size()), rows = (n + kColumns - 1) / kColumns;
  io::Image8 sheet(kColumns * resolution, rows * resolution, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  const StopToken stop = stop_on_signals();
  Progress progress("render", n);
  for (int i = 0; i < n; ++i) {
    stop.throw_if_requested("nothing was written");
    const auto object = toy::make_object(shown[static_cast<size_t>(i)], 1);
    trace::RenderSettings settings;
    settings.samples = 64;
    const auto view =
        trace::render_view(toy::lit_scene(object), toy::object_camera(resolution, 35, 20, 45), settings).rgba;
    for (int y = 0; y < resolution; ++y)
      for (int x = 0; x < resolution; ++x) {
        const uint8_t* from = &view.pixels[static_cast<size_t>(4 * (y * resolution + x))];
        const int row = i / kColumns * resolution + y, column = i % kColumns * resolution + x;
        uint8_t* to = &sheet.pixels[static_cast<size_t>(3 * (row * sheet.width + column))];
        for (int k = 0; k < 3; ++k)
          to[k] = static_cast<uint8_t>((from[k] * from[3] + 255 * (255 - from[3]) + 127) / 255);
      }
    progress.update(i + 1, "");
  }
  progress.finish();
  io::write_png(output, sheet, io::ReadBack::Yes);
  log::info(cat(output, ": ", counted(n, "object")));
  print_result(output);
  return 0;
}

struct DataCommand {
  toy::RenderPlan plan;
  std::string output;
  int64_t n_objects = 1000;
  int jobs = 0;
};

nlohmann::json settings_of(const DataCommand& o) {
  return {{"format", "captioned-views-1"}, {"world", "toybox-1"},
          {"objects", o.n_objects},        {"resolution", o.plan.resolution},
          {"orbit_views", o.plan.n_orbit}, {"single_views", o.plan.n_single},
          {"samples", o.plan.samples},     {"seed", o.plan.seed},
          {"held_out", o.plan.held_out},   {"phrases", o.plan.n_phrases}};
}

int make_data(const DataCommand& o) {
  constexpr int64_t kShard = 250;
  make_folders(o.output);
  const std::string settings = (fs::path(o.output) / "set.json").string();
  if (fs::exists(settings)) {
    auto made = io::read_json_file(settings);
    const int64_t n_made = made.value("objects", int64_t{0});
    made["objects"] = o.n_objects;
    const auto asked = settings_of(o);
    for (const auto& [key, value] : asked.items())
      if (made.value(key, nlohmann::json()) != value)
        throw UserError(cat(settings, ": was made with ", key, " ", made.value(key, nlohmann::json()).dump(),
                            ", and what was asked for has ", value.dump(),
                            ". Repeat the options, or name another folder."));
    if (n_made > o.n_objects)
      throw UserError(cat(settings, ": has ", counted(n_made, "object"),
                          " already. Ask for as many, for more, or name another folder."));
    if (n_made < o.n_objects && n_made % kShard != 0)  // the last one is not full
      fs::remove(data::shard_path(o.output, n_made / kShard));
  }
  io::write_json_file(settings, settings_of(o));
  offer_to_go_on([] { return command_again(); });
  const StopToken stop = stop_on_signals();
  const int n_threads = o.jobs > 0 ? o.jobs : static_cast<int>(std::thread::hardware_concurrency());
  Progress progress("render", o.n_objects);
  int64_t done = 0;
  for (int64_t first = 0, shard = 0; first < o.n_objects; first += kShard, ++shard) {
    const int64_t n = std::min(kShard, o.n_objects - first);
    const std::string path = data::shard_path(o.output, shard);
    if (fs::exists(path)) {  // complete, since shards are written complete or not at all
      progress.update(done += n, "");
      continue;
    }
    data::write_captioned_views(
        path, toy::render_objects(
                  o.plan, first, n, n_threads, [&] { progress.update(++done, "objects"); }, stop));
  }
  progress.finish();
  for (const std::string& path : data::list_shards(o.output)) data::read_captioned_views(path);
  log::info(cat(o.output, ": ", counted(o.n_objects, "object"), ", ",
                counted(o.plan.n_orbit + o.plan.n_single, "view"), o.n_objects == 1 ? ", " : " each, ",
                o.plan.resolution, "x", o.plan.resolution, " pixels"));
  print_result(o.output);
  return 0;
}

void add_split_options(CLI::App* command, toy::RenderPlan& plan) {
  command
      ->add_option_function<std::string>(
          "--split", [&plan](const std::string& name) { plan.held_out = name == "held-out"; },
          "train, or held-out: combinations of kind and colours that are never trained on [train]")
      ->check(CLI::IsMember({"train", "held-out"}));
  command->add_option("--seed", plan.seed, "Of the captions and shapes")->capture_default_str();
}

}  // namespace

void add_toybox_command(CLI::App& app, Run& run) {
  auto* group =
      app.add_subcommand("toybox", "The world of procedural objects: meshes, captions, training data");
  group->require_subcommand(1);

  struct MeshCommand {
    std::string caption, output;
    uint64_t seed = 0;
  };
  auto m = std::make_shared<MeshCommand>();
  auto* mesh = group->add_subcommand("mesh", "The mesh of a caption");
  mesh->add_option("caption", m->caption, "As in t3d toybox vocabulary")->required();
  mesh->add_option("-o,--output", m->output, ".glb, .obj or .ply")->required();
  mesh->add_option("--seed", m->seed, "Shapes and shades vary with it")->capture_default_str();
  mesh->callback([m, &run] { run = [m] { return make_mesh(m->caption, m->output, m->seed); }; });

  auto* words = group->add_subcommand("vocabulary", "The words that are understood");
  words->callback([&run] { run = [] { return show_vocabulary(); }; });

  struct SheetCommand {
    std::string output;
    int resolution = 128;
  };
  auto s = std::make_shared<SheetCommand>();
  auto* sheet = group->add_subcommand("sheet", "A picture of every kind");
  sheet->add_option("-o,--output", s->output, "PNG")->required();
  sheet->add_option("--res", s->resolution, "Pixels of each")
      ->check(CLI::Range(16, 1024))
      ->capture_default_str();
  sheet->callback([s, &run] { run = [s] { return make_sheet(s->output, s->resolution); }; });

  struct CaptionsCommand {
    toy::RenderPlan plan;
    int64_t n = 20;
  };
  auto c = std::make_shared<CaptionsCommand>();
  auto* captions = group->add_subcommand("captions", "Random captions, one a line");
  captions->add_option("-n", c->n, "How many")->check(CLI::Range(1, 10000000))->capture_default_str();
  add_split_options(captions, c->plan);
  captions->callback([c, &run] { run = [c] { return list_captions(c->plan, c->n); }; });

  auto d = std::make_shared<DataCommand>();
  auto* data =
      group->add_subcommand("data", "Captioned renders to train a prior on; goes on where it stopped");
  data->add_option("-o,--output", d->output, "Folder")->required();
  data->add_option("--objects", d->n_objects, "How many")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  data->add_option("--res", d->plan.resolution, "Pixels")->check(CLI::Range(16, 1024))->capture_default_str();
  data->add_option("--orbit-views", d->plan.n_orbit, "Views at even azimuths")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  data->add_option("--single-views", d->plan.n_single, "Views from anywhere")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  data->add_option("--samples", d->plan.samples, "Paths per pixel")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  data->add_option("--phrases", d->plan.n_phrases, "Phrasings of a caption")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  data->add_option("--jobs", d->jobs, "Threads [all]")->check(CLI::Range(0, 1024));
  add_split_options(data, d->plan);
  data->callback([d, &run] { run = [d] { return make_data(*d); }; });
}

}  // namespace t3d::cli
