#include "t3d/io/read_mesh.h"

#ifdef T3D_HAS_ASSIMP
#include <assimp/DefaultIOSystem.h>
#include <assimp/MemoryIOWrapper.h>
#include <assimp/postprocess.h>
#include <assimp/scene.h>
#include <assimp/IOStream.hpp>
#include <assimp/Importer.hpp>
#endif

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/io/crease_normals.h"
#include "t3d/io/dropped_faces.h"
#include "t3d/io/gltf/read_gltf.h"

namespace t3d::io {
namespace fs = std::filesystem;

Mesh read_with_assimp(const std::string& path, const ReadMeshOptions& options);

namespace {

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension;
}

}  // namespace

bool is_mesh_file(const std::string& path) {
  const std::string extension = lower_extension(path);
  for (const char* known : {".obj", ".glb", ".gltf", ".ply", ".stl", ".off"})
    if (extension == known) return true;
  return false;
}

namespace {

void check_readable(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw SystemError(cat(path, ": no such file. Check the path."));
  if (fs::is_directory(path, ignored))
    throw SystemError(cat(path, ": is a folder, where a mesh file is expected. Name a file in it."));
  if (!std::ifstream(path, std::ios::binary))
    throw SystemError(cat(path, ": cannot be opened", errno_text(), ". Check its permissions."));
}

}  // namespace

Mesh read_mesh(const std::string& path, const ReadMeshOptions& options) {
  check_readable(path);
  if (!is_mesh_file(path))
    throw UserError(
        cat(path, ": not a mesh file that can be read; expected .obj, .glb, .gltf, .ply, .stl or .off."));
  const std::string extension = lower_extension(path);
  return extension == ".glb" || extension == ".gltf" ? gltf::read_gltf(path, options)
                                                     : read_with_assimp(path, options);
}

#ifndef T3D_HAS_ASSIMP

Mesh read_with_assimp(const std::string& path, const ReadMeshOptions&) {
  throw SystemError(
      cat(path, ": this build reads GLB and glTF alone. Install libassimp-dev and build again."));
}

#else

namespace {

/// Serves one checked text from memory in place of the file, so that bad faces can be left out, and the disk
/// for everything else (material libraries).
class CheckedFileSystem : public Assimp::DefaultIOSystem {
 public:
  CheckedFileSystem(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {}
  Assimp::IOStream* Open(const char* file, const char* mode) override {
    if (file == path_)
      return new Assimp::MemoryIOStream(reinterpret_cast<const uint8_t*>(text_.data()), text_.size());
    Assimp::IOStream* opened = Assimp::DefaultIOSystem::Open(file, mode);
    if (opened != nullptr)
      has_opened_ = true;
    else if (not_there_.empty())
      not_there_ = file;
    return opened;
  }

  /// The material library that the text names, when neither it nor what assimp tries in its place is there.
  std::string missing_library() const { return has_opened_ ? "" : not_there_; }

 private:
  std::string path_, text_, not_there_;
  bool has_opened_ = false;
};

Vec3f colour(const aiColor3D& c) {
  return {c.r, c.g, c.b};
}

/// Joins the parts of an assimp scene into one mesh.
class SceneReader {
 public:
  SceneReader(const aiScene& scene, const std::string& path, const ReadMeshOptions& options)
      : scene_(scene), path_(path), options_(options) {
    const std::string extension = lower_extension(path);
    is_stl_ = extension == ".stl";
  }

  Mesh read() {
    for (unsigned i = 0; i < scene_.mNumMaterials; ++i)
      mesh_.materials.push_back(material(*scene_.mMaterials[i]));
    if (mesh_.materials.empty()) mesh_.materials.emplace_back();
    for (unsigned i = 0; i < scene_.mNumMeshes; ++i) {
      has_uvs_ |= scene_.mMeshes[i]->HasTextureCoords(0);
      has_colours_ |= scene_.mMeshes[i]->HasVertexColors(0);
    }
    for (unsigned i = 0; i < scene_.mNumMeshes; ++i) append(*scene_.mMeshes[i]);
    if (mesh_.faces.empty())
      throw UserError(cat(path_, ": no face with an area is left", dropped_.text().empty() ? "" : ": ",
                          dropped_.text(), ". Export the mesh again, with faces."));
    if (!dropped_.text().empty()) log::warning(cat(path_, ": left out ", dropped_.text()));
    if (has_uvs_ && options_.load_textures) add_default_texture();
    make_missing_normals(mesh_);
    join_equal_vertices(mesh_);
    return std::move(mesh_);
  }

