#pragma once

#include <optional>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/math/camera.h"
#include "t3d/math/vec.h"

/// Measures of pictures with alpha: sRGB, straight alpha. A pixel belongs to the object where alpha > 0.5.
namespace t3d::evaluate {

/// Intersection over union of two objects' pixels, averaged over the views; both must have the same views in
/// the same sizes. A view in which both are empty counts 0.
double silhouette_iou(const std::vector<io::Image8>& a, const std::vector<io::Image8>& b);

/// How colourful an object is: the mean over its pixels, of all views together, of the chroma
///   C = sqrt(a^2 + b^2)
/// in CIE L*a*b* (CIE 15:2004, eq. 8.13; white D65). 0: grey; pure red 105. None when no view shows it.
std::optional<double> mean_chroma(const std::vector<io::Image8>& views);

/// The camera that sees an object as `camera` would see it once it was moved so that the centre of its box
/// `from` lies on that of `to`, and scaled so that the boxes' longest sides are equal.
Camera camera_for_fitted(const Camera& camera, const Box3f& from, const Box3f& to);

}  // namespace t3d::evaluate
