#include "t3d/io/obj/read_obj.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/mesh_textures.h"
#include "t3d/io/obj/parse_mtl.h"
#include "t3d/io/obj/parse_obj.h"
#include "t3d/io/text_lines.h"

namespace t3d::io::obj {
namespace {

/// "'a', 'b' and 3 more".
std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 3); ++i)
    text += cat(i > 0 ? ", '" : "'", names[i], "'");
  return names.size() > 3 ? cat(text, " and ", names.size() - 3, " more") : text;
}

class ObjReader {
 public:
  ObjReader(const std::string& path, const ReadMeshOptions& options)
      : path_(path), options_(options), textures_(path, options, images_) {}

  Mesh read() {
    ObjFile file =
        parse_obj(as_utf8(read_whole_file(path_, uint64_t{4} << 30)), path_, options_.skip_bad_faces);
    say(file);
    if (file.mesh.n_faces() == 0)
      throw UserError(cat(path_, ": it holds no face",
                          file.has_curves ? " but free-form surfaces, which are not read" : "",
                          ". Export the mesh again, with faces."));
    read_libraries(file);
    for (const std::string& name : file.materials) file.mesh.materials.push_back(material(name));
    if (!file.mesh.uvs.empty()) textures_.put_on_the_rest(file.mesh.materials, materials_.empty());
    bool is_plain = true;
    for (const Material& m : file.mesh.materials)
      is_plain &= !m.base_texture.is_set() && materials_.count(m.name) == 0;
    if (is_plain) {  // then white vertex colours are the object's colour, and not a sign that it has none
      file.mesh.materials.clear();
      file.mesh.face_material.clear();
    }
    textures_.say();
    say_about_materials();
    file.mesh.textures = std::move(images_);
    return build_mesh(std::move(file.mesh), path_, options_);
  }

 private:
  struct Known {
    MtlMaterial material;
    std::string folder, library;
  };

  void say(const ObjFile& file) const {
    if (file.n_skipped > 0)
      log::warning(cat(path_, ": left out ", file.n_skipped,
                       file.n_skipped == 1 ? " face that points" : " faces that point",
                       " past the vertices"));
    if (file.n_weighted > 0)
      log::info(cat(path_, ": ", file.n_weighted, file.n_weighted == 1 ? " vertex has" : " vertices have",
                    " a weight (v x y z w); positions are divided by it"));
    if (file.n_odd > 0)
      log::warning(cat(path_, ": ", file.n_odd, file.n_odd == 1 ? " vertex has" : " vertices have",
                       " five or more than seven numbers, of which the first three count"));
    if (file.has_vertex_alpha)
      log::warning(cat(path_, ": its vertex colours have an alpha, which is not read"));
  }

  void read_libraries(const ObjFile& file) {
    PathResolver paths({folder_of(path_)});
    std::vector<std::string> missing;
    for (const std::string& written : file.libraries)
      for (const std::string& name : library_names(written, paths)) {
        const ResolvedPath library = paths.find(name);
        library ? read_library(library.path) : missing.push_back(name);
      }
    const bool names_materials = file.materials.size() > 1 || !file.materials[0].empty();
    if (materials_.empty() && names_materials && (!missing.empty() || file.libraries.empty())) {
      const std::string own = std::filesystem::path(path_).replace_extension(".mtl").string();
      std::error_code ignored;
      if (std::filesystem::is_regular_file(own, ignored)) {
        log::warning(cat(path_, ": ",
                         missing.empty() ? "names no material library"
                                         : cat("its material library ", missing[0], " is not there"),
                         "; took ", own));
        missing.clear();
        read_library(own);
      }
    }
    paths.log_notes(path_);
    if (missing.empty()) return;
    const std::string text = cat(path_, ": its material library ", missing[0], " is not there");
    if (options_.strict) throw SystemError(cat(text, ". Put it there, or leave out --strict."));
    log::warning(cat(text, "; its parts are drawn in plain grey"));
  }

