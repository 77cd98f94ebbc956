#include "t3d/cli/families.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "t3d/cli/reconstruct_config.h"
#include "t3d/data/camera_data.h"
#include "t3d/export/mesh_exporter_config.h"
#include "t3d/field/encoding.h"
#include "t3d/field/geometry.h"
#include "t3d/field/network.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/prompt_processor.h"
#include "t3d/optim/make_optimizer.h"
#include "t3d/render/renderer.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"
#include "t3d/system/experiment.h"
#include "t3d/system/system.h"

namespace t3d::cli {
namespace {

/// Nested blocks as dotted names.
void flatten(const std::vector<config::FieldInfo>& fields, const std::string& prefix,
             std::vector<config::FieldInfo>& out) {
  for (const config::FieldInfo& f : fields) {
    config::FieldInfo named = f;
    named.name = prefix + f.name;
    if (f.fields.empty())
      out.push_back(named);
    else
      flatten(f.fields, named.name + ".", out);
  }
}

std::vector<config::FieldInfo> flat(const std::vector<config::FieldInfo>& fields) {
  std::vector<config::FieldInfo> out;
  flatten(fields, "", out);
  return out;
}

std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

void table(std::ostream& out, const std::vector<config::FieldInfo>& fields) {
  if (fields.empty()) {
    out << "No keys.\n\n";
    return;
  }
  out << "| key | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const config::FieldInfo& f : flat(fields))
    out << "| `" << f.name << "` | " << cell(f.type) << " | `" << cell(f.default_text) << "` | "
        << cell(f.range) << " | " << cell(f.help) << " |\n";
  out << "\n";
}

/// " [FILE.so]" behind a type of the user's own.
std::string origin(const TypeInfo& type) {
  return type.file.empty() ? "" : " [" + std::filesystem::path(type.file).filename().string() + "]";
}

FamilyInfo exporters() {
  return {"exporter",
          "system.exporter: what t3d export writes.",
          {{"mesh-exporter", "a mesh with a texture or vertex colours",
            config::describe<export_::MeshExporterConfig>()},
           {"dummy-exporter", "nothing", {}}}};
}

}  // namespace

std::vector<FamilyInfo> families() {
  return {field::encodings().describe(),
          field::networks().describe(),
          field::geometries().describe(),
          shading::materials().describe(),
          shading::backgrounds().describe(),
          render::renderers().describe(),
          guidance::prompt_processors().describe(),
          guidance::guidances().describe(),
          data::camera_data().describe(),
          system::systems().describe(),
          optim::optimizers().describe(),
          exporters()};
}

std::string list_text(const std::vector<FamilyInfo>& all) {
  std::ostringstream out;
  for (const FamilyInfo& family : all) {
    out << family.name << ": " << family.help << "\n";
    for (const TypeInfo& type : family.types) {
      out << "  " << type.name << std::string(type.name.size() < 28 ? 28 - type.name.size() : 1, ' ')
          << type.help << origin(type) << "\n";
    }
  }
  out << "Keys of each: t3d list FAMILY\n";
  return out.str();
}

std::string list_text(const FamilyInfo& family) {
  std::ostringstream out;
  for (const TypeInfo& type : family.types) {
    out << type.name << ": " << type.help << origin(type) << "\n";
    const auto fields = flat(type.fields);
    size_t width = 0;
    for (const auto& f : fields) width = std::max(width, f.name.size());
    for (const auto& f : fields) {
      out << "  " << f.name << std::string(width + 2 - f.name.size(), ' ') << f.help << " [" << f.type;
      if (!f.range.empty()) out << "; " << f.range;
      out << "; default: " << f.default_text << "]\n";
    }
  }
  return out.str();
}

std::string reference_page() {
  std::ostringstream out;
  out << "# Reference of types and keys\n\n"
      << "Written by `t3d list --markdown` from the tables that the program itself reads with.\n\n";
  for (const FamilyInfo& family : families()) {
    out << "## " << family.name << "\n\n" << family.help << "\n\n";
    for (const TypeInfo& type : family.types) {
      out << "### `" << type.name << "`\n\n" << type.help << origin(type) << "\n\n";
      table(out, type.fields);
    }
  }
  out << "## t3d train --config\n\nThe top of a recipe's file ([train](train.md)).\n\n";
  table(out, config::describe<system::Experiment>());
  out << "### `trainer`\n\n";
  table(out, config::describe<system::TrainerConfig>());
  out << "### `checkpoint`\n\n";
  table(out, config::describe<system::CheckpointConfig>());
  out << "## t3d reconstruct --config\n\nThe keys of its configuration file; each is an option as well "
         "([reconstruct](reconstruct.md)).\n\n";
  table(out, config::describe<ReconstructConfig>());
  std::string page = out.str();
  page.pop_back();  // one newline at the end
  return page;
}

}  // namespace t3d::cli
