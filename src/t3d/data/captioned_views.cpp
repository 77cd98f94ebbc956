#include "t3d/data/captioned_views.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/io/safetensors.h"

namespace t3d::data {
namespace {

constexpr const char* kFormat = "captioned-views-1";

at::Tensor checked(const io::SafetensorsFile& file, const char* name, at::ScalarType type, int64_t n_dims) {
  if (!file.contains(name))
    throw UserError(cat(file.path(), ": has no tensor ", name, ". Make the set again with t3d toybox data."));
  at::Tensor t = file.copy(name);
  if (t.scalar_type() != type || t.dim() != n_dims)
    throw UserError(cat(file.path(), ": ", name, " is ", t.sizes(), " of ", t.dtype().name(), ", expected ",
                        n_dims, " dimensions of ", at::toString(type), "."));
  return t;
}

}  // namespace

void write_captioned_views(const std::string& path, const CaptionedViews& views) {
  const auto n = static_cast<int64_t>(views.captions.size());
  T3D_CHECK(views.rgba.size(0) == n, views.rgba.sizes(), " for ", n, " captions");
  std::string text;
  auto start = at::empty({n + 1}, at::kLong);
  auto* begins = start.data_ptr<int64_t>();
  begins[0] = 0;
  for (int64_t i = 0; i < n; ++i) {
    text += views.captions[static_cast<size_t>(i)];
    begins[i + 1] = static_cast<int64_t>(text.size());
  }
  auto bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  io::write_safetensors(path,
                        {{"rgba", views.rgba},
                         {"camera_to_world", views.camera_to_world},
                         {"fov_deg", views.fov_deg},
                         {"caption_bytes", bytes},
                         {"caption_start", start}},
                        {{"format", kFormat}});
}

CaptionedViews read_captioned_views(const std::string& path) {
  const io::SafetensorsFile file(path);
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kFormat)
    throw UserError(cat(path, ": is no set of captioned views. Make one with t3d toybox data."));
  CaptionedViews out;
  out.rgba = checked(file, "rgba", at::kByte, 5);
  out.camera_to_world = checked(file, "camera_to_world", at::kFloat, 4);
  out.fov_deg = checked(file, "fov_deg", at::kFloat, 2);
  const auto bytes = checked(file, "caption_bytes", at::kByte, 1);
  const auto start = checked(file, "caption_start", at::kLong, 1);
  const int64_t n = out.rgba.size(0), n_views = out.rgba.size(1);
  if (out.rgba.size(2) != out.rgba.size(3) || out.rgba.size(4) != 4 || start.numel() != n + 1 ||
      out.camera_to_world.sizes() != at::IntArrayRef({n, n_views, 4, 4}) ||
      out.fov_deg.sizes() != at::IntArrayRef({n, n_views}))
    throw UserError(cat(path, ": rgba ", out.rgba.sizes(), " and camera_to_world ",
                        out.camera_to_world.sizes(), " do not fit together. Make the set again."));
  const auto* begins = start.data_ptr<int64_t>();
  const auto* text = reinterpret_cast<const char*>(bytes.data_ptr<uint8_t>());
  for (int64_t i = 0; i < n; ++i) {
    if (begins[i] < 0 || begins[i + 1] < begins[i] || begins[i + 1] > bytes.numel())
      throw UserError(cat(path, ": caption ", i, " lies outside of the file's text. Make the set again."));
    out.captions.emplace_back(text + begins[i], text + begins[i + 1]);
  }
  return out;
}

std::string shard_path(const std::string& folder, int64_t index) {
  char name[40];
  std::snprintf(name, sizeof name, "shard-%05lld.safetensors", static_cast<long long>(index));
  return (std::filesystem::path(folder) / name).string();
}

std::vector<std::string> list_shards(const std::string& folder) {
  std::vector<std::string> paths;
  if (!std::filesystem::exists(folder))
    throw SystemError(cat(folder,
                          ": there is no such folder, expected one with shard-*.safetensors. Make a set with "
                          "t3d toybox data -o ",
                          folder, "."));
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.rfind("shard-", 0) == 0 && entry.path().extension() == ".safetensors")
        paths.push_back(entry.path().string());
    }
  if (paths.empty())
    throw UserError(
        cat(folder, ": holds no shard-*.safetensors. Make a set with t3d toybox data -o ", folder, "."));
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace t3d::data
