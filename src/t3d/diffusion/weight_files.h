#pragma once

#include <string>
#include <vector>

namespace t3d::diffusion {

/// A weights file's name in its parts: "diffusion_pytorch_model-00001-of-00002.fp16.safetensors" is the stem
/// diffusion_pytorch_model, shard 1 of 2, variant fp16, ending .safetensors. The variant stands before or
/// behind the shard's number, as the different versions of diffusers and transformers write it.
struct WeightFileName {
  std::string stem, variant, ending;  ///< ending: ".safetensors", ".bin"
  int shard = 0, n_shards = 0;        ///< from 1; 0: not a shard
  bool is_index = false;              ///< "...index.json", which says which shard holds which tensor
};

/// False for a name of another kind. Known stems: diffusion_pytorch_model, pytorch_model, model.
bool parse_weight_file_name(const std::string& name, WeightFileName& out);

/// One complete or incomplete set of weights in a folder.
struct WeightSet {
  std::string variant, ending;
  std::string path;                  ///< what open_source takes: the file, the index, or the first shard
  std::vector<std::string> files;    ///< paths of all that is there, the index too
  std::vector<std::string> missing;  ///< names of shards that are not
  bool is_sharded = false;
};

/// Every set in the folder, the best first: complete before incomplete; without a variant before fp16, bf16,
/// others by name, fp8 and then non_ema last; safetensors before .bin; one file before shards.
std::vector<WeightSet> weight_sets(const std::string& folder);

/// In one sentence, which set is read where there are several, or where it is a variant; empty where the one
/// standard file is.
std::string choice_text(const std::vector<WeightSet>& sets, const std::string& folder);

/// The file in `folder` that an index means by `name`: itself, or the same shard under the other order of
/// variant and number. Empty when there is none.
std::string find_shard(const std::string& folder, const std::string& name);

/// The shards 1 to n of the set that the file belongs to, in order; `missing` gets the names of those that
/// are not there. Empty for a file that is no shard.
std::vector<std::string> shards_of(const std::string& path, std::vector<std::string>& missing);

}  // namespace t3d::diffusion
