#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "t3d/data/dataset.h"

namespace t3d::data {

/// Decodes the images of a data set whose frames find_images() has completed, one split after the other, on
/// all cores.
class ViewLoader {
 public:
  ViewLoader(const Dataset& set, const PosedImagesOptions& options) : set_(set), options_(options) {}

  /// The views of one split, their cameras in scene space. Images that are not there go to missing(), and
  /// those of which the mask leaves no pixel are left out.
  std::vector<View> load(const std::vector<Frame>& frames);

  /// After the last split: masks that are no more than the outline of an object on transparent ground are
  /// dropped
  /// (`splits`), and what was done to images goes to `notes`.
  void finish(const std::vector<std::vector<View>*>& splits, std::vector<std::string>& notes);

  const std::vector<std::string>& missing() const { return missing_; }
  bool has_alpha() const { return has_alpha_; }

 private:
  struct Source;  // one image that is there

  std::vector<Source> look(const std::vector<Frame>& frames);
  View plan(const Source& source);
  void check_time(std::vector<Source>& sources, std::vector<View>& views) const;
  void decode(Source& source, View& view) const;
  io::Image8 mask_of(const Source& source, const io::Image8& rgba, const Lens& lens) const;

  const Dataset& set_;
  const PosedImagesOptions& options_;
  std::vector<std::string> missing_;
  bool has_alpha_ = false;
  size_t n_bytes_ = 0;
  size_t n_scaled_ = 0, n_turned_ = 0, n_not_turned_ = 0, n_hidden_whole_ = 0;
  std::string scaled_example_;
  size_t n_with_mask_ = 0, n_silhouettes_ = 0, n_dynamic_ = 0;
  double transparent_border_ = 0;  // sum over images with a mask
};

}  // namespace t3d::data
