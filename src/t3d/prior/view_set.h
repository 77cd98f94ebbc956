#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>
#include <vector>

namespace t3d::prior {

/// Backgrounds are one grey each, from here to white.
constexpr float kDarkestGrey = 0.35f;

/// A whole folder of captioned views in memory, as 8-bit pictures on the device.
class ViewSet {
 public:
  /// `resolution`: what pictures are resized to, each colour weighted with its alpha; 0: as they are. One of
  /// several processes may hold a part alone: every n_parts-th file, from number `part` on; where there are
  /// fewer files than parts, each holds all. Throws UserError when shards differ in views or resolution.
  ViewSet(const std::string& folder, c10::Device device, int64_t resolution = 0, int64_t part = 0,
          int64_t n_parts = 1);

  int64_t n_objects() const { return rgba_.size(0); }
  int64_t n_views() const { return rgba_.size(1); }
  int64_t resolution() const { return rgba_.size(2); }
  const std::vector<std::string>& captions() const { return captions_; }
  const at::Tensor& camera_to_world() const { return camera_to_world_; }  ///< [N,V,4,4] on the CPU

  /// Pictures of views by flat index (object * n_views + view), [B] int64, before backgrounds of one grey
  /// each, [B] in [0,1]. Returns [B,3,R,R] float in [-1,1], where the set lies, or on `device`.
  at::Tensor pictures(const at::Tensor& index, const at::Tensor& grey) const;
  at::Tensor pictures(const at::Tensor& index, const at::Tensor& grey, c10::Device device) const;

 private:
  at::Tensor rgba_;  // [N,V,R,R,4]
  at::Tensor camera_to_world_;
  std::vector<std::string> captions_;
};

}  // namespace t3d::prior
