#pragma once

#include <string>

#include "t3d/io/gltf/gltf_document.h"
#include "t3d/io/read_mesh.h"

namespace t3d::io::gltf {

/// What io/read_mesh.h does for GLB and glTF 2.0: the default scene at rest, all parts
/// joined.
///
/// Triangles, strips and fans; sparse, quantized and meshopt-compressed data; node transforms, instances,
/// skins and default morph weights; materials by the file's own JSON. Both sides of every face are drawn,
/// whatever `doubleSided` says. Colours are blended as light. Throws UserError and SystemError.
Mesh read_gltf(const std::string& path, const ReadMeshOptions& options, const Limits& limits = {});

/// The same for a file in memory; `path` names it in messages, and files beside it.
Mesh read_gltf_bytes(std::string bytes, const std::string& path, const ReadMeshOptions& options,
                     const Limits& limits = {});

}  // namespace t3d::io::gltf
