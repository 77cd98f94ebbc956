#include <cmath>
#include <cstring>
#include <initializer_list>
#include <sstream>

#include "t3d/core/error.h"
#include "t3d/data/dataset.h"
#include "t3d/data/read_colmap.h"

namespace t3d::data {
namespace {

struct Model {
  int id;
  const char* name;
  int n_params;
};
// COLMAP's numbering. Models without a lens of ours are named only to say so.
constexpr Model kModels[] = {{0, "SIMPLE_PINHOLE", 3},
                             {1, "PINHOLE", 4},
                             {2, "SIMPLE_RADIAL", 4},
                             {3, "RADIAL", 5},
                             {4, "OPENCV", 8},
                             {5, "OPENCV_FISHEYE", 8},
                             {6, "FULL_OPENCV", 12},
                             {7, "FOV", 5},
                             {8, "SIMPLE_RADIAL_FISHEYE", 4},
                             {9, "RADIAL_FISHEYE", 5},
                             {10, "THIN_PRISM_FISHEYE", 12}};

/// Little-endian values from a file's bytes.
class Bytes {
 public:
  Bytes(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}
  template <class T>
  T take() {
    if (left() < sizeof(T)) fail("the file ends early; it was cut short. Copy it again.");
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string take_text() {
    const size_t end = bytes_.find('\0', at_);
    if (end == std::string_view::npos) fail("the file ends inside a name; it was cut short. Copy it again.");
    std::string text(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
  }
  void skip(uint64_t n_items, uint64_t item_bytes) {
    if (n_items > left() / item_bytes)
      fail(cat("a list of ", n_items, " entries is longer than the file; it was cut short or is damaged."));
    at_ += static_cast<size_t>(n_items * item_bytes);
  }
  /// A count of entries of at least `item_bytes` each.
  uint64_t take_count(uint64_t item_bytes) {
    const auto n = take<uint64_t>();
    if (n > left() / item_bytes)
      fail(cat("a list of ", n, " entries is longer than the file; it was cut short or is damaged."));
    return n;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ": byte ", at_, ": ", what));
  }
  std::string place() const { return cat(name_, ": byte ", at_); }

