#include "t3d/field/sdf_shape.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"
#include "t3d/field/mesh_distance.h"

namespace t3d::field {
namespace {

Vec3f axis_named(const std::string& name, const std::string& key) {
  if (name.size() == 2 && (name[0] == '+' || name[0] == '-') && name[1] >= 'x' && name[1] <= 'z')
    return (name[0] == '+' ? 1.f : -1.f) * Vec3f::Unit(name[1] - 'x');
  throw UserError(cat("geometry.", key, " is ", name, ", expected +x, -x, +y, -y, +z or -z."));
}

const std::string kMeshPrefix = "mesh:";

bool names_mesh(const ShapeInitConfig& config) {
  return config.shape_init->rfind(kMeshPrefix, 0) == 0;
}

float mesh_size(const ShapeInitConfig& config) {
  const config::Node& size = config.shape_init_params;
  const char* const where = "geometry.shape_init_params";
  if (!size.is_int() && !size.is_float()) config::reject(size, where, "the mesh's size, a number");
  return config::Codec<float>::read(size, where, config::positive());
}

}  // namespace

ShapeFunction analytic_shape(const std::string& kind, const config::Node& params, const std::string& where) {
  const std::string at = where + "_params";
  if (kind == "sphere") {
    if (!params.is_int() && !params.is_float()) config::reject(params, at, "the sphere's radius, a number");
    const double radius = config::to_float(params, at);
    return [radius](const at::Tensor& x) { return x.norm(2, at::IntArrayRef{-1}, true) - radius; };
  }
  if (kind == "ellipsoid") {
    const auto axes = config::Codec<std::array<float, 3>>::read(params, at, config::positive());
    return [axes](const at::Tensor& x) {
      const auto size = at::tensor(at::ArrayRef<float>(axes)).to(x.device());  // [3]
      return (x / size).norm(2, at::IntArrayRef{-1}, true) - 1;
    };
  }
  throw UserError(cat(where, ": there is no shape named ", kind,
                      end_or_suggestion(kind, {"sphere", "ellipsoid"}), " Use sphere or ellipsoid."));
}

ShapeFunction distance_to(const io::Mesh& mesh) {
  const auto distance = std::make_shared<MeshDistance>(mesh.positions, mesh.faces);
  return [distance](const at::Tensor& points) {
    const auto here = points.detach().to(at::kCPU, at::kFloat).contiguous();
    const auto n = static_cast<size_t>(here.size(0));
    std::vector<Vec3f> list(n);
    std::copy_n(here.data_ptr<float>(), 3 * n, list.data()->data());
    const auto out = at::empty({here.size(0), 1}, at::kFloat);
    (*distance)(n, list.data(), out.data_ptr<float>());
    return out.to(points.device());
  };
}

io::Mesh read_centred_mesh(const std::string& path, const io::ReadMeshOptions& options) {
  io::Mesh mesh = io::read_mesh(path, options);
  Vec3f mean = Vec3f::Zero();
  for (const Vec3f& v : mesh.positions) mean += v / static_cast<float>(mesh.positions.size());
  bool has_extent = false;
  for (Vec3f& v : mesh.positions) {
    v -= mean;
    has_extent = has_extent || v.cwiseAbs().maxCoeff() > 0;
  }
  if (!has_extent) throw UserError(cat(path, ": all vertices are in one place. Name another mesh."));
  return mesh;
}

io::Mesh read_shape_mesh(const std::string& path, float scale, const std::string& up,
                         const std::string& front) {
  const Vec3f z = axis_named(up, "shape_init_mesh_up"), x = axis_named(front, "shape_init_mesh_front");
  if (z.dot(x) != 0)
    throw UserError(cat("geometry.shape_init_mesh_front is ", front, " and shape_init_mesh_up ", up,
                        ", expected two different axes."));
  io::ReadMeshOptions read;
  read.up = io::UpAxis::Z;  // leaves coordinates alone
  read.load_textures = false;
  io::Mesh mesh = read_centred_mesh(path, read);
  float largest = 0;
  for (const Vec3f& v : mesh.positions) largest = std::max(largest, v.cwiseAbs().maxCoeff());
  Mat3f to_file;
  to_file << x, z.cross(x), z;  // columns: where +x, +y, +z are in the file
  for (Vec3f& v : mesh.positions) v = to_file.transpose() * v * (scale / largest);
  return mesh;
}

ShapeFunction mesh_shape(const std::string& path, float scale, const std::string& up,
                         const std::string& front) {
  return distance_to(read_shape_mesh(path, scale, up, front));
}

std::optional<io::Mesh> initial_mesh(const ShapeInitConfig& config) {
  if (!names_mesh(config)) return std::nullopt;
  return read_shape_mesh(config.shape_init->substr(kMeshPrefix.size()), mesh_size(config),
                         config.shape_init_mesh_up, config.shape_init_mesh_front);
}

ShapeFunction initial_shape(const ShapeInitConfig& config) {
  if (const auto mesh = initial_mesh(config)) return distance_to(*mesh);
  return analytic_shape(*config.shape_init, config.shape_init_params, "geometry.shape_init");
}

void check_initial_shape(const ShapeInitConfig& config) {
  if (names_mesh(config))
    mesh_size(config);
  else
    initial_shape(config);
}

}  // namespace t3d::field
