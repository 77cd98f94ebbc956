#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::evaluate {

/// An object to be measured, and what it shall be.
struct ObjectEntry {
  std::string name;     ///< of its folder
  std::string prompt;   ///< as it was typed
  std::string caption;  ///< the toybox's plain phrasing of it; the prompt where the toybox has none
  int64_t seed = 0;
};

/// An object that could not be measured.
struct ObjectFailure {
  std::string name, caption;  ///< the caption is empty where it is not known
  std::string reason;
};

struct ObjectSet {
  std::vector<ObjectEntry> entries;
  std::vector<ObjectFailure> failures;  ///< folders that tell not even what they shall be
  /// The mesh of an entry, z up and with its front on +x. Throws UserError or SystemError.
  std::function<io::Mesh(size_t i)> load;
  bool is_lit = false;  ///< surfaces need light; else their colours are what they look like
};

/// The sub-folders of a folder, each as `t3d generate` leaves it (run.json, mesh.glb), by caption and name;
/// or the folder itself when it is such a one. Hidden ones are left out. Meshes are read when they are asked
/// for. Throws UserError when there is nothing to measure.
ObjectSet objects_in_folder(const std::string& folder);

/// True objects, `per_caption` different ones of each caption. Throws UserError for text that is no caption
/// of the toybox; `from` is what the message calls its origin.
ObjectSet objects_of_truth(const std::vector<std::string>& captions, int64_t per_caption, uint64_t seed,
                           const std::string& from);

}  // namespace t3d::evaluate
