#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "t3d/raster/draw_image.h"

namespace t3d::raster::cpu {
namespace {

constexpr int64_t kTrianglesAtOnce = int64_t{1} << 17;  // bounds what is kept between the passes
constexpr int64_t kTrianglesOfPart = 2048;
constexpr int32_t kNotSnapped = std::numeric_limits<int32_t>::min();

struct Tiles {
  int32_t n_x, n_y;
  int64_t n() const { return int64_t{n_x} * n_y; }
};

/// Calls body(tile) for the tiles that the triangle may cover.
template <class Body>
void for_tiles(const Tiles& tiles, const Coverage& cover, const Body& body) {
  const int32_t x0 = cover.i0 / kTile, x1 = cover.i1 / kTile, y0 = cover.j0 / kTile, y1 = cover.j1 / kTile;
  if (x0 == x1 && y0 == y1) return body(int64_t{y0} * tiles.n_x + x0);
  for (int32_t y = y0; y <= y1; ++y)
    for (int32_t x = x0; x <= x1; ++x) {
      bool is_outside = false;
      for (int k = 0; k < 3; ++k) {  // at the corner where the edge's function is greatest
        const int64_t i = x * kTile + (cover.x[k] > 0 ? kTile - 1 : 0);
        const int64_t j = y * kTile + (cover.y[k] > 0 ? kTile - 1 : 0);
        is_outside |= cover.c[k] + cover.x[k] * i + cover.y[k] * j < 0;
      }
      if (!is_outside) body(int64_t{y} * tiles.n_x + x);
    }
}

/// A step through 0 .. n - 1 that meets each once and leaps far: threads take neighbouring turns, and most
/// triangles lie in neighbouring tiles.
int64_t scattering_step(int64_t n) {
  int64_t step = std::max<int64_t>(1, n * 5 / 8);
  while (std::gcd(step, n) != 1) ++step;
  return step;
}

template <class T>
std::vector<SnappedVertex> snap_vertices(const PixelGrid& grid, const T* pos, int64_t n_vertices) {
  std::vector<SnappedVertex> snapped(static_cast<size_t>(n_vertices));
  at::parallel_for(0, n_vertices, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      const ClipVertex vertex = clip_vertex(pos, v);
      snapped[v] = is_inside_guard(grid, vertex) ? snap(grid, vertex) : SnappedVertex{kNotSnapped, 0};
    }
  });
  return snapped;
}

/// The triangles of a part of the list that cover anything, in order, and how many of them each tile has.
struct Part {
  std::vector<DrawnTriangle> drawn;
  std::vector<int32_t> n_in_tile;
};

template <class T>
void set_up(const PixelGrid& grid, const T* pos, const SnappedVertex* snapped, const int32_t* tri,
            int64_t begin, int64_t end, std::vector<DrawnTriangle>& drawn) {
  for (int64_t f = begin; f < end; ++f) {
    const int32_t* v = tri + 3 * f;
    const SnappedVertex a = snapped[v[0]], b = snapped[v[1]], c = snapped[v[2]];
    const bool is_whole = a.x != kNotSnapped && b.x != kNotSnapped && c.x != kNotSnapped;
    Coverage cover;
    if (is_whole && !make_coverage(grid, a, b, c, cover)) continue;
    const ClipVertex vertex[3] = {clip_vertex(pos, v[0]), clip_vertex(pos, v[1]), clip_vertex(pos, v[2])};
    const auto add = [&](const Coverage& part) {
      drawn.push_back({part, depth_plane(grid, vertex, edge_lines(vertex)), static_cast<int32_t>(f + 1)});
    };
    is_whole ? add(cover) : for_clipped_parts(grid, vertex, add);
  }
}

}  // namespace

template <class T>
void draw_image(const PixelGrid& grid, const T* pos, int64_t n_vertices, const int32_t* tri, int64_t first,
                int64_t count, const DepthImage& image, const DepthImage* front) {
  const Tiles tiles{(grid.width + kTile - 1) / kTile, (grid.height + kTile - 1) / kTile};
  const DrawInTile draw = draw_in_tile();
  const int64_t step = scattering_step(tiles.n());
  const auto snapped = snap_vertices(grid, pos, n_vertices);
  std::vector<Part> parts;
  std::vector<int64_t> tile_start(static_cast<size_t>(tiles.n()) + 1);
  std::vector<const DrawnTriangle*> in_tiles;
  for (int64_t from = first; from < first + count; from += kTrianglesAtOnce) {
    const int64_t to = std::min(first + count, from + kTrianglesAtOnce);
    const int64_t n_parts = (to - from + kTrianglesOfPart - 1) / kTrianglesOfPart;
    parts.resize(static_cast<size_t>(n_parts));
    at::parallel_for(0, n_parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        Part& part = parts[p];
        part.drawn.clear();
        part.n_in_tile.assign(static_cast<size_t>(tiles.n()), 0);
        const int64_t start = from + p * kTrianglesOfPart;
        set_up(grid, pos, snapped.data(), tri, start, std::min(to, start + kTrianglesOfPart), part.drawn);
        for (const DrawnTriangle& t : part.drawn)
          for_tiles(tiles, t.cover, [&](int64_t tile) { ++part.n_in_tile[tile]; });
      }
    });
    // Each tile's triangles in the order of the list: part after part. Counts become places.
    int64_t n = 0;
    for (int64_t tile = 0; tile < tiles.n(); ++tile) {
      tile_start[tile] = n;
      for (Part& part : parts) {
        const int32_t in_part = part.n_in_tile[tile];
        part.n_in_tile[tile] = static_cast<int32_t>(n - tile_start[tile]);
        n += in_part;
      }
    }
    tile_start[tiles.n()] = n;
    in_tiles.resize(static_cast<size_t>(n));
    at::parallel_for(0, n_parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        for (const DrawnTriangle& t : parts[p].drawn)
          for_tiles(tiles, t.cover,
                    [&](int64_t tile) { in_tiles[tile_start[tile] + parts[p].n_in_tile[tile]++] = &t; });
    });
    at::parallel_for(0, tiles.n(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t turn = begin; turn < end; ++turn) {
        const int64_t tile = turn * step % tiles.n();
        for (int64_t at = tile_start[tile]; at < tile_start[tile + 1]; ++at)
          draw(*in_tiles[at], static_cast<int32_t>(tile % tiles.n_x) * kTile,
               static_cast<int32_t>(tile / tiles.n_x) * kTile, image, front);
      }
    });
  }
}

template void draw_image<float>(const PixelGrid&, const float*, int64_t, const int32_t*, int64_t, int64_t,
                                const DepthImage&, const DepthImage*);
template void draw_image<double>(const PixelGrid&, const double*, int64_t, const int32_t*, int64_t, int64_t,
                                 const DepthImage&, const DepthImage*);

}  // namespace t3d::raster::cpu
