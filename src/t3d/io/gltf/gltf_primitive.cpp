#include "t3d/io/gltf/gltf_primitive.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::io::gltf {
namespace {

constexpr uint64_t kTriangles = 4, kStrip = 5, kFan = 6;
constexpr size_t kMaxJointSets = 16;

Vec3d vector_at(const Accessor& accessor, uint64_t i) {
  return {accessor.at(i, 0), accessor.at(i, 1), accessor.at(i, 2)};
}

float srgb_from_linear(double v) {
  const double c = std::isnan(v) ? 0.0 : std::clamp(v, 0.0, 1.0);
  return static_cast<float>(c <= 0.0031308 ? 12.92 * c : 1.055 * std::pow(c, 1 / 2.4) - 0.055);
}

}  // namespace

Primitive::Primitive(Buffers& buffers, const Value& source, const std::vector<int>& uv_sets,
                     const Value& morph_weights)
    : place_(source.place()) {
  mode_ = source["mode"].whole_or(kTriangles);
  if (mode_ > kFan) source["mode"].refuse(cat("is ", mode_, ", expected 0 to 6"));
  const Value attributes = source["attributes"];
  if (mode_ < kTriangles || !attributes["POSITION"].exists()) return;
  if (source.extension("KHR_draco_mesh_compression").exists()) {
    const Value accessors = buffers.document().root()["accessors"];
    if (!accessors[attributes["POSITION"].index(accessors.size())]["bufferView"].exists())
      throw UserError(
          cat(place_,
              " is compressed by KHR_draco_mesh_compression, which is not read. Export it without "
              "mesh compression."));
  }
  positions_ = Accessor(buffers, attributes["POSITION"]);
  if (positions_.n_components() != 3) attributes["POSITION"].refuse("names an accessor that is not VEC3");
  if (source["indices"].exists()) indices_ = Accessor(buffers, source["indices"]);
  normals_ = attribute(buffers, attributes, "NORMAL", 3, 3);
  colours_ = attribute(buffers, attributes, "COLOR_0", 3, 4);
  colours_.assume_normalized();
  for (size_t set = 0; set < uv_sets.size(); ++set)
    uvs_[set] = attribute(buffers, attributes, cat("TEXCOORD_", uv_sets[set]), 2, 2);
  for (size_t set = 0; set < kMaxJointSets; ++set) {
    const Accessor joints = attribute(buffers, attributes, cat("JOINTS_", set), 4, 4);
    Accessor weights = attribute(buffers, attributes, cat("WEIGHTS_", set), 4, 4);
    if (!joints.exists() || !weights.exists()) break;
    weights.assume_normalized();
    joints_.push_back(joints);
    weights_.push_back(weights);
  }
  const Value targets = source["targets"];
  for (size_t t = 0; t < std::min(targets.size(), morph_weights.size()); ++t) {
    Target target;
    target.weight = morph_weights[t].number();
    if (target.weight == 0) continue;
    target.positions = attribute(buffers, targets[t], "POSITION", 3, 3);
    target.normals = attribute(buffers, targets[t], "NORMAL", 3, 3);
    target.colours = attribute(buffers, targets[t], "COLOR_0", 3, 4);
    target.colours.assume_normalized();
    for (size_t set = 0; set < uv_sets.size(); ++set)
      target.uvs[set] = attribute(buffers, targets[t], cat("TEXCOORD_", uv_sets[set]), 2, 2);
    targets_.push_back(std::move(target));
  }
}

Accessor Primitive::attribute(Buffers& buffers, const Value& attributes, const std::string& name, int n_least,
                              int n_most) const {
  const Value index = attributes[name.c_str()];
  if (!index.exists()) return {};
  Accessor found(buffers, index);
  if (found.n_components() < n_least || found.n_components() > n_most)
    index.refuse(cat("names an accessor of ", found.n_components(), " components"));
  if (found.count() != positions_.count())
    index.refuse(cat("has ", found.count(), " elements where POSITION has ", positions_.count()));
  return found;
}

uint64_t Primitive::n_corners() const {
  if (!has_triangles()) return 0;
  const uint64_t n = n_sequence();
  if (mode_ == kTriangles) return n / 3 * 3;
  return n < 3 ? 0 : 3 * (n - 2);
}