 private:
  Material material(const aiMaterial& source) {
    Material m;
    aiString name;
    if (source.Get(AI_MATKEY_NAME, name) == AI_SUCCESS) m.name = name.C_Str();
    aiColor3D c;
    aiColor4D base;
    if (source.Get(AI_MATKEY_BASE_COLOR, base) == AI_SUCCESS) {
      m.base_colour = {base.r, base.g, base.b};
    } else if (source.Get(AI_MATKEY_COLOR_DIFFUSE, c) == AI_SUCCESS) {
      m.base_colour = colour(c);
    }
    if (source.Get(AI_MATKEY_COLOR_EMISSIVE, c) == AI_SUCCESS) m.emission = colour(c);
    float value = 0;
    if (source.Get(AI_MATKEY_METALLIC_FACTOR, value) == AI_SUCCESS)
      m.metallic = std::clamp(value, 0.0f, 1.0f);
    if (source.Get(AI_MATKEY_ROUGHNESS_FACTOR, value) == AI_SUCCESS) {
      m.roughness = std::clamp(value, 0.0f, 1.0f);
    } else if (source.Get(AI_MATKEY_SHININESS, value) == AI_SUCCESS && value > 0) {
      m.roughness = std::clamp(std::sqrt(2.0f / (value + 2.0f)), 0.2f, 1.0f);  // Phong exponent to GGX width
    }
    if (source.Get(AI_MATKEY_OPACITY, value) == AI_SUCCESS) m.opacity = value;
    aiString file;
    const bool found = source.GetTexture(aiTextureType_BASE_COLOR, 0, &file) == AI_SUCCESS ||
                       source.GetTexture(aiTextureType_DIFFUSE, 0, &file) == AI_SUCCESS;
    if (found && options_.load_textures) {
      m.base_texture.texture = texture(file.C_Str());
      m.uses_vertex_colours = false;
      // Exporters write a black or grey Kd beside map_Kd; what counts is the picture.
      if (lower_extension(path_) == ".obj") m.base_colour = Vec3f::Ones();
    }
    return m;
  }

  int texture(const std::string& name) {
    const auto known = texture_index_.find(name);
    if (known != texture_index_.end()) return known->second;
    if (const aiTexture* embedded = scene_.GetEmbeddedTexture(name.c_str())) {
      mesh_.textures.push_back(embedded_texture(*embedded, name));
    } else {
      std::string file = name;
      std::replace(file.begin(), file.end(), '\\', '/');
      mesh_.textures.push_back(read_texture((fs::path(path_).parent_path() / file).string()));
    }
    const int index = static_cast<int>(mesh_.textures.size()) - 1;
    texture_index_[name] = index;
    return index;
  }

  Image8 read_texture(const std::string& file) {
    if (!fs::exists(file))
      throw SystemError(
          cat(path_, ": its texture ", file, " does not exist. Put it there, or pass --no-textures."));
    return read_image(file, 4);
  }

  Image8 embedded_texture(const aiTexture& embedded, const std::string& name) {
    const std::string label = cat(path_, ", embedded texture ", name);
    if (embedded.mHeight == 0)
      return decode_image(reinterpret_cast<const uint8_t*>(embedded.pcData), embedded.mWidth, label, 4);
    Image8 image(static_cast<int>(embedded.mWidth), static_cast<int>(embedded.mHeight), 4);
    for (size_t i = 0; i < image.pixels.size() / 4; ++i) {
      const aiTexel& t = embedded.pcData[i];
      const uint8_t rgba[4] = {t.r, t.g, t.b, t.a};
      std::copy(rgba, rgba + 4, image.pixels.begin() + static_cast<long>(4 * i));
    }
    return image;
  }

  Vec3f oriented(const aiVector3D& v) const {
    return options_.up == UpAxis::Y ? Vec3f(v.z, v.x, v.y) : Vec3f(v.x, v.y, v.z);
  }

  void append(const aiMesh& part) {
    const auto first = static_cast<uint32_t>(mesh_.positions.size());
    for (unsigned i = 0; i < part.mNumVertices; ++i) {
      mesh_.positions.push_back(oriented(part.mVertices[i]));
      // STL's normals are those of its triangles: made anew, so that curved surfaces are smooth.
      const Vec3f normal = part.HasNormals() && !is_stl_ ? oriented(part.mNormals[i]) : Vec3f(Vec3f::Zero());
      mesh_.normals.push_back(normal.allFinite() && normal.squaredNorm() > 0 ? Vec3f(normal.normalized())
                                                                             : Vec3f(Vec3f::Zero()));
      if (has_uvs_) {
        const bool here = part.HasTextureCoords(0);
        mesh_.uvs.emplace_back(here ? part.mTextureCoords[0][i].x : 0.0f,
                               here ? part.mTextureCoords[0][i].y : 0.0f);
      }
      if (has_colours_) {
        const aiColor4D c = part.HasVertexColors(0) ? part.mColors[0][i] : aiColor4D(1, 1, 1, 1);
        mesh_.colours.emplace_back(c.r, c.g, c.b);
      }
    }
    for (unsigned i = 0; i < part.mNumFaces; ++i) {
      if (part.mFaces[i].mNumIndices != 3) continue;
      const std::array<uint32_t, 3> face = {first + part.mFaces[i].mIndices[0],
                                            first + part.mFaces[i].mIndices[1],
                                            first + part.mFaces[i].mIndices[2]};
      if (dropped_.drops(mesh_.positions[face[0]], mesh_.positions[face[1]], mesh_.positions[face[2]]))
        continue;
      mesh_.faces.push_back(face);
      mesh_.face_material.push_back(static_cast<uint16_t>(std::min(part.mMaterialIndex, 65535u)));
    }
  }

