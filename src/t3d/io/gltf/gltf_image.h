#pragma once

#include "t3d/io/gltf/gltf_buffers.h"
#include "t3d/io/image.h"

namespace t3d::io::gltf {

/// The image that a texture shows: its own source, or that of an extension where it has no other. Throws
/// UserError that names the extension when its images are not read.
size_t image_index(const Value& texture, size_t n_images);

/// Decodes an image of a buffer view, a data: URI or a file beside the glTF; 4 channels. Throws UserError
/// (broken, or of a kind that is not read, which it names) and SystemError (no such file).
Image8 read_gltf_image(Buffers& buffers, const Value& image);

}  // namespace t3d::io::gltf
