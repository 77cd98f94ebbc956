#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace t3d::train {

/// All that a run needs to go on as if it had never stopped.
struct Checkpoint {
  int64_t step = 0;                           ///< optimizer steps done
  std::map<std::string, at::Tensor> tensors;  ///< weights, optimizer moments, grids, ...
  nlohmann::json state;                       ///< small things: random streams, data order, schedules
};

struct CheckpointPolicy {
  int keep_last = 0;  ///< how many complete checkpoints stay in the folder; 0: all
};

/// Writes `folder`/step_00001000/ with tensors.safetensors, state.json and the completion mark COMPLETE.
/// Everything is written into a hidden folder, flushed, read back and checked, and only then renamed, so that
/// a checkpoint is complete or absent whenever the machine stops. A checkpoint of the same step is replaced;
/// older ones go by the policy. Returns the path. Throws SystemError; what was there before is then intact.
std::string save_checkpoint(const std::string& folder, int64_t step, const Checkpoint& checkpoint,
                            const CheckpointPolicy& policy = {});

/// Reads and verifies the checkpoint in the folder `path`. Tensors are views of the mapped file: copy what
/// you are going to change. Throws UserError when it is not intact, saying why and which ones are.
Checkpoint load_checkpoint(const std::string& path);

/// "" when the checkpoint in the folder `path` is intact: all files of the completion mark are there with
/// their sizes and checksums. Otherwise why not, such as "no completion mark".
std::string why_not_intact(const std::string& path);

struct FoundCheckpoint {
  std::string path;
  int64_t step = 0;
  /// One sentence for each newer checkpoint that is not intact:
  /// "checkpoint step_00004000 is incomplete (no completion mark); resuming from step_00003900."
  std::vector<std::string> skipped;
};

/// The newest intact checkpoint of a `ckpts` folder; nothing when there is none.
std::optional<FoundCheckpoint> latest_intact(const std::string& folder);

/// What `--resume PATH` means: a step folder, a `ckpts` folder, its "last", or a run folder. A step folder
/// must be intact itself; the others give their newest intact step. Throws UserError that says what was
/// found.
FoundCheckpoint find_checkpoint(const std::string& path);

}  // namespace t3d::train
