#pragma once

#include "t3d/core/config/node.h"

namespace t3d::config {

/// Replaces every `${...}` below `root`:
///
///   ${a.b.c} ${a[0].b}   the value at a key, from the top        ${.x} ${..x}   from the block it stands in,
///   or above
///   ${f:x,"y",${a}}      a resolver's result                     \${            the three characters ${
///
/// A text that is nothing but one interpolation takes the value with its type; inside of other text a value
/// is put as Python's str() prints it. Throws UserError, with the place, for a missing key, a mandatory one
/// (???), a circle, text that does not parse, and results that grow beyond a million values.
void resolve_interpolations(Node& root);

}  // namespace t3d::config
