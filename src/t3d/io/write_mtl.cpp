#include "t3d/io/write_mtl.h"

#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::io {
namespace {

namespace fs = std::filesystem;

std::string number_text(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string numbers_text(const Vec3f& v) {
  return cat(number_text(v.x()), " ", number_text(v.y()), " ", number_text(v.z()));
}

Image8 one_channel(const Image8& image, int channel, bool is_inverted) {
  Image8 out(image.width, image.height, 1);
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t value =
        image.pixels[i * static_cast<size_t>(image.channels) + static_cast<size_t>(channel)];
    out.pixels[i] = is_inverted ? static_cast<uint8_t>(255 - value) : value;
  }
  return out;
}

class MtlWriter {
 public:
  MtlWriter(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options)
      : mesh_(mesh), options_(options), path_(path) {}

  WrittenMtl write() {
    const fs::path library = fs::path(path_).replace_extension(".mtl");
    std::string text;
    for (size_t i = 0; i < mesh_.materials.size(); ++i) {
      out_.names.push_back(name_of(i));
      text += cat(text.empty() ? "" : "\n", material(i));
    }
    write_checked(library.string(), text);
    out_.paths.insert(out_.paths.begin(), library.string());
    out_.library = library.filename().string();
    return std::move(out_);
  }

 private:
  bool is_alone() const { return mesh_.materials.size() == 1; }

  /// Without blanks, and only once.
  std::string name_of(size_t i) {
    if (is_alone()) return "default";
    std::string name = mesh_.materials[i].name;
    for (char& c : name)
      if (static_cast<unsigned char>(c) <= ' ' || c == '#') c = '_';
    if (name.empty() || !names_.insert(name).second) name = cat(name.empty() ? "material" : name, "_", i);
    names_.insert(name);
    return name;
  }

  bool has(const TextureSlot& slot, const char* key) {
    if (!slot.is_set() || static_cast<size_t>(slot.texture) >= mesh_.textures.size()) return false;
    if (slot.uv_set == 0) return !mesh_.uvs.empty();
    log::warning(cat(path_, ": ", key,
                     " lies on another set of texture coordinates, which an OBJ has no place "
                     "for; it is left out"));
    return false;
  }

  /// "scene_2_roughness.png" beside the OBJ, written at its first use.
  std::string image(const TextureSlot& slot, size_t material, const char* kind, bool is_scalar,
                    bool is_inverted) {
    const std::string key = cat(slot.texture, is_scalar ? cat("/", slot.channel, is_inverted) : "");
    const auto [known, is_new] = files_.emplace(key, "");
    if (!is_new) return known->second;
    const std::string first = options_.texture_name.empty() ? fs::path(path_).stem().string()
                                                            : fs::path(options_.texture_name).stem().string();
    const bool is_kd = std::string(kind) == "kd";
    std::string stem = first;
    if (!is_alone() || !is_kd) {  // texture_kd and texture_roughness; mesh and mesh_roughness
      if (stem.size() > 3 && stem.substr(stem.size() - 3) == "_kd") stem.resize(stem.size() - 3);
      stem += cat(is_alone() ? "" : cat("_", material), "_", kind);
    }
    const fs::path file = fs::path(path_).replace_filename(stem + (options_.jpeg ? ".jpg" : ".png"));
    const Image8& whole = mesh_.textures[static_cast<size_t>(slot.texture)];
    const Image8 image = is_scalar ? one_channel(whole, slot.channel, is_inverted) : without_alpha(whole);
    const auto bytes = options_.jpeg ? encode_jpeg(image) : encode_png(image);
    write_checked(file.string(), {bytes.begin(), bytes.end()});
    out_.paths.push_back(file.string());
    return known->second = file.filename().string();
  }

  /// "map_Pr -s 2 2 1 file.png\n".
  void add_map(std::string& text, const char* key, const TextureSlot& slot, size_t material, const char* kind,
               bool is_scalar = false, bool is_inverted = false) {
    if (!has(slot, key)) return;
    text += key;
    const auto& t = slot.transform;
    if (t(0, 1) != 0 || t(1, 0) != 0)
      log::warning(
          cat(path_, ": ", key, " is turned, which an OBJ has no word for; it is put on without that"));
    if (t(0, 0) != 1 || t(1, 1) != 1)
      text += cat(" -s ", number_text(t(0, 0)), " ", number_text(t(1, 1)), " 1");
    if (t(0, 2) != 0 || t(1, 2) != 0)
      text += cat(" -o ", number_text(t(0, 2)), " ", number_text(t(1, 2)), " 0");
    if (slot.wrap_u == Wrap::Clamp && slot.wrap_v == Wrap::Clamp) text += " -clamp on";
    text += cat(" ", image(slot, material, kind, is_scalar, is_inverted), "\n");
  }

  std::string material(size_t i) {
    const Material& m = mesh_.materials[i];
    std::string text = cat("newmtl ", out_.names[i], "\nKa 0 0 0\nKd ", numbers_text(m.base_colour), "\n");
    add_map(text, "map_Kd", m.base_texture, i, "kd");
    text += "Ks 0 0 0\n";
    const float roughness = m.has_glossiness ? 1 - m.roughness : m.roughness;
    if (roughness != 1) text += cat("Pr ", number_text(roughness), "\n");
    add_map(text, "map_Pr", m.roughness_texture, i, "roughness", true, m.has_glossiness);
    if (m.metallic != 0) text += cat("Pm ", number_text(m.metallic), "\n");
    add_map(text, "map_Pm", m.metallic_texture, i, "metallic", true);
    add_map(text, "norm", m.normal_texture, i, "nrm");
    if (m.emission.maxCoeff() > 0) {
      text += cat("Ke ", numbers_text(m.emission), "\n");
      add_map(text, "map_Ke", m.emission_texture, i, "ke");
    }
    if (m.alpha_mode == AlphaMode::Opaque) return text;
    if (m.opacity < 1) text += cat("d ", number_text(m.opacity), "\n");
    if (m.opacity_texture.is_set()) {
      add_map(text, "map_d", m.opacity_texture, i, "d", true);
    } else if (m.uses_texture_alpha && m.base_texture.is_set() &&
               without_alpha(mesh_.textures[static_cast<size_t>(m.base_texture.texture)]).channels == 4) {
      TextureSlot alpha = m.base_texture;
      alpha.channel = 3;
      add_map(text, "map_d", alpha, i, "d", true);
    }
    return text;
  }

  const Mesh& mesh_;
  const WriteMeshOptions& options_;
  std::string path_;
  WrittenMtl out_;
  std::set<std::string> names_;
  std::map<std::string, std::string> files_;
};

}  // namespace

void write_checked(const std::string& path, const std::string& bytes) {
  write_file_atomically(path, bytes);
  if (read_whole_file(path, bytes.size() + 1) != bytes)
    throw SystemError(cat(path, ": the file does not hold what was written to it; the disk may be failing."));
}

WrittenMtl write_mtl(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options) {
  return MtlWriter(path, mesh, options).write();
}

}  // namespace t3d::io