  /// --texture, or the one picture beside an OBJ that is named as its texture.
  void add_default_texture() {
    std::string file = options_.texture;
    if (file.empty()) {
      if (!mesh_.textures.empty() || lower_extension(path_) != ".obj") return;
      file = neighbouring_texture();
      if (file.empty()) return;
      log::info(cat(path_, " names no material; using ", file, " as its texture"));
    }
    mesh_.textures.push_back(read_texture(file));
    for (auto& m : mesh_.materials) {
      if (m.base_texture.is_set()) continue;
      m.base_texture.texture = static_cast<int>(mesh_.textures.size()) - 1;
      m.uses_vertex_colours = false;
      m.base_colour = Vec3f::Ones();
    }
  }

  std::string neighbouring_texture() const {
    const std::string stem = fs::path(path_).stem().string();
    const std::string word = stem.substr(0, stem.find_first_of("_-. "));
    std::vector<std::string> found;
    std::error_code ignored;
    const fs::path folder = fs::path(path_).parent_path();
    for (const auto& entry : fs::directory_iterator(folder.empty() ? fs::path(".") : folder, ignored)) {
      const std::string extension = lower_extension(entry.path().string());
      if (extension != ".png" && extension != ".jpg" && extension != ".jpeg") continue;
      const std::string name = entry.path().stem().string();
      for (const char* kind : {"_texture", "_diffuse", "_albedo", "_basecolor", ""})
        if (name == stem + kind || name == word + kind) found.push_back(entry.path().string());
    }
    return found.size() == 1 ? found[0] : "";
  }

  const aiScene& scene_;
  const std::string& path_;
  const ReadMeshOptions& options_;
  Mesh mesh_;
  std::map<std::string, int> texture_index_;
  bool has_uvs_ = false, has_colours_ = false, is_stl_ = false;
  DroppedFaces dropped_;
};

/// What assimp says, which for a file without a face is in terms of its own structures.
std::string failure_text(const Assimp::Importer& importer) {
  const std::string found = importer.GetErrorString();
  for (const char* empty : {"mNumMeshes is 0", "contains no faces", "OBJ-file is too small"})
    if (found.find(empty) != std::string::npos) return "it holds no face. Export the mesh again, with faces.";
  if (found.empty()) return "it holds no triangles. Export the mesh again, with faces.";
  return cat("it cannot be read: ", with_full_stop(found),
             " Check the file in a mesh viewer, or export it again.");
}

}  // namespace

Mesh read_with_assimp(const std::string& path, const ReadMeshOptions& options) {
  Assimp::Importer importer;
  CheckedFileSystem* files = nullptr;
  if (lower_extension(path) == ".obj") {
    ObjCheck checked = check_obj(read_whole_file(path, uint64_t{4} << 30), path, options.skip_bad_faces);
    if (checked.n_skipped > 0)
      log::warning(cat(path, ": left out ", checked.n_skipped, " faces that point past the vertices"));
    files = new CheckedFileSystem(path, std::move(checked.text));
    importer.SetIOHandler(files);  // takes it
  } else if (lower_extension(path) == ".off") {
    check_off(read_whole_file(path, uint64_t{4} << 30), path);
  }
  importer.SetPropertyInteger(AI_CONFIG_PP_SBP_REMOVE, aiPrimitiveType_POINT | aiPrimitiveType_LINE);
  const aiScene* scene = importer.ReadFile(path, aiProcess_Triangulate | aiProcess_PreTransformVertices |
                                                     aiProcess_SortByPType | aiProcess_ValidateDataStructure);
  if (scene == nullptr || scene->mNumMeshes == 0) throw UserError(cat(path, ": ", failure_text(importer)));
  if (files != nullptr && !files->missing_library().empty())
    log::warning(cat(path, ": its material library ", files->missing_library(),
                     " is not there; its parts are drawn in plain grey"));
  return SceneReader(*scene, path, options).read();
}

#endif

}  // namespace t3d::io
