#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace t3d::system {

/// What a run left: tensors by checkpoint name, and the step that they are of.
struct SavedWeights {
  std::string path;  ///< the file or the step's folder
  int64_t step = 0;
  std::map<std::string, at::Tensor> tensors;  ///< views of the file: copy what is to be changed
  nlohmann::json state;                       ///< small things beside the tensors, of ours alone
  bool is_foreign = false;                    ///< a PyTorch file, as threestudio writes them
};

/// The checkpoint that `path` names, and that read_saved_weights reads: a step's folder or a PyTorch file.
/// Throws UserError or SystemError where there is none.
std::string find_saved_weights(const std::string& path);

/// Reads a checkpoint of ours (whatever train::find_checkpoint takes), or a PyTorch file: state_dict and
/// global_step of threestudio's last.ckpt, or a dict of tensors, at step 0. No code in it is run. A path with
/// LAST in it is latest_run's. Throws UserError or SystemError.
SavedWeights read_saved_weights(const std::string& path);

/// threestudio's shorthand, "outputs/magic3d/a_hamburger@LAST/ckpts/last.ckpt": spaces become "_", and LAST
/// the end of the folder that comes last by name among those that begin as the path does before it. A path
/// without LAST stays. Throws UserError where there is no such folder.
std::string latest_run(const std::string& path);

/// Copies tensors of `saved`, named `prefix` + name, into those of `ours` of the same name and shape. The
/// names of the others, with what is wrong, go to `left_out`. Returns how many were copied.
int64_t copy_saved(const SavedWeights& saved, const std::string& prefix,
                   const std::map<std::string, at::Tensor>& ours,
                   std::map<std::string, std::string>& left_out);

}  // namespace t3d::system
