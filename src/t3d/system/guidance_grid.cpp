#include "t3d/system/guidance_grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "t3d/io/draw_text.h"
#include "t3d/io/image_grid.h"
#include "t3d/system/system.h"

namespace t3d::system {
namespace {

/// Below this a picture is shown enlarged, so that its text can be read.
constexpr int kLeastSide = 96;

std::string number(const char* pattern, double value) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

double angle(const at::Tensor& angles, int64_t row) {
  return angles.defined() ? angles[row].item<double>() : 0;
}

}  // namespace

io::Image8 guidance_grid(const guidance::GuidancePictures& pictures, const guidance::ViewAngles& views,
                         const guidance::PromptEmbeddings& prompt) {
  const int64_t n = pictures.rendered.size(0);
  const auto side = static_cast<int>(std::max(pictures.noisy.size(1), pictures.noisy.size(2)));
  std::vector<std::vector<io::Image8>> rows;
  for (int64_t i = 0; i < n; ++i) {
    std::vector<io::Image8> row;
    for (const at::Tensor* column :
         {&pictures.rendered, &pictures.noisy, &pictures.one_step, &pictures.clean, &pictures.denoised})
      row.push_back(io::picture_of_rgb(to_image((*column)[i])));
    rows.push_back(std::move(row));
  }
  const int shown_side = std::max(side, kLeastSide);
  io::Image8 grid = io::picture_grid(rows, shown_side);
  const int scale = std::max(1, shown_side / 256);
  for (int64_t i = 0; i < n; ++i) {
    const double elevation = angle(views.elevation_deg, i), azimuth = angle(views.azimuth_deg, i);
    const auto direction = prompt.direction(static_cast<float>(elevation), static_cast<float>(azimuth));
    const int top = static_cast<int>(i) * shown_side;
    io::draw_text(grid, 0, top,
                  cat(number("n%.2f ", pictures.noise_level[static_cast<size_t>(i)]),
                      guidance::kDirectionNames[static_cast<size_t>(direction)]),
                  scale);
    io::draw_text(grid, 0, top + io::kLineHeight * scale,
                  number("e%.0f", elevation) + number(" a%.0f", azimuth) +
                      (views.distance.defined() ? number(" c%.1f", angle(views.distance, i)) : ""),
                  scale);
  }
  return grid;
}

}  // namespace t3d::system
