#include "t3d/system/saved_weights.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/text.h"
#include "t3d/io/torch_file.h"
#include "t3d/train/checkpoint.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
const std::string kLast = "LAST";

/// threestudio's names, but for the wrapper that casts VSD's camera embedding.
std::string our_name(std::string name) {
  const std::string wrapper = "camera_embedding.module.";
  const size_t at = name.find(wrapper);
  if (at != std::string::npos) name.replace(at, wrapper.size(), "camera_embedding.");
  return name;
}

SavedWeights read_torch_file(const std::string& path) {
  const io::TorchFile file(path);
  SavedWeights out;
  out.path = path, out.is_foreign = true;
  for (const std::string& name : file.names()) out.tensors.emplace(our_name(name), file.tensor(name));
  if (const auto* step = file.root().find("global_step");
      step != nullptr && step->is(io::PickleValue::Kind::Int))
    out.step = std::max<int64_t>(0, step->whole);
  return out;
}

}  // namespace

std::string latest_run(const std::string& path) {
  const size_t at = path.find(kLast);
  if (at == std::string::npos) return path;
  std::string start = path.substr(0, at);
  std::replace(start.begin(), start.end(), ' ', '_');
  const fs::path folder = fs::path(start).parent_path();
  const std::string begins = fs::path(start).filename().string();
  std::string latest;
  std::error_code gone;  // a folder that is not there has no entries
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, gone)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.rfind(begins, 0) == 0) latest = std::max(latest, name);
  }
  if (latest.empty())
    throw SystemError(cat(path, ": no folder's name begins with ", start, ". Name the run's folder."));
  return (folder / latest).string() + path.substr(at + kLast.size());
}

std::string find_saved_weights(const std::string& given) {
  const std::string path = latest_run(given);
  if (fs::is_regular_file(path)) return path;
  const auto found = train::find_checkpoint(path);
  for (const auto& message : found.skipped) log::warning(message);
  return found.path;
}

SavedWeights read_saved_weights(const std::string& given) {
  const std::string path = find_saved_weights(given);
  if (fs::is_regular_file(path)) return read_torch_file(path);
  auto checkpoint = train::load_checkpoint(path);
  return {path, checkpoint.step, std::move(checkpoint.tensors), std::move(checkpoint.state), false};
}

int64_t copy_saved(const SavedWeights& saved, const std::string& prefix,
                   const std::map<std::string, at::Tensor>& ours,
                   std::map<std::string, std::string>& left_out) {
  const c10::NoGradGuard no_grad;
  int64_t n_copied = 0;
  for (const auto& [name, tensor] : ours) {
    const auto found = saved.tensors.find(prefix + name);
    if (found == saved.tensors.end()) {
      left_out.emplace(name, "is not there");
    } else if (found->second.sizes() != tensor.sizes()) {
      left_out.emplace(name, cat("is ", found->second.sizes(), ", expected ", tensor.sizes()));
    } else {
      at::Tensor(tensor).copy_(found->second);
      ++n_copied;
    }
  }
  return n_copied;
}

}  // namespace t3d::system
