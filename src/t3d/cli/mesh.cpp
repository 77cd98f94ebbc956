#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "t3d/cli/command.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/process_mesh.h"
#include "t3d/io/read_mesh.h"
#include "t3d/io/text_lines.h"
#include "t3d/io/write_mesh.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

struct MeshOptions {
  std::string input, output, up = "auto";
  bool makes_uv = false, bakes_normals = false, checks = false, skip_bad_faces = false;
  int n_faces = 0, texture_size = 0, padding = 2;
};

std::string ending_of(const std::string& path) {
  return io::lower_case(fs::path(path).extension().string());
}

bool is_gltf(const std::string& path) {
  return ending_of(path) == ".glb" || ending_of(path) == ".gltf";
}

/// The input file's own up axis.
io::UpAxis up_axis(const MeshOptions& o) {
  if (o.up == "auto") return ending_of(o.input) == ".stl" ? io::UpAxis::Z : io::UpAxis::Y;
  if (o.up == "z" && is_gltf(o.input))
    throw UserError(cat(o.input, ": glTF is always y up. Leave --up z out."));
  return o.up == "z" ? io::UpAxis::Z : io::UpAxis::Y;
}

/// From z up to y up, as read_mesh turned it the other way round.
void turn_back(io::Mesh& mesh) {
  for (Vec3f& p : mesh.positions) p = Vec3f(p.y(), p.z(), p.x());
  for (Vec3f& n : mesh.normals) n = Vec3f(n.y(), n.z(), n.x());
}

/// The mesh as its format has it.
io::Mesh write_as(io::Mesh mesh, const MeshOptions& o) {
  const std::string ending = ending_of(o.output);
  const bool is_solid = ending == ".stl" || ending == ".3mf";
  if (ending == ".ply" || ending == ".3mf") export_::colour_by_materials(mesh);
  if (is_solid) mesh = export_::solid_for_print(std::move(mesh), o.output);
  io::WriteMeshOptions write;
  // OBJ and PLY stay as the input lies; printers' formats are z up, and GLB turns by itself.
  const bool turns = !is_solid && ending != ".glb" && up_axis(o) == io::UpAxis::Y;
  write.is_z_up = !turns;
  if (const fs::path folder = fs::path(o.output).parent_path(); !folder.empty())
    make_folders(folder.string());
  io::Mesh turned = mesh;
  if (turns) turn_back(turned);
  io::write_mesh(o.output, turned, write);
  return mesh;
}

int run_mesh(const MeshOptions& o) {
  if (o.output.empty()) {
    if (!o.checks) throw UserError("t3d mesh has nothing to do. Name a file with -o, or ask for --check.");
    if (o.makes_uv || o.bakes_normals || o.n_faces > 0)
      throw UserError("--uv, --decimate and --bake-normals make another mesh. Name its file with -o.");
  } else {
    check_output_file(o.output, {".glb", ".obj", ".ply", ".stl", ".3mf"});
  }
  io::ReadMeshOptions read;
  read.up = up_axis(o);
  read.skip_bad_faces = o.skip_bad_faces;
  const auto original = std::make_shared<const io::Mesh>(io::read_mesh(o.input, read));
  io::Mesh mesh = *original;
  if (!o.output.empty()) {
    export_::ProcessOptions process;
    process.n_faces = static_cast<size_t>(o.n_faces);
    process.makes_uv = o.makes_uv;
    process.bakes_normals = o.bakes_normals;
    process.atlas.size = o.texture_size > 0 ? o.texture_size : export_::baked_texture_size(*original);
    process.atlas.padding = o.padding;
    mesh = write_as(export_::process_mesh(original, process), o);
    log::info(cat(o.output, ": ", counted(static_cast<int64_t>(mesh.faces.size()), "triangle"), " of ",
                  original->faces.size()));
  }
  bool is_fine = true;
  if (o.checks) {
    const export_::MeshCheck check = export_::check_mesh(mesh);
    std::cout << export_::check_table(check);
    is_fine = check.is_fine();
  }
  if (!o.output.empty()) print_result(o.output);
  return is_fine ? 0 : 1;
}

}  // namespace

void add_mesh_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<MeshOptions>();
  auto* c = app.add_subcommand(
      "mesh", "Make a mesh ready for other tools: convert, unwrap, decimate, bake normals, check");
  c->add_option("INPUT", o->input, "GLB, glTF, OBJ, PLY, STL or OFF")->required();
  c->add_option("-o,--output", o->output, ".glb, .obj, .ply, .stl or .3mf");
  c->add_flag("--uv", o->makes_uv, "New texture coordinates without overlaps; textures are baked anew");
  c->add_option("--decimate", o->n_faces, "Triangles that are left, at most [all]")
      ->check(CLI::Range(4, 100000000));
  c->add_flag("--bake-normals", o->bakes_normals,
              "A normal texture of the mesh as it was, for what decimation takes away");
  c->add_flag("--check", o->checks, "Print what is wrong with the result; exit code 1 if anything is");
  c->add_option("--texture-size", o->texture_size,
                "Texels along a side of baked textures [512 to 2048, as the input's]")
      ->check(CLI::Range(16, 16384));
  c->add_option("--padding", o->padding, "Texels around each chart")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  c->add_option("--up", o->up, "The input's up axis: y or z [y; z of an STL]")
      ->check(CLI::IsMember({"auto", "y", "z"}));
  c->add_flag("--skip-bad-faces", o->skip_bad_faces, "Leave out faces that point past the vertices");
  c->callback([o, &run] { run = [o] { return run_mesh(*o); }; });
}

}  // namespace t3d::cli