 private:
  size_t left() const { return bytes_.size() - at_; }
  std::string_view bytes_;
  const std::string& name_;
  size_t at_ = 0;
};

Lens make_lens(const Model& model, uint64_t width, uint64_t height, const std::vector<double>& p,
               const std::string& place) {
  if (width == 0 || height == 0 || width > 32768 || height > 32768)
    throw UserError(cat(place, ": the camera's image is ", width, "x", height,
                        " pixels; 1 to 32768 a side were expected."));
  for (const double v : p)
    if (!std::isfinite(v)) throw UserError(cat(place, ": a parameter of the camera is not finite."));
  Lens lens;
  lens.width = static_cast<int>(width);
  lens.height = static_cast<int>(height);
  const bool has_two_focals =
      model.id == 1 || model.id == 4 || model.id == 5 || model.id == 6 || model.id == 10;
  const size_t c = has_two_focals ? 2 : 1;
  lens.fx = static_cast<float>(p[0]);
  lens.fy = static_cast<float>(p[has_two_focals ? 1 : 0]);
  lens.cx = static_cast<float>(p[c]);
  lens.cy = static_cast<float>(p[c + 1]);
  if (!(lens.fx > 0) || !(lens.fy > 0))
    throw UserError(cat(place, ": the focal length is ", lens.fx, "; a positive number was expected."));
  // What follows the principal point, in the model's order.
  const auto distortion = [&](std::initializer_list<float*> to) {
    size_t i = c + 2;
    for (float* value : to) *value = static_cast<float>(p[i++]);
  };
  lens.is_fisheye = model.id == 5 || model.id >= 8;
  switch (model.id) {
    case 2:
    case 8:
      distortion({&lens.k1});
      break;
    case 3:
    case 9:
      distortion({&lens.k1, &lens.k2});
      break;
    case 4:
      distortion({&lens.k1, &lens.k2, &lens.p1, &lens.p2});
      break;
    case 5:
      distortion({&lens.k1, &lens.k2, &lens.k3, &lens.k4});
      break;
    case 6:
      distortion({&lens.k1, &lens.k2, &lens.p1, &lens.p2, &lens.k3, &lens.d1, &lens.d2, &lens.d3});
      break;
    case 10:
      distortion({&lens.k1, &lens.k2, &lens.p1, &lens.p2, &lens.k3, &lens.k4});
      break;
    default:
      break;
  }
  const bool has_prism = model.id == 10 && (p[10] != 0 || p[11] != 0);
  if (model.id == 7 || has_prism)
    throw UserError(
        cat(place, ": the camera model ", model.name, has_prism ? " with a thin prism (sx1, sy1)" : "",
            " is not supported. Undistort the images (colmap image_undistorter), or use OPENCV."));
  return lens;
}

Mat4d make_pose(const double q[4], const double t[3], const std::string& place) {
  const Eigen::Quaterniond rotation(q[0], q[1], q[2], q[3]);
  const double norm = rotation.norm();
  if (!(norm > 1e-6) || !std::isfinite(norm))
    throw UserError(cat(place, ": the rotation is no quaternion (all zero or not finite)."));
  const Eigen::Matrix3d world_from_camera = rotation.normalized().toRotationMatrix().transpose();
  Mat4d m = Mat4d::Identity();
  m.block<3, 3>(0, 0) = world_from_camera;
  m.block<3, 1>(0, 3) = -world_from_camera * Vec3d(t[0], t[1], t[2]);
  return flip_camera_axes(checked_pose(m, place));
}

constexpr const char* kBlanks = " \t\r\f\v";

/// Lines of a text file that are no comment, without blanks around them.
class Lines {
 public:
  Lines(std::string_view text, const std::string& name) : text_(text), name_(name) {
    if (text_.substr(0, 3) == "\xef\xbb\xbf") at_ = 3;  // byte-order mark
  }
  bool next(std::string& line) {
    while (at_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      line.assign(text_.substr(at_, end - at_));
      at_ = end + 1;
      ++number_;
      const size_t first = line.find_first_not_of(kBlanks);
      line = first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(kBlanks) + 1 - first);
      if (line.empty() || line[0] != '#') return true;
    }
    return false;
  }
  /// The line that next() gives after this one; empty at the end.
  std::string peek() const {
    Lines ahead = *this;
    std::string line;
    return ahead.next(line) ? line : std::string();
  }
  std::string place() const { return cat(name_, ":", number_); }

 private:
  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  int number_ = 0;
};

/// Whether a line of images.txt can be a list of points, X, Y, POINT3D_ID, ...: numbers alone, or nothing.
bool can_be_points(const std::string& line) {
  std::istringstream in(line);
  size_t n_words = 0;
  for (std::string word; in >> word; ++n_words)
    if (word.find_first_not_of("0123456789+-.eE") != std::string::npos) return false;
  return n_words % 3 == 0;
}

std::map<uint32_t, Lens> parse_cameras_text(std::string_view text, const std::string& name) {
  std::map<uint32_t, Lens> out;
  Lines lines(text, name);
  for (std::string line; lines.next(line);) {
    if (line.empty()) continue;
    std::istringstream in(line);
    uint32_t id = 0;
    std::string model_name;
    uint64_t width = 0, height = 0;
    if (!(in >> id >> model_name >> width >> height))
      throw UserError(cat(lines.place(), ": CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS were expected."));
    const Model* model = nullptr;
    for (const Model& m : kModels)
      if (model_name == m.name) model = &m;
    if (model == nullptr)
      throw UserError(cat(lines.place(), ": the camera model ", model_name,
                          " is not known. Undistort the images (colmap image_undistorter), or "
                          "use OPENCV."));
    std::vector<double> p(static_cast<size_t>(model->n_params));
    for (double& v : p)
      if (!(in >> v))
        throw UserError(cat(lines.place(), ": the model ", model->name, " has ", model->n_params,
                            " parameters; some are missing."));
    out[id] = make_lens(*model, width, height, p, lines.place());
  }
  return out;
}

}  // namespace

