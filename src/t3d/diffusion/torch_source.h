#pragma once

#include <memory>
#include <string>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// A file of torch.save: .bin, .pt, .pth, .ckpt. Throws what io::TorchFile throws.
std::shared_ptr<TensorSource> torch_source(const std::string& path);

/// Shards named by an index ("...index.json": {"weight_map": {tensor: file}}) in the same folder. Throws
/// SystemError that lists the shards that are not there, UserError for tensors that their shard lacks.
std::shared_ptr<TensorSource> sharded_source(const std::string& index_path);

/// The one of these that the file's ending asks for; a file of the other format is read as what it is, with a
/// notice. A shard ("-00001-of-00002") without an index stands for its whole set. Scales of 8-bit weights are
/// applied (scaled_source.h). UserError for an ending of none.
std::shared_ptr<TensorSource> open_source(const std::string& path);

/// True for a file name that open_source knows.
bool is_weights_file(const std::string& path);

}  // namespace t3d::diffusion
