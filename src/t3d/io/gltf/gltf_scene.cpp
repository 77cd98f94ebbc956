#include "t3d/io/gltf/gltf_scene.h"

#include <map>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/gltf/gltf_transform.h"

namespace t3d::io::gltf {
namespace {

constexpr size_t kNone = ~size_t{0};

/// The node trees of a file, with every node's place in the world.
class Nodes {
 public:
  explicit Nodes(const Value& nodes) : nodes_(nodes), parent_(nodes.size(), kNone), to_world_(nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Value children = nodes[i]["children"];
      for (size_t c = 0; c < children.size(); ++c) {
        const size_t child = children[c].index(nodes.size());
        if (parent_[child] != kNone)
          children[c].refuse(
              cat("names node ", child, ", which is the child of node ", parent_[child], " already"));
        parent_[child] = i;
      }
    }
    // Parents come before their children; what is never reached lies on a circle.
    for (size_t i = 0; i < nodes.size(); ++i)
      if (parent_[i] == kNone) order_.push_back(i);
    for (size_t next = 0; next < order_.size(); ++next) {
      const size_t i = order_[next];
      const Mat4d local = node_transform(nodes[i]);
      to_world_[i] = parent_[i] == kNone ? local : Mat4d(to_world_[parent_[i]] * local);
      const Value children = nodes[i]["children"];
      for (size_t c = 0; c < children.size(); ++c) order_.push_back(children[c].index(nodes.size()));
    }
    if (order_.size() < nodes.size()) nodes.refuse("has a node that is its own ancestor");
  }

  size_t size() const { return parent_.size(); }
  Value operator[](size_t i) const { return nodes_[i]; }
  const Mat4d& to_world(size_t i) const { return to_world_[i]; }

  /// The nodes that a scene shows, parents first. `roots` need not exist: all.
  std::vector<size_t> shown(const Value& roots) const {
    std::vector<char> is_shown(size(), roots.exists() ? 0 : 1);
    for (size_t i = 0; i < roots.size(); ++i) is_shown[roots[i].index(size())] = 1;
    std::vector<char> is_hidden(size(), 0);
    std::vector<size_t> found;
    for (const size_t i : order_) {
      const size_t parent = parent_[i];
      if (parent != kNone) {
        is_shown[i] |= is_shown[parent];
        is_hidden[i] |= is_hidden[parent];
      }
      is_hidden[i] |= !nodes_[i].extension("KHR_node_visibility")["visible"].flag_or(true);
      if (is_shown[i] != 0 && is_hidden[i] == 0) found.push_back(i);
    }
    return found;
  }

 private:
  Value nodes_;
  std::vector<size_t> parent_, order_;
  std::vector<Mat4d> to_world_;
};

Value default_scene(const Document& document) {
  const Value scenes = document.root()["scenes"], chosen = document.root()["scene"];
  if (scenes.size() == 0) return Value(nullptr, scenes.place());
  const size_t index = chosen.exists() ? chosen.index(scenes.size()) : 0;
  if (scenes.size() > 1)
    log::info(cat(document.path, ": has ", scenes.size(), " scenes; scene ", index, " is read"));
  return scenes[index];
}

std::vector<Mat4d> joints_of(Buffers& buffers, const Value& skin, const Nodes& nodes) {
  const Value joints = skin["joints"], bind = skin["inverseBindMatrices"];
  const Accessor inverse = bind.exists() ? Accessor(buffers, bind) : Accessor();
  if (inverse.exists() && (inverse.n_components() != 16 || inverse.count() < joints.size()))
    bind.refuse(cat("holds ", inverse.count(), " matrices for ", joints.size(), " joints"));
  std::vector<Mat4d> out;
  out.reserve(joints.size());
  for (size_t j = 0; j < joints.size(); ++j) {
    Mat4d matrix = nodes.to_world(joints[j].index(nodes.size()));
    if (inverse.exists()) {
      Mat4d from_mesh;
      for (int c = 0; c < 16; ++c) from_mesh(c % 4, c / 4) = inverse.at(j, c);
      matrix = matrix * from_mesh;
    }
    out.push_back(matrix);
  }
  return out;
}

/// Where EXT_mesh_gpu_instancing puts a node's mesh, within the node.
std::vector<Mat4d> instances_of(Buffers& buffers, const Value& extension, uint64_t n_most) {
  const Value attributes = extension["attributes"];
  const auto accessor = [&](const char* name, int n_components) {
    const Value index = attributes[name];
    if (!index.exists()) return Accessor();
    const Accessor found(buffers, index);
    if (found.n_components() != n_components)
      index.refuse(cat("names an accessor of ", found.n_components(), " components"));
    return found;
  };
  const Accessor translation = accessor("TRANSLATION", 3), rotation = accessor("ROTATION", 4),
                 scale = accessor("SCALE", 3);
  uint64_t count = 0;
  for (const Accessor* one : {&translation, &rotation, &scale}) {
    if (!one->exists()) continue;
    if (count != 0 && one->count() != count)
      attributes.refuse(cat("has ", count, " and ", one->count(), " instances, expected as many of each"));
    count = one->count();
  }
  if (count > n_most) attributes.refuse(cat("has ", count, " instances, more than can be read"));
  std::vector<Mat4d> out;
  out.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    Vec3d t = Vec3d::Zero(), s = Vec3d::Ones();
    Eigen::Vector4d r(0, 0, 0, 1);
    for (int c = 0; c < 4; ++c) {
      if (translation.exists() && c < 3) t[c] = translation.at(i, c);
      if (scale.exists() && c < 3) s[c] = scale.at(i, c);
      if (rotation.exists()) r[c] = rotation.at(i, c);
    }
    out.push_back(transform_of(t, r, s));
  }
  return out;
}

}  // namespace

Scene read_scene(Buffers& buffers) {
  const Document& document = buffers.document();
  const Value root = document.root(), meshes = root["meshes"], skins = root["skins"];
  const uint64_t n_most = document.limits.max_nodes;
  if (root["nodes"].size() > n_most)
    root["nodes"].refuse(cat("has ", root["nodes"].size(), " nodes, more than can be read"));
  Scene out;
  if (root["nodes"].size() == 0) {  // a library of meshes
    for (size_t i = 0; i < meshes.size(); ++i)
      out.placed.push_back({meshes[i], meshes[i]["weights"], Mat4d::Identity(), -1});
    return out;
  }
  const Nodes nodes(root["nodes"]);
  std::map<size_t, int> known_skins;
  for (const size_t i : nodes.shown(default_scene(document)["nodes"])) {
    const Value node = nodes[i];
    if (!node["mesh"].exists()) continue;
    const Value mesh = meshes[node["mesh"].index(meshes.size())];
    Placed one = {mesh, node["weights"].exists() ? node["weights"] : mesh["weights"], nodes.to_world(i), -1};
    if (node["skin"].exists()) {
      const size_t skin = node["skin"].index(skins.size());
      const auto known = known_skins.emplace(skin, static_cast<int>(out.skins.size()));
      if (known.second) out.skins.push_back(joints_of(buffers, skins[skin], nodes));
      one.skin = known.first->second;
    }
    const Value instancing = node.extension("EXT_mesh_gpu_instancing");
    if (!instancing.exists()) {
      out.placed.push_back(one);
      continue;
    }
    for (const Mat4d& local :
         instances_of(buffers, instancing, n_most - std::min<uint64_t>(n_most, out.placed.size()))) {
      out.placed.push_back(one);
      out.placed.back().to_world = nodes.to_world(i) * local;
    }
  }
  return out;
}

}  // namespace t3d::io::gltf
