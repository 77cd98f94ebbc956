#pragma once

#include <utility>
#include <vector>

#include "t3d/io/gltf/gltf_buffers.h"

namespace t3d::io::gltf {

/// The numbers of one accessor, read one element at a time from where they lie in the file: strides, sparse
/// replacements, and integers that stand for [0,1] or [-1,1] are seen to. Takes no memory of the accessor's
/// size.
class Accessor {
 public:
  /// No elements.
  Accessor() = default;
  /// `index` names the accessor. Throws UserError when an element would lie outside its buffer view.
  Accessor(Buffers& buffers, const Value& index);

  bool exists() const { return n_components_ > 0; }
  uint64_t count() const { return count_; }
  int n_components() const { return n_components_; }
  const std::string& place() const { return place_; }
  /// Reads integers as fractions of their largest value even where the file does not say so.
  void assume_normalized();

  /// Component `c` of element `i`; 0 where the element has fewer.
  double at(uint64_t i, int c) const;
  /// A whole number: an index of a vertex or of a joint.
  uint32_t whole(uint64_t i) const { return whole(i, 0); }
  uint32_t whole(uint64_t i, int c) const;

 private:
  const uint8_t* element(uint64_t i) const;
  double component(const uint8_t* bytes) const;

  std::string place_;
  uint64_t count_ = 0;
  int type_ = 0, n_components_ = 0;
  bool is_normalized_ = false;
  size_t size_ = 0, stride_ = 0;   // of a component and from element to element, in bytes
  const uint8_t* data_ = nullptr;  // null: zeros
  std::vector<std::pair<uint32_t, const uint8_t*>> replaced_;  // sparse elements by index
};

}  // namespace t3d::io::gltf
