#pragma once

#include <vector>

#include "t3d/io/gltf/gltf_accessor.h"

namespace t3d::io::gltf {

/// A mesh where a scene shows it.
struct Placed {
  Value mesh;
  Value morph_weights;  // of the node, or of the mesh; need not exist
  Mat4d to_world;
  int skin = -1;  // index into Scene::skins, or -1; then to_world counts for nothing
};

/// What the default scene shows at rest: animations are left out, nodes stand as the file has them.
struct Scene {
  std::vector<Placed> placed;
  std::vector<std::vector<Mat4d>> skins;  // of each joint: from the mesh at bind time to the world
};

/// Reads the scene that the file names as its own, the first one where it names none, and all nodes where it
/// has no scene. Nodes form trees; EXT_mesh_gpu_instancing places a mesh many times; KHR_node_visibility
/// hides. Throws UserError (a node inside itself or with two parents, broken transforms, more nodes than the
/// limits allow).
Scene read_scene(Buffers& buffers);

}  // namespace t3d::io::gltf
