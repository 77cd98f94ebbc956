#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "t3d/cli/command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/remove_tree.h"
#include "t3d/core/sentence.h"
#include "t3d/io/json_file.h"
#include "t3d/io/read_mesh.h"
#include "t3d/ops/startup.h"
#include "t3d/trace/camera_sets.h"
#include "t3d/trace/path_tracer.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct RenderOptions {
  std::vector<std::string> meshes;
  std::string output;
  std::string cameras = "sphere", up = "y", front = "z", texture;
  int resolution = 256, samples = 32, bounces = 1;
  int views[3] = {50, 10, 20};
  float distance = 0, fov_deg = 49.134343f, elevation_deg = 15, size = 0.9f;
  float environment = 1.0f, light = 1.0f;
  uint64_t seed = 0;
  int jobs = 1;
  bool no_center = false, depth = false, normal = false, mask = false;
  bool resume = false, overwrite = false, skip_bad_faces = false, no_textures = false, strict = false;
};

constexpr const char* kSplits[3] = {"train", "val", "test"};
constexpr const char* kDone = "render.json";  // written last: the set is complete
constexpr const char* kKept = "the views that are done are kept";

/// One mesh and the folder its set goes to.
struct Job {
  std::string mesh, folder;
};

/// Everything that decides a pixel; a set may only be resumed with the same.
json settings_json(const RenderOptions& o, const std::string& mesh) {
  return {{"mesh", mesh},
          {"cameras", o.cameras},
          {"up", o.up},
          {"front", o.front},
          {"texture", o.texture},
          {"res", o.resolution},
          {"samples", o.samples},
          {"bounces", o.bounces},
          {"train_views", o.views[0]},
          {"val_views", o.views[1]},
          {"test_views", o.views[2]},
          {"distance", o.distance},
          {"fov", o.fov_deg},
          {"elevation", o.elevation_deg},
          {"size", o.size},
          {"center", !o.no_center},
          {"environment", o.environment},
          {"light", o.light},
          {"seed", o.seed},
          {"depth", o.depth},
          {"normal", o.normal},
          {"mask", o.mask}};
}