std::map<uint32_t, Lens> parse_colmap_cameras(std::string_view bytes, const std::string& name, bool is_text) {
  if (is_text) return parse_cameras_text(bytes, name);
  std::map<uint32_t, Lens> out;
  Bytes in(bytes, name);
  const uint64_t n = in.take_count(24);
  for (uint64_t i = 0; i < n; ++i) {
    const std::string place = in.place();
    const auto id = in.take<uint32_t>();
    const auto model_id = in.take<int32_t>();
    const auto width = in.take<uint64_t>(), height = in.take<uint64_t>();
    if (model_id < 0 || model_id > 10)
      in.fail(cat("the camera model ", model_id,
                  " is not supported; COLMAP's models 0 to 10 are, without FOV. "
                  "Undistort the images (colmap image_undistorter), or use OPENCV."));
    const Model& model = kModels[model_id];
    std::vector<double> p(static_cast<size_t>(model.n_params));
    for (double& v : p) v = in.take<double>();
    out[id] = make_lens(model, width, height, p, place);
  }
  return out;
}

std::vector<ColmapImage> parse_colmap_images(std::string_view bytes, const std::string& name, bool is_text) {
  std::vector<ColmapImage> out;
  double q[4], t[3];
  if (is_text) {
    Lines lines(bytes, name);
    for (std::string line; lines.next(line);) {
      if (line.empty()) continue;
      std::istringstream in(line);
      ColmapImage image;
      uint32_t id = 0;
      if (!(in >> id >> q[0] >> q[1] >> q[2] >> q[3] >> t[0] >> t[1] >> t[2] >> image.camera_id))
        throw UserError(
            cat(lines.place(), ": IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME were expected."));
      std::getline(in >> std::ws, image.name);
      check_file_name(image.name, lines.place());
      image.camera_to_world = make_pose(q, t, lines.place());
      out.push_back(std::move(image));
      // The image's points; the line may be empty, and some programs leave it away.
      if (can_be_points(lines.peek())) lines.next(line);
    }
    return out;
  }
  Bytes in(bytes, name);
  const uint64_t n = in.take_count(73);
  for (uint64_t i = 0; i < n; ++i) {
    const std::string place = in.place();
    ColmapImage image;
    in.take<uint32_t>();
    for (double& v : q) v = in.take<double>();
    for (double& v : t) v = in.take<double>();
    image.camera_id = in.take<uint32_t>();
    image.name = in.take_text();
    check_file_name(image.name, place);
    in.skip(in.take<uint64_t>(), 24);
    image.camera_to_world = make_pose(q, t, place);
    out.push_back(std::move(image));
  }
  return out;
}

std::vector<Vec3d> parse_colmap_points(std::string_view bytes, const std::string& name, bool is_text) {
  std::vector<Vec3d> out;
  const auto add = [&](const Vec3d& p, const std::string& place) {
    if (!p.allFinite()) throw UserError(cat(place, ": a point's position is not finite."));
    out.push_back(p);
  };
  if (is_text) {
    Lines lines(bytes, name);
    for (std::string line; lines.next(line);) {
      if (line.empty()) continue;
      std::istringstream in(line);
      uint64_t id = 0;
      Vec3d p;
      if (!(in >> id >> p[0] >> p[1] >> p[2]))
        throw UserError(cat(lines.place(), ": POINT3D_ID, X, Y, Z were expected."));
      add(p, lines.place());
    }
    return out;
  }
  Bytes in(bytes, name);
  const uint64_t n = in.take_count(51);
  for (uint64_t i = 0; i < n; ++i) {
    const std::string place = in.place();
    in.take<uint64_t>();
    Vec3d p;
    for (int k = 0; k < 3; ++k) p[k] = in.take<double>();
    in.skip(1, 11);  // colour and error
    in.skip(in.take<uint64_t>(), 8);
    add(p, place);
  }
  return out;
}

}  // namespace t3d::data
