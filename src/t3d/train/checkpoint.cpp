#include "t3d/train/checkpoint.h"

#include <ATen/ATen.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"
#include "t3d/core/json_text.h"
#include "t3d/core/sentence.h"
#include "t3d/io/safetensors.h"
#include "t3d/train/checkpoint_mark.h"

namespace t3d::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorFile = "tensors.safetensors";
constexpr const char* kStateFile = "state.json";
constexpr const char* kHiddenPrefix = ".t3d-";

std::string step_name(int64_t step) {
  char text[32];
  std::snprintf(text, sizeof text, "step_%08lld", static_cast<long long>(step));
  return text;
}

/// The number behind "step_", or -1 for another name.
int64_t step_of(const std::string& name) {
  constexpr size_t kPrefix = 5, kMostDigits = 18;
  if (name.rfind("step_", 0) != 0 || name.size() == kPrefix || name.size() > kPrefix + kMostDigits) return -1;
  int64_t step = 0;
  for (size_t i = kPrefix; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9') return -1;
    step = step * 10 + (name[i] - '0');
  }
  return step;
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

/// Names of the step folders, newest first.
std::vector<std::string> step_folders(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& name : entries_of(folder))
    if (step_of(name) >= 0) names.push_back(name);
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return step_of(a) > step_of(b); });
  return names;
}

/// Removes a checkpoint's folder as far as possible; what stays is removed by the next save.
void remove_flat_folder(const std::string& path) {
  for (const auto& name : entries_of(path)) file_calls().remove((path + "/" + name).c_str());
  file_calls().remove_folder(path.c_str());
}

/// A name that no scan takes for a checkpoint; the process number tells left-overs from work in progress.
std::string hidden_beside(const std::string& folder, int64_t step, const char* purpose) {
  return cat(folder, "/", kHiddenPrefix, purpose, "-", step_name(step), "-", getpid());
}

/// What a killed process left behind.
void remove_leftovers(const std::string& folder) {
  for (const auto& name : entries_of(folder)) {
    if (name.rfind(kHiddenPrefix, 0) != 0) continue;
    const long owner = std::strtol(name.c_str() + name.find_last_of('-') + 1, nullptr, 10);
    const bool is_alive =
        owner > 0 && owner != getpid() && (kill(static_cast<pid_t>(owner), 0) == 0 || errno != ESRCH);
    if (!is_alive) remove_flat_folder(folder + "/" + name);
  }
}

void rename_folder(const std::string& from, const std::string& to) {
  if (file_calls().rename(from.c_str(), to.c_str()) != 0)
    throw SystemError(cat(to, ": the checkpoint could not be put in place", errno_text(),
                          ". Earlier checkpoints are unchanged; check the disk."));
}

/// Puts the finished folder in place, swapping it with one of the same name if there is one.
void put_in_place(const std::string& fresh, const std::string& target, const std::string& old) {
  if (!exists(target)) return rename_folder(fresh, target);
  if (file_calls().exchange(fresh.c_str(), target.c_str()) == 0) {
    remove_flat_folder(fresh);
    return;
  }
  // File systems without an exchange: for a moment neither is there under its name.
  rename_folder(target, old);
  try {
    rename_folder(fresh, target);
  } catch (const SystemError&) {
    file_calls().rename(old.c_str(), target.c_str());
    throw;
  }
  remove_flat_folder(old);
}

void apply_policy(const std::string& folder, const CheckpointPolicy& policy) {
  if (policy.keep_last <= 0) return;
  int n_complete = 0;
  for (const auto& name : step_folders(folder)) {
    const std::string path = folder + "/" + name;
    if (exists(path + "/" + kMarkFile) && ++n_complete <= policy.keep_last) continue;
    // Hidden first, so that no one sees half of it.
    const std::string hidden = hidden_beside(folder, step_of(name), "old");
    if (file_calls().rename(path.c_str(), hidden.c_str()) == 0) remove_flat_folder(hidden);
  }
}

CheckpointMark write_files(const std::string& folder, int64_t step, const Checkpoint& checkpoint) {
  CheckpointMark mark;
  mark.step = step;
  const auto receipt =
      io::write_safetensors(folder + "/" + kTensorFile, checkpoint.tensors, {{"format", "t3d"}});
  mark.files[kTensorFile] = {receipt.n_bytes, receipt.file_crc32c};
  mark.tensors = receipt.tensor_crc32c;
  const std::string state = json_text(checkpoint.state);
  write_file_atomically(folder + "/" + kStateFile, state);
  mark.files[kStateFile] = {state.size(), crc32c(state.data(), state.size())};
  write_file_atomically(folder + "/" + kMarkFile, mark_text(mark));
  return mark;
}

