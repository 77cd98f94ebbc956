#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "t3d/data/posed_images.h"
#include "t3d/field/ngp_model.h"

namespace t3d::train {

struct NgpStats {
  double loss = 0;  ///< mean over rays and channels of the last step
  double psnr = 0;  ///< of the last step's rays
  int64_t n_rays = 0, n_samples = 0, n_used = 0;
};

/// A rendered view, colours over the background that was asked for.
struct NgpView {
  io::ImageF rgb;      ///< 3 channels
  io::ImageF opacity;  ///< 1 channel
  io::ImageF depth;    ///< 1 channel: sum of w t, scene units
};

/// One optimization step and the queries of an instant-NGP field, on one device. The same random draws on
/// every device: image, pixel, jitter and background of ray r at a step are functions of (seed, step, r); see
/// ngp_draw.h.
class NgpStepper {
 public:
  virtual ~NgpStepper() = default;

  /// One training step; step and ray count advance in state().
  virtual void step(double learning_rate) = 0;
  /// Of the last step; waits for the device.
  virtual NgpStats stats() = 0;
  /// A whole image. background: the colour behind it.
  virtual NgpView render(const Camera& camera, const Vec3f& background) = 0;
  /// Density at points [N,3] in scene space -> n floats.
  virtual void density(const float* points, int64_t n, float* sigma) = 0;
  /// Colour [N,3] at points seen along unit directions [N,3].
  virtual void colour(const float* points, const float* directions, int64_t n, float* rgb) = 0;
  /// The state on the CPU, for a checkpoint; waits for the device.
  virtual field::NgpState save() = 0;
  virtual void load(const field::NgpState& state) = 0;
  /// Bytes in use on the device, 0 for the CPU.
  virtual size_t device_bytes() const { return 0; }
  virtual int64_t steps_done() const = 0;
};

/// views: the training split, whose pixels are copied (the caller may free them).
std::unique_ptr<NgpStepper> make_ngp_stepper_cpu(const field::NgpConfig& config,
                                                 const std::vector<data::View>& views, float aabb_scale,
                                                 uint64_t seed);
/// Throws SystemError when this build or machine has no CUDA.
std::unique_ptr<NgpStepper> make_ngp_stepper_cuda(const field::NgpConfig& config,
                                                  const std::vector<data::View>& views, float aabb_scale,
                                                  uint64_t seed);
bool ngp_cuda_available();

}  // namespace t3d::train