  /// One name with blanks, or several names.
  static std::vector<std::string> library_names(const std::string& written, PathResolver& paths) {
    PathResolver quiet = paths;
    const ResolvedPath whole = quiet.find(written);
    if (written.find_first_of(" \t") == std::string::npos || (whole && whole.by < FoundBy::Tail))
      return {written};
    std::vector<std::string> names;
    Words words(written);
    std::string name;
    for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
      name += cat(name.empty() ? "" : " ", word);
      const std::string lower = lower_case(name);
      if (lower.size() < 4 || lower.compare(lower.size() - 4, 4, ".mtl") != 0) continue;
      names.push_back(name);
      name.clear();
    }
    if (!name.empty()) names.push_back(name);
    return names;
  }

  void read_library(const std::string& file) {
    const MtlFile library = parse_mtl(as_utf8(read_whole_file(file, uint64_t{1} << 28)), file);
    for (const std::string& note : library.notes) log::warning(note);
    for (const MtlMaterial& m : library.materials)
      materials_.emplace(m.name, Known{m, folder_of(file), file});
  }

  Material material(const std::string& name) {
    const auto known = materials_.find(name);
    if (known == materials_.end()) {
      if (!name.empty() && !materials_.empty()) undefined_.push_back(name);
      Material grey = plain_grey();
      grey.name = name;
      return grey;
    }
    return material(known->second);
  }

  Material material(const Known& known) {
    const MtlMaterial& source = known.material;
    Material m = plain_grey();
    m.name = source.name;
    if (source.kd) m.base_colour = *source.kd;
    if (source.ke) m.emission = *source.ke;
    if (source.pm) m.metallic = std::clamp(*source.pm, 0.0f, 1.0f);
    if (source.pr) {
      m.roughness = std::clamp(*source.pr, 0.0f, 1.0f);
    } else if (source.ns && *source.ns > 0) {
      m.roughness =
          std::clamp(std::sqrt(2.0f / (*source.ns + 2.0f)), 0.2f, 1.0f);  // Phong exponent to GGX width
    }
    m.opacity = opacity(source);
    m.alpha_mode = AlphaMode::Blend;
    m.uses_texture_alpha = false;  // map_Kd is a colour; map_d is what makes holes
    put(source.map_kd, known, m.base_texture);
    if (m.base_texture.is_set()) {
      m.base_colour =
          Vec3f::Ones();  // exporters write a black or grey Kd beside map_Kd; what counts is the image
      m.uses_vertex_colours = false;
      if (!source.map_d.is_set() && has_holes(m.base_texture)) texture_alpha_.push_back(source.name);
    } else if (source.map_kd.is_set() && m.base_colour.isZero()) {
      m.base_colour = plain_grey().base_colour;  // its texture is missing
    }
    put(source.map_ke, known, m.emission_texture);
    if (m.emission_texture.is_set() && m.emission.isZero()) m.emission = Vec3f::Ones();
    put_scalar(source.map_pr, known, m.roughness_texture, m.roughness);
    put_scalar(source.map_pm, known, m.metallic_texture, m.metallic);
    put(source.norm, known, m.normal_texture);
    put(source.map_d, known, m.opacity_texture);
    if (m.opacity_texture.is_set()) {
      m.opacity_texture.channel = opacity_channel(source.map_d, m.opacity_texture.texture);
      if (m.opacity == 0) m.opacity = 1, opaque_.push_back(cat(source.name, "' (d 0 beside map_d"));
    }
    return m;
  }

  /// d is opacity and Tr its complement. Photogrammetry programs write "Tr 1.0" alone and mean opaque.
  float opacity(const MtlMaterial& source) {
    if (source.d && source.tr && std::abs(*source.d + *source.tr - 1.0f) > 0.01f)
      conflicting_.push_back(source.name);
    // Exporters that write "d 0" and "Tr 0" mean opaque; nothing becomes invisible by a contradiction.
    if (source.d && !(*source.d <= 0 && source.tr && *source.tr < 1)) {
      const float d = std::clamp(*source.d, 0.0f, 1.0f);
      if (d == 0 && !source.map_d.is_set()) invisible_.push_back(source.name);
      return d;
    }
    if (!source.tr) return 1.0f;
    const float opacity = std::clamp(1.0f - *source.tr, 0.0f, 1.0f);
    if (opacity > 0) return opacity;
    opaque_.push_back(cat(source.name, "' (Tr 1 without d"));
    return 1.0f;
  }

  void put(const MtlMap& map, const Known& known, TextureSlot& slot) {
    if (!map.is_set()) return;
    slot.texture = textures_.find(map.file, known.folder);
    slot.transform << map.scale.x(), 0, map.offset.x(), 0, map.scale.y(), map.offset.y();
    if (map.clamps) slot.wrap_u = slot.wrap_v = Wrap::Clamp;
  }

  void put_scalar(const MtlMap& map, const Known& known, TextureSlot& slot, float& factor) {
    put(map, known, slot);
    if (!slot.is_set()) return;
    factor = 1.0f;
    slot.channel = map.channel == 'g' ? 1 : map.channel == 'b' ? 2 : map.channel == 'm' ? 3 : 0;
  }

  bool has_holes(const TextureSlot& slot) const {
    const Image8& image = images_[static_cast<size_t>(slot.texture)];
    for (size_t i = 3; i < image.pixels.size(); i += 4)
      if (image.pixels[i] < 128) return true;
    return false;
  }

  /// Of an image with alpha that, of others their brightness (they are grey), unless the file says otherwise.
  int opacity_channel(const MtlMap& map, int texture) const {
    if (map.channel == 'r' || map.channel == 'l') return 0;
    if (map.channel == 'g') return 1;
    if (map.channel == 'b') return 2;
    if (map.channel == 'm') return 3;
    const Image8& image = images_[static_cast<size_t>(texture)];
    for (size_t i = 3; i < image.pixels.size(); i += 4)
      if (image.pixels[i] != 255) return 3;
    return 0;
  }

  void say_about_materials() const {
    const auto warn = [this](const std::vector<std::string>& names, const char* text) {
      if (!names.empty()) log::warning(cat(path_, ": ", text, quoted_list(names)));
    };
    warn(undefined_, "no material library defines these materials, which are drawn in plain grey: ");
    warn(conflicting_, "d and Tr contradict each other, so that d counts, in the material ");
    warn(invisible_, "nothing is seen of parts with d 0 (write d 1 to see them), in the material ");
    if (!opaque_.empty()) {
      std::string first = opaque_[0];
      log::warning(cat(path_, ": taken as opaque, as photogrammetry programs mean it: the material '", first,
                       ")", opaque_.size() > 1 ? cat(" and ", opaque_.size() - 1, " more") : ""));
    }
    if (!texture_alpha_.empty())
      log::info(cat(path_, ": the texture of the material '", texture_alpha_[0],
                    "' has transparent parts, drawn opaque since the material has no map_d",
                    texture_alpha_.size() > 1 ? cat(" (and ", texture_alpha_.size() - 1, " more)") : ""));
  }

  const std::string& path_;
  const ReadMeshOptions& options_;
  std::vector<Image8> images_;
  MeshTextures textures_;
  std::map<std::string, Known> materials_;
  std::vector<std::string> undefined_, conflicting_, invisible_, opaque_, texture_alpha_;
};

}  // namespace

Mesh read_obj(const std::string& path, const ReadMeshOptions& options) {
  return ObjReader(path, options).read();
}

}  // namespace t3d::io::obj
