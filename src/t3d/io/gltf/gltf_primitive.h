#pragma once

#include <array>
#include <vector>

#include "t3d/io/gltf/gltf_accessor.h"
#include "t3d/io/mesh.h"

namespace t3d::io::gltf {

/// One vertex in the world, y up; `normal` is zero where the file has none.
struct Vertex {
  Vec3d position, normal;
  std::array<Vec2f, kMaxUvSets> uvs;
  Vec3f colour;  // sRGB
  float alpha;
};

/// A primitive of a mesh: its triangles, and its vertices with morph targets and skin applied.
class Primitive {
 public:
  /// `uv_sets`: the TEXCOORD_n of each set of the vertices' texture coordinates; `morph_weights` need not
  /// exist. Throws UserError (attributes that do not fit each other, data compressed by Draco).
  Primitive(Buffers& buffers, const Value& source, const std::vector<int>& uv_sets,
            const Value& morph_weights);

  const std::string& place() const { return place_; }
  bool has_triangles() const { return mode_ >= 4 && positions_.exists(); }
  uint64_t n_vertices() const { return positions_.count(); }
  /// Corners of its triangles, and of those that a list leaves over.
  uint64_t n_corners() const;
  uint64_t n_left_over() const;
  /// Vertices of corner i, with strips and fans taken apart. May be above n_vertices() in a broken file.
  uint32_t corner(uint64_t i) const;

  bool has_colours() const { return colours_.exists(); }
  bool has_alphas() const { return colours_.n_components() == 4; }
  bool has_uvs(size_t set) const { return uvs_[set].exists(); }
  bool has_skin() const { return !joints_.empty(); }

  /// What moves vertex i: `to_world`, or the joints that it hangs on where there are any.
  Mat4d placement(uint64_t i, const Mat4d& to_world, const std::vector<Mat4d>* skin) const;
  Vertex vertex(uint64_t i, const Mat4d& placement) const;

 private:
  struct Target {
    double weight;
    Accessor positions, normals, colours;
    std::array<Accessor, kMaxUvSets> uvs;
  };
  Accessor attribute(Buffers& buffers, const Value& attributes, const std::string& name, int n_least,
                     int n_most) const;
  uint64_t n_sequence() const { return indices_.exists() ? indices_.count() : positions_.count(); }

  std::string place_;
  uint64_t mode_ = 4;
  Accessor indices_, positions_, normals_, colours_;
  std::array<Accessor, kMaxUvSets> uvs_;
  std::vector<Accessor> joints_, weights_;
  std::vector<Target> targets_;
};

}  // namespace t3d::io::gltf
