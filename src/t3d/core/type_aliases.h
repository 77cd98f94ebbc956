#pragma once

#include <string>

namespace t3d {

/// The other name of a type that MVDream's own repository and threestudio's extension for it name
/// differently: the extension writes "mvdream-" in front ("mvdream-random-multiview-camera-datamodule").
/// Either gives the other; empty for types of other families.
std::string type_alias(const std::string& name);

}  // namespace t3d
