#include "t3d/system/type_families.h"

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/paths.h"
#include "t3d/data/camera_data.h"
#include "t3d/export/mesh_exporter_config.h"
#include "t3d/field/geometry.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/prompt_processor.h"
#include "t3d/render/renderer.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"
#include "t3d/system/experiment.h"
#include "t3d/system/system.h"

namespace t3d::system {
namespace {

template <auto Table>
TypedBlock block_of(const char* path, const char* family, const char* otherwise = "") {
  return {path,
          family,
          otherwise,
          [] { return Table().describe(); },
          [](const std::string& type) { return Table().own_name(type); },
          [](const std::string& type, const config::Node& block, const std::string& at) {
            Table().check(type, block, at);
          }};
}

bool is_exporter(const std::string& type) {
  return type == "mesh-exporter" || type == "dummy-exporter";
}

TypedBlock exporter_block() {
  return {"system.exporter",
          "exporter",
          "mesh-exporter",
          [] {
            return FamilyInfo{"exporter",
                              "",
                              {{"mesh-exporter", "", config::describe<export_::MeshExporterConfig>()},
                               {"dummy-exporter", "", {}}}};
          },
          [](const std::string& type) { return is_exporter(type) ? type : std::string(); },
          [](const std::string& type, const config::Node& block, const std::string& at) {
            if (type == "mesh-exporter" && !block.is_null())
              config::read_struct<export_::MeshExporterConfig>(block, at);
          }};
}

}  // namespace

const std::vector<TypedBlock>& typed_blocks() {
  static const std::vector<TypedBlock> table = {
      block_of<data::camera_data>("data", "data"),
      block_of<systems>("system", "system"),
      block_of<field::geometries>("system.geometry", "geometry"),
      block_of<shading::materials>("system.material", "material"),
      block_of<shading::backgrounds>("system.background", "background", "solid-color-background"),
      block_of<render::renderers>("system.renderer", "renderer"),
      block_of<guidance::guidances>("system.guidance", "guidance"),
      block_of<guidance::prompt_processors>("system.prompt_processor", "prompt-processor"),
      exporter_block()};
  return table;
}

std::string type_of(const config::Node& root, const TypedBlock& block) {
  const config::Node* named = config::find_at(root, block.path + "_type");
  if (named == nullptr || !named->is_string() || named->is_mandatory()) return block.otherwise;
  const std::string& type = std::get<std::string>(named->value);
  return type.empty() ? block.otherwise : type;
}

std::vector<config::FieldInfo> fields_of(const config::Node& root, const TypedBlock& block) {
  const std::string type = block.own_name(type_of(root, block));
  for (const TypeInfo& each : block.describe().types)
    if (each.name == type) return each.fields;
  return {};
}

config::KeyKind key_kind(const config::Node& root, const std::string& path) {
  // The longest path that the key lies below: "system.geometry" before "system".
  const TypedBlock* best = nullptr;
  for (const TypedBlock& block : typed_blocks())
    if (path.rfind(block.path + ".", 0) == 0 && (best == nullptr || block.path.size() > best->path.size()))
      best = &block;
  if (best != nullptr) return config::kind_of(fields_of(root, *best), path.substr(best->path.size() + 1));
  if (path.rfind("trainer.", 0) == 0)
    return config::kind_of(config::describe<TrainerConfig>(), path.substr(8));
  return config::kind_of(config::describe<Experiment>(), path);
}

}  // namespace t3d::system