uint64_t Primitive::n_left_over() const {
  return has_triangles() && mode_ == kTriangles ? n_sequence() % 3 : 0;
}

uint32_t Primitive::corner(uint64_t i) const {
  if (mode_ != kTriangles) {
    const uint64_t triangle = i / 3, k = i % 3;
    if (mode_ == kFan) {
      i = k == 2 ? 0 : triangle + 1 + k;
    } else {
      const uint64_t is_odd = triangle % 2;
      i = k == 0 ? triangle : k == 1 ? triangle + 1 + is_odd : triangle + 2 - is_odd;
    }
  }
  return indices_.exists() ? indices_.whole(i) : static_cast<uint32_t>(i);
}

Mat4d Primitive::placement(uint64_t i, const Mat4d& to_world, const std::vector<Mat4d>* skin) const {
  if (skin == nullptr || joints_.empty()) return to_world;
  Mat4d sum = Mat4d::Zero();
  double total = 0;
  for (size_t set = 0; set < joints_.size(); ++set)
    for (int c = 0; c < 4; ++c) {
      const double weight = weights_[set].at(i, c);
      if (weight == 0) continue;
      const uint32_t joint = joints_[set].whole(i, c);
      if (joint >= skin->size())
        throw UserError(cat(place_, ": vertex ", i, " hangs on joint ", joint, " but its skin has ",
                            skin->size(), ". Export the file again."));
      sum += weight * (*skin)[joint];
      total += weight;
    }
  if (total != 0) return sum / total;
  return skin->empty() ? to_world : (*skin)[std::min<size_t>(joints_[0].whole(i, 0), skin->size() - 1)];
}

Vertex Primitive::vertex(uint64_t i, const Mat4d& placement) const {
  Vec3d position = vector_at(positions_, i);
  Vec3d normal = normals_.exists() ? vector_at(normals_, i) : Vec3d(Vec3d::Zero());
  Eigen::Vector4d colour = Eigen::Vector4d::Ones();
  for (int c = 0; c < colours_.n_components(); ++c) colour[c] = colours_.at(i, c);
  std::array<Eigen::Vector2d, kMaxUvSets> uvs;
  for (size_t set = 0; set < uvs.size(); ++set)
    uvs[set] =
        uvs_[set].exists() ? Eigen::Vector2d(uvs_[set].at(i, 0), uvs_[set].at(i, 1)) : Eigen::Vector2d(0, 0);
  for (const Target& target : targets_) {
    if (target.positions.exists()) position += target.weight * vector_at(target.positions, i);
    if (target.normals.exists() && normals_.exists()) normal += target.weight * vector_at(target.normals, i);
    for (int c = 0; c < target.colours.n_components(); ++c)
      colour[c] += target.weight * target.colours.at(i, c);
    for (size_t set = 0; set < uvs.size(); ++set)
      if (target.uvs[set].exists())
        uvs[set] += target.weight * Eigen::Vector2d(target.uvs[set].at(i, 0), target.uvs[set].at(i, 1));
  }
  Vertex out;
  out.position = (placement * position.homogeneous()).head<3>();
  const Eigen::Matrix3d linear = placement.block<3, 3>(0, 0);
  // The cofactors are the inverse transpose times the determinant; they exist for flat scales too.
  Eigen::Matrix3d cofactors;
  cofactors << linear.col(1).cross(linear.col(2)), linear.col(2).cross(linear.col(0)),
      linear.col(0).cross(linear.col(1));
  out.normal = cofactors * normal.stableNormalized() * (linear.determinant() < 0 ? -1 : 1);
  out.normal = out.normal.stableNormalized();
  if (!out.normal.allFinite()) out.normal = Vec3d::Zero();
  for (size_t set = 0; set < uvs.size(); ++set) {
    const Vec2f uv =
        Eigen::Vector2d(uvs[set].x(), 1 - uvs[set].y()).cast<float>();  // the file counts v from the top
    out.uvs[set] = uv.allFinite() ? uv : Vec2f(Vec2f::Zero());
  }
  for (int c = 0; c < 3; ++c) out.colour[c] = srgb_from_linear(colour[c]);
  out.alpha = std::isnan(colour[3]) ? 1.0f : static_cast<float>(std::clamp(colour[3], 0.0, 1.0));
  return out;
}

}  // namespace t3d::io::gltf
