#pragma once

#include <string>
#include <vector>

#include "t3d/io/mesh.h"
#include "t3d/toybox/caption.h"

namespace t3d::toybox {

/// Objects lie within this distance of the origin.
constexpr float kObjectRadius = 0.6f;

/// What a part of an object is called, and the colour it got.
struct NamedPart {
  std::string name;    ///< the kind's name for what has the first colour
  std::string colour;  ///< palette name; empty: a colour that captions do not tell
  Vec3f srgb;
  Box3f bounds;  ///< in the finished object
};

struct ToyObject {
  io::Mesh mesh;  ///< z up, front on +x; sRGB vertex colours, one material per finish
  std::vector<NamedPart> parts;
  Description description;  ///< with the colours that the caption left open
};

/// One of the objects that a description stands for, a function of the arguments alone.
ToyObject make_object(const Description& description, uint64_t seed);

}  // namespace t3d::toybox