std::vector<Job> list_jobs(const RenderOptions& options) {
  std::vector<Job> jobs;
  const fs::path output = options.output;
  const bool single = options.meshes.size() == 1 && !fs::is_directory(options.meshes[0]);
  if (single) return {{options.meshes[0], options.output}};
  for (const std::string& input : options.meshes) {
    if (!fs::is_directory(input)) {
      jobs.push_back({input, (output / fs::path(input).stem()).string()});
      continue;
    }
    std::vector<Job> found;
    for (const auto& entry : fs::recursive_directory_iterator(input)) {
      if (!entry.is_regular_file() || !io::is_mesh_file(entry.path().string())) continue;
      // ShapeNet v1: synset/id/model.obj, v2: synset/id/models/model_normalized.obj; the object's name is its
      // id.
      fs::path name = fs::relative(entry.path(), input);
      const std::string stem = name.stem().string();
      name = stem == "model" || stem == "model_normalized" ? name.parent_path() : name.replace_extension();
      if (name.filename() == "models") name = name.parent_path();
      found.push_back({entry.path().string(), (output / name).string()});
    }
    std::sort(found.begin(), found.end(), [](const Job& a, const Job& b) { return a.mesh < b.mesh; });
    if (found.empty())
      throw UserError(
          cat(input, ": holds no .obj, .glb, .gltf, .ply, .stl or .off file. Name another folder."));
    jobs.insert(jobs.end(), found.begin(), found.end());
  }
  for (size_t i = 0; i < jobs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (jobs[i].folder == jobs[j].folder)
        throw UserError(cat(jobs[j].mesh, " and ", jobs[i].mesh, " would both go to ", jobs[i].folder,
                            ". Render them into two folders."));
  return jobs;
}

/// True when the job's set is complete already; refuses a folder that must not be touched.
bool is_done(const Job& job, const RenderOptions& options, bool single) {
  const fs::path folder = job.folder;
  if (!fs::exists(folder) || (fs::is_directory(folder) && fs::is_empty(folder))) return false;
  if (options.overwrite) return false;
  const bool complete = fs::exists(folder / kDone);
  if (!options.resume && (single || complete)) {
    if (single)
      throw UserError(cat(job.folder, ": the folder exists and is not empty. Pass --resume or --overwrite."));
  }
  const fs::path begun = folder / "render.partial.json";
  const fs::path settings = complete ? folder / kDone : begun;
  if (!fs::exists(settings)) {
    if (!options.resume)
      throw UserError(cat(job.folder, ": the folder holds something else. Pass --overwrite, or another -o."));
    return false;
  }
  const json was = io::read_json_file(settings.string()), is = settings_json(options, job.mesh);
  for (const auto& [key, value] : is.items())
    if (!was.is_object() || was.value(key, json()) != value)
      throw UserError(cat(settings.string(), ": was made with ", key, " ",
                          was.is_object() ? was.value(key, json()).dump() : "unknown",
                          ", and what was asked for has ", value.dump(),
                          ". Repeat the options, or pass --overwrite."));
  return complete;
}

json matrix_json(const Mat4f& m) {
  json rows = json::array();
  for (int i = 0; i < 4; ++i) rows.push_back({m(i, 0), m(i, 1), m(i, 2), m(i, 3)});
  return rows;
}

io::Image8 depth_image(const io::ImageF& depth, float far) {
  io::Image8 image(depth.width, depth.height, 1);
  for (size_t i = 0; i < depth.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(255.0f * std::min(1.0f, depth.pixels[i] / far) + 0.5f);
  return image;
}

bool is_whole_image(const fs::path& path) {
  if (!fs::exists(path)) return false;
  try {
    io::read_image(path.string());
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Whether an image shows anything: grey and RGB images do.
bool shows_something(const io::Image8& image) {
  if (image.channels != 4) return true;
  for (size_t i = 3; i < image.pixels.size(); i += 4)
    if (image.pixels[i] != 0) return true;
  return false;
}

/// Why nothing of a mesh is seen: its materials, with what makes them transparent.
std::string transparency_text(const io::Mesh& mesh) {
  std::string text;
  size_t n_more = 0;
  for (const io::Material& m : mesh.materials) {
    if (!trace::may_let_through(mesh, m)) continue;
    if (text.size() > 200) {
      ++n_more;
      continue;
    }
    text += cat(text.empty() ? "" : ", ", '"', m.name.empty() ? "unnamed" : m.name, "\" (opacity ", m.opacity,
                m.base_texture.is_set() && m.uses_texture_alpha ? " times its texture's alpha" : "",
                m.opacity_texture.is_set() ? " times its opacity texture" : "",
                m.alpha_mode == io::AlphaMode::Mask ? cat(", cutoff ", m.alpha_cutoff) : "", ")");
  }
  return n_more == 0 ? text : cat(text, " and ", n_more, " more");
}

/// Turns the mesh about the vertical so that what looked along the file's `front` looks along +x.
void turn_front(io::Mesh& mesh, const std::string& front) {
  if (front == "z") return;
  // Reading moved the file's +z to +x and its +x to +y.
  const float c = front == "-z" ? -1.0f : 0.0f, s = front == "x" ? -1.0f : front == "-x" ? 1.0f : 0.0f;
  for (auto* vectors : {&mesh.positions, &mesh.normals})
    for (Vec3f& v : *vectors) v = Vec3f(c * v.x() - s * v.y(), s * v.x() + c * v.y(), v.z());
}

class SetRenderer {
 public:
  SetRenderer(const RenderOptions& options, const Job& job, int n_threads, std::function<void()> on_view)
      : options_(options), job_(job), n_threads_(n_threads), on_view_(std::move(on_view)) {}

  void render() {
    io::ReadMeshOptions read;
    read.up = options_.up == "z" ? io::UpAxis::Z : io::UpAxis::Y;
    read.skip_bad_faces = options_.skip_bad_faces;
    read.load_textures = !options_.no_textures;
    read.strict = options_.strict;
    read.texture = options_.texture;
    io::Mesh mesh = io::read_mesh(job_.mesh, read);
    turn_front(mesh, options_.front);
    io::fit_mesh(mesh, options_.size, !options_.no_center);
    const Box3f box = mesh.bounds();
    trace::Environment environment;
    for (Vec3f* colour : {&environment.zenith, &environment.horizon, &environment.nadir})
      *colour *= options_.environment;
    trace::AreaLight light;
    light.radiance *= options_.light;
    const std::string transparent = transparency_text(mesh);
    const trace::Scene scene(std::move(mesh), environment, light);

    if (options_.overwrite) remove_old();
    make_folders(job_.folder);
    io::write_json_file((folder() / "render.partial.json").string(), settings_json(options_, job_.mesh));
    for (int split = 0; split < 3; ++split) render_split(scene, split, box);
    if (n_views_ > 0 && !shows_something_) refuse_empty(transparent);
    io::write_json_file((folder() / kDone).string(), settings_json(options_, job_.mesh));
    fs::remove(folder() / "render.partial.json");
    verify();
  }

 private:
  fs::path folder() const { return job_.folder; }

  [[noreturn]] void refuse_empty(const std::string& transparent) const {
    const std::string all = n_views_ == 1 ? "the one image is" : cat("all ", n_views_, " images are");
    if (transparent.empty())
      throw UserError(cat(job_.mesh, ": ", all,
                          " empty: no camera sees the object. Leave out --no-center, or choose "
                          "another --distance."));
    throw UserError(
        cat(job_.mesh, ": ", all, " empty: the object is transparent by its material ", transparent,
            ". Make it opaque in the file (glTF: alphaMode OPAQUE; MTL: d 1), or pass --no-textures where "
            "only the texture's alpha says so."));
  }

  /// Only what this command makes: a folder that holds other files keeps them.
  void remove_old() {
    fs::remove(folder() / kDone);
    for (const char* split : kSplits) {
      remove_tree((folder() / split).string());
      fs::remove(folder() / cat("transforms_", split, ".json"));
    }
  }

  void render_split(const trace::Scene& scene, int split, const Box3f& box) {
    if (options_.views[split] == 0) return;  // a file without frames is what no reader expects
    trace::CameraSetOptions set;
    set.set = trace::camera_set_from_name(options_.cameras);
    set.n_views = options_.views[split];
    set.resolution = options_.resolution;
    set.distance = options_.distance;
    set.fov_deg = options_.fov_deg;
    set.elevation_deg = options_.elevation_deg;
    set.seed = options_.seed;
    set.stream = static_cast<uint64_t>(split);
    const auto cameras = trace::make_cameras(set);
    json frames = json::array();
    make_folders((folder() / kSplits[split]).string());
    for (size_t i = 0; i < cameras.size(); ++i) {
      stop_on_signals().throw_if_requested(kKept);
      frames.push_back(render_one(scene, cameras[i], split, i));
      on_view_();
    }
    const Lens& lens = cameras[0].lens;
    const Vec3f a = box.min, b = box.max;
    io::write_json_file((folder() / cat("transforms_", kSplits[split], ".json")).string(),
                        {{"camera_angle_x", options_.fov_deg * 0.017453292519943295},
                         {"w", options_.resolution},
                         {"h", options_.resolution},
                         {"fl_x", lens.fx},
                         {"fl_y", lens.fy},
                         {"cx", lens.cx},
                         {"cy", lens.cy},
                         {"aabb", {{a.x(), a.y(), a.z()}, {b.x(), b.y(), b.z()}}},
                         {"frames", frames}});
  }

  json render_one(const trace::Scene& scene, const Camera& camera, int split, size_t index) {
    const std::string name = cat("./", kSplits[split], "/r_", index);
    const auto file = [&](const char* kind) {
      return (folder() / kSplits[split] / cat("r_", index, kind, ".png")).string();
    };
    json frame = {{"file_path", name}, {"transform_matrix", matrix_json(camera.camera_to_world)}};
    const float far = options_.distance + options_.size;
    if (options_.depth) frame["depth_path"] = name + "_depth.png", frame["depth_scale"] = far / 255.0f;
    if (options_.normal) frame["normal_path"] = name + "_normal.png";
    if (options_.mask) frame["mask_path"] = name + "_mask.png";
    ++n_views_;
    if (options_.resume && is_whole_image(file("")) && (!options_.depth || is_whole_image(file("_depth"))) &&
        (!options_.normal || is_whole_image(file("_normal"))) &&
        (!options_.mask || is_whole_image(file("_mask")))) {
      shows_something_ = shows_something_ || shows_something(io::read_image(file("")));
      return frame;
    }
    trace::RenderSettings settings;
    settings.samples = options_.samples;
    settings.max_bounces = options_.bounces;
    settings.seed = options_.seed * 1000003u + static_cast<uint64_t>(split) * 100000007u + index;
    settings.n_threads = n_threads_;
    settings.auxiliary = options_.depth || options_.normal || options_.mask;
    const trace::RenderedView view = trace::render_view(scene, camera, settings);
    shows_something_ = shows_something_ || shows_something(view.rgba);
    if (options_.depth) io::write_png(file("_depth"), depth_image(view.depth, far), io::ReadBack::Yes);
    if (options_.normal) io::write_png(file("_normal"), view.normal, io::ReadBack::Yes);
    if (options_.mask) io::write_png(file("_mask"), view.mask, io::ReadBack::Yes);
    io::write_png(file(""), view.rgba, io::ReadBack::Yes);
    return frame;
  }

  void verify() const {
    for (int split = 0; split < 3; ++split) {
      if (options_.views[split] == 0) continue;
      const std::string path = (folder() / cat("transforms_", kSplits[split], ".json")).string();
      T3D_CHECK(io::read_json_file(path).at("frames").size() == static_cast<size_t>(options_.views[split]),
                path);
    }
  }

  const RenderOptions& options_;
  const Job& job_;
  int n_threads_;
  std::function<void()> on_view_;
  int n_views_ = 0;
  bool shows_something_ = false;
};

int render(const RenderOptions& options) {
  trace::camera_set_from_name(options.cameras);
  const int n_views = options.views[0] + options.views[1] + options.views[2];
  if (n_views == 0)
    throw UserError(
        "--train-views, --val-views and --test-views are all 0, so there is nothing to render. Ask for a "
        "view.");
  offer_to_go_on([] { return command_again({"--resume"}); });
  const StopToken stop = stop_on_signals();
  const auto jobs = list_jobs(options);
  const bool single = jobs.size() == 1;
  std::vector<Job> open;
  for (const auto& job : jobs)
    if (!is_done(job, options, single)) open.push_back(job);
  if (open.size() < jobs.size())
    log::info(cat(jobs.size() - open.size(), " of ", counted(static_cast<int64_t>(jobs.size()), "set"),
                  jobs.size() == 1 ? " is there already" : " are there already"));

  Progress progress("render", static_cast<int64_t>(open.size()) * n_views);
  std::mutex mutex;
  int64_t n_done = 0;
  const auto on_view = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    progress.update(++n_done);
  };
  const int n_workers = std::max(1, std::min<int>(options.jobs, static_cast<int>(open.size())));
  const int n_threads = std::max(1, ops::usable_cores() / n_workers);
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> failures(open.size());
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < open.size() && !stop.stop_requested();) {
      try {
        SetRenderer(options, open[i], n_threads, on_view).render();
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < n_workers; ++i) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  stop.throw_if_requested(kKept);

  // One bad mesh of many does not stop the others, but the command does not end as a success.
  std::exception_ptr first;
  for (size_t i = 0; i < open.size(); ++i) {
    if (!failures[i]) continue;
    if (single) std::rethrow_exception(failures[i]);
    if (!first) first = failures[i];
    try {
      std::rethrow_exception(failures[i]);
    } catch (const Error& failure) {
      log::error(failure.what());
    }
  }
  progress.finish();
  if (first) std::rethrow_exception(first);
  const std::string& folder = single ? jobs[0].folder : options.output;
  log::info(cat(folder, ": ", counted(n_views, "view"), single ? "" : " of each mesh"));
  print_result(folder);
  return 0;
}

}  // namespace

void add_render_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<RenderOptions>();
  auto* c = app.add_subcommand(
      "render", "Render meshes to posed images: training, validation and test views in one go");
  c->option_defaults()->always_capture_default();
  c->add_option("mesh", o->meshes, "Mesh files, or folders of them (ShapeNet v1 and v2 trees)")->required();
  c->add_option("-o,--output", o->output, "Folder for the set; with several meshes a folder each inside it")
      ->required();
  c->add_option("--cameras", o->cameras, "sphere, shapenet, orbit or mvdream");
  c->add_option("--res", o->resolution, "Width and height in pixels")->check(CLI::Range(1, 8192));
  c->add_option("--train-views", o->views[0], "Training views")->check(CLI::Range(0, 100000));
  c->add_option("--val-views", o->views[1], "Validation views")->check(CLI::Range(0, 100000));
  c->add_option("--test-views", o->views[2], "Test views")->check(CLI::Range(0, 100000));
  c->add_option("--seed", o->seed, "Decides cameras and noise");
  c->add_option("--samples", o->samples, "Paths per pixel")->check(CLI::Range(1, 65536));
  c->add_option("--bounces", o->bounces, "Reflections after the first surface")->check(CLI::Range(0, 16));
  c->add_option("--distance", o->distance, "Camera distance from the origin; 0: 1.2 for shapenet, else 1.5")
      ->check(CLI::Range(0.0f, 1000.0f));
  c->add_option("--fov", o->fov_deg, "Horizontal field of view in degrees")->check(CLI::Range(1.0f, 170.0f));
  c->add_option("--elevation", o->elevation_deg, "Elevation of the orbit in degrees")
      ->check(CLI::Range(-89.0f, 89.0f));
  c->add_option("--size", o->size, "Longest side of the object after fitting")
      ->check(CLI::Range(1e-3f, 1e3f));
  c->add_flag("--no-center", o->no_center, "Scale about the file's origin instead of the object's centre");
  c->add_option("--up", o->up, "The files' up axis: y or z")->check(CLI::IsMember({"y", "z"}));
  c->add_option("--front", o->front, "Where a y-up file's object looks: z, -z, x or -x; it becomes +x")
      ->check(CLI::IsMember({"z", "-z", "x", "-x"}));
  c->add_option("--texture", o->texture, "Picture for parts that have texture coordinates but no texture");
  c->add_flag("--no-textures", o->no_textures, "Use plain colours");
  c->add_flag("--strict", o->strict, "Refuse a mesh whose textures or material libraries are missing");
  c->add_option("--environment", o->environment, "Brightness of the light from all around")
      ->check(CLI::Range(0.0f, 100.0f));
  c->add_option("--light", o->light, "Brightness of the area light")->check(CLI::Range(0.0f, 100.0f));
  c->add_flag("--depth", o->depth, "Write depth pictures too");
  c->add_flag("--normal", o->normal, "Write world normals too");
  c->add_flag("--mask", o->mask, "Write masks too");
  c->add_option("--jobs", o->jobs, "Meshes rendered at once")->check(CLI::Range(1, 256));
  c->add_flag("--resume", o->resume, "Go on where an earlier run stopped");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier set");
  c->add_flag("--skip-bad-faces", o->skip_bad_faces, "Leave out faces that point past the vertices");
  c->callback([o, &run] {
    if (o->distance <= 0) o->distance = o->cameras == "shapenet" ? 1.2f : 1.5f;
    run = [o] { return render(*o); };
  });
}

}  // namespace t3d::cli
