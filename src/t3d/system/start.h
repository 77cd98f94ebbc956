#pragma once

#include "t3d/system/system.h"

namespace t3d::system {

/// What a run that does not resume begins with, where its configuration names something that was saved:
///
///   PART.weights: PATH:NAME     all tensors of a part (guidance, too), from those of NAME there
///   system.weights: PATH        what has the same name and shape, but for weights_ignore_modules
///   geometry_convert_from: PATH  the geometry of an earlier run, built from its configs/parsed.yaml with
///                               geometry_convert_override; not together with system.weights
///
/// Paths are those of read_saved_weights. What follows the step (levels of a hash grid) is brought to the
/// step that was saved. Returns whether anything was named. Throws UserError when nothing fits.
bool start_from_saved(System& system);

}  // namespace t3d::system