/// Of a failed write: the place that was meant, since the hidden one is gone when someone reads of it.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string joined(const std::vector<std::string>& names, size_t most = 8) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < most; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? text + ", ..." : text;
}

}  // namespace

std::string save_checkpoint(const std::string& folder, int64_t step, const Checkpoint& checkpoint,
                            const CheckpointPolicy& policy) {
  T3D_CHECK(step >= 0, "step is ", step);
  make_folders(folder);
  remove_leftovers(folder);
  const std::string fresh = hidden_beside(folder, step, "new");
  const std::string target = folder + "/" + step_name(step);
  try {
    make_folders(fresh);
    write_files(fresh, step, checkpoint);
    const std::string reason = why_not_intact(fresh);
    if (!reason.empty())
      throw SystemError(cat(target, ": what was read back is not what was written (", reason,
                            "). Check the disk and the memory."));
    put_in_place(fresh, target, hidden_beside(folder, step, "old"));
    sync_folder(folder);
  } catch (const SystemError& error) {
    remove_flat_folder(fresh);
    throw SystemError(replaced(error.what(), fresh, target));
  } catch (...) {
    remove_flat_folder(fresh);
    throw;
  }
  apply_policy(folder, policy);
  return target;
}

std::string why_not_intact(const std::string& path) {
  CheckpointMark mark;
  return compare_with_mark(path, mark);
}

Checkpoint load_checkpoint(const std::string& path) {
  CheckpointMark mark;
  const std::string reason = compare_with_mark(path, mark);
  if (!reason.empty()) {
    const auto others = latest_intact(folder_of(path));
    throw UserError(cat("checkpoint ", path, " is incomplete (", reason, "). ",
                        others ? "The newest intact one beside it is " +
                                     fs::path(others->path).filename().string() + "; resume from that."
                               : "There is no intact one beside it; start anew."));
  }
  Checkpoint checkpoint;
  checkpoint.step = mark.step;
  const io::SafetensorsFile file(path + "/" + kTensorFile);
  for (const auto& name : file.names()) checkpoint.tensors[name] = file.tensor(name);
  checkpoint.state = parse_json(read_whole_file(path + "/" + kStateFile), path + "/" + kStateFile);
  return checkpoint;
}

std::optional<FoundCheckpoint> latest_intact(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> skipped;
  for (const auto& name : step_folders(folder)) {
    CheckpointMark mark;
    const std::string reason = compare_with_mark(folder + "/" + name, mark);
    if (!reason.empty()) {
      skipped.emplace_back(name, reason);
      continue;
    }
    FoundCheckpoint found{folder + "/" + name, mark.step, {}};
    for (const auto& [other, why] : skipped)
      found.skipped.push_back(
          cat("checkpoint ", other, " is incomplete (", why, "); resuming from ", name, "."));
    return found;
  }
  return std::nullopt;
}

FoundCheckpoint find_checkpoint(const std::string& given) {
  std::string path = given;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::string name = fs::path(path).filename().string();
  if (exists(path + "/" + kMarkFile) || (step_of(name) >= 0 && exists(path)))
    return {path, load_checkpoint(path).step, {}};
  if (!exists(path) && (name == "last" || name == "last.ckpt")) path = folder_of(path);
  if (!exists(path)) {
    const auto beside = entries_of(folder_of(path));
    throw SystemError(cat(given, ": is not there", end_or_suggestion(name, beside),
                          beside.empty() ? "" : cat(" Found beside it: ", joined(beside), "."),
                          " Expected a run folder, its ckpts folder, or one of the step_N folders in that."));
  }
  const std::string folder = exists(path + "/ckpts") ? path + "/ckpts" : path;
  if (const auto found = latest_intact(folder)) return *found;
  std::string what;
  for (const auto& step : step_folders(folder))
    what += cat(what.empty() ? "" : ", ", step, " (", why_not_intact(folder + "/" + step), ")");
  if (what.empty()) what = joined(entries_of(folder));
  throw UserError(
      cat(given, ": holds no intact checkpoint; found ", what.empty() ? "nothing" : what,
          ", expected step_N folders with a completion mark. Name another folder, or start anew."));
}

}  // namespace t3d::train
