#ifdef T3D_HAS_TIFF
#include <tiffio.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/io/image_libraries.h"

namespace t3d::io {

#ifndef T3D_HAS_TIFF

LibraryImageInfo tiff_info(const EncodedImage& file) {
  throw UserError(cat(file.name,
                      ": this is a TIFF image, and this build has no libtiff. Install libtiff-dev and "
                      "build again, or convert it to PNG."));
}
Image8 decode_tiff(const EncodedImage& file) {
  tiff_info(file);
  return {};
}

#else

namespace {

/// libtiff's view of bytes in memory, and what it complains about.
struct Memory {
  const uint8_t* bytes;
  toff_t n, at = 0;
  std::string complaint;
};

tmsize_t read(thandle_t handle, void* out, tmsize_t n) {
  auto& m = *static_cast<Memory*>(handle);
  if (m.at >= m.n || n <= 0) return 0;
  const auto k = std::min<toff_t>(static_cast<toff_t>(n), m.n - m.at);
  std::memcpy(out, m.bytes + m.at, static_cast<size_t>(k));
  m.at += k;
  return static_cast<tmsize_t>(k);
}
tmsize_t write(thandle_t, void*, tmsize_t) {
  return 0;
}
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto& m = *static_cast<Memory*>(handle);
  m.at = offset + (whence == SEEK_CUR ? m.at : whence == SEEK_END ? m.n : 0);
  return m.at;
}
int close(thandle_t) {
  return 0;
}
toff_t size(thandle_t handle) {
  return static_cast<Memory*>(handle)->n;
}

/// The first complaint is the cause. It comes with the handle that the file was opened with.
void note(thandle_t handle, const char*, const char* format, va_list arguments) {
  if (handle == nullptr) return;
  auto& m = *static_cast<Memory*>(handle);
  if (!m.complaint.empty()) return;
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  m.complaint = text;
}

struct Layout {
  uint32_t width = 0, height = 0;
  uint16_t depth = 1, samples = 1, photometric = 0, planar = 1, format = 1, alpha = 0;
  bool has_alpha = false, is_tiled = false;
  /// Samples that lie in memory as pixels do: the others go through libtiff's own conversion.
  bool is_direct() const {
    const bool is_plain = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE ||
                          photometric == PHOTOMETRIC_RGB;
    const bool is_number = (format == SAMPLEFORMAT_UINT && (depth == 8 || depth == 16)) ||
                           (format == SAMPLEFORMAT_IEEEFP && depth == 32);
    return is_plain && is_number && planar == PLANARCONFIG_CONTIG && samples <= 16;
  }
  int channels() const {
    const bool is_grey = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
    return (is_grey && is_direct() ? 1 : 3) + (has_alpha ? 1 : 0);
  }
};

class TiffFile {
 public:
  explicit TiffFile(const EncodedImage& file) : file_(file), memory_{file.bytes, file.n, 0, ""} {
    static const bool is_set = [] {
      TIFFSetErrorHandler(nullptr);
      TIFFSetWarningHandler(nullptr);
      TIFFSetErrorHandlerExt(note);
      return true;
    }();
    (void)is_set;
    tiff_.reset(TIFFClientOpen("image", "rm", &memory_, read, write, seek, close, size, nullptr, nullptr));
    if (tiff_ == nullptr) fail();
    read_layout();
  }

  [[noreturn]] void fail() const {
    throw UserError(cat(file_.name, ": this TIFF image cannot be decoded (",
                        memory_.complaint.empty() ? "it is damaged or cut short" : memory_.complaint,
                        "). Copy it again, or convert it to PNG."));
  }

  const Layout& layout() const { return layout_; }
  bool has_more() const { return TIFFLastDirectory(tiff_.get()) == 0; }

  Image8 decode() {
    Image8 image = layout_.is_direct() ? direct() : converted();
    if (layout_.has_alpha && (layout_.alpha == EXTRASAMPLE_ASSOCALPHA || !layout_.is_direct()))
      divide_by_alpha(image);
    return image;
  }

 private:
  void read_layout() {
    TIFF* t = tiff_.get();
    Layout& l = layout_;
    TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &l.width);
    TIFFGetField(t, TIFFTAG_IMAGELENGTH, &l.height);
    TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &l.depth);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &l.samples);
    TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &l.planar);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &l.format);
    if (TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &l.photometric) == 0)
      l.photometric = l.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    uint16_t n_extra = 0, *extra = nullptr;
    TIFFGetFieldDefaulted(t, TIFFTAG_EXTRASAMPLES, &n_extra, &extra);
    const int n_colours = l.photometric == PHOTOMETRIC_RGB ? 3 : 1;
    // Writers that say nothing about a fourth sample of RGB mean alpha.
    const bool is_alpha = n_extra > 0
                              ? extra[0] != EXTRASAMPLE_UNSPECIFIED || l.photometric == PHOTOMETRIC_RGB
                              : l.photometric == PHOTOMETRIC_RGB && l.samples == 4;
    l.has_alpha = is_alpha && l.samples == n_colours + 1;
    l.alpha = n_extra > 0 ? extra[0] : static_cast<uint16_t>(EXTRASAMPLE_UNASSALPHA);
    l.is_tiled = TIFFIsTiled(t) != 0;
  }

  uint8_t sample(const uint8_t* p, int i) const {
    if (layout_.depth == 8) return p[i];
    if (layout_.depth == 16) {
      uint16_t v;
      std::memcpy(&v, p + 2 * i, 2);
      return static_cast<uint8_t>(v >> 8);  // as 16-bit PNG is reduced
    }
    float v;
    std::memcpy(&v, p + 4 * i, 4);
    return v > 0 ? static_cast<uint8_t>(std::lround(255.0f * std::min(v, 1.0f))) : uint8_t{0};
  }

  /// One pixel's samples as the image's channels.
  void put(const uint8_t* p, uint8_t* out) const {
    const int n_colours = layout_.photometric == PHOTOMETRIC_RGB ? 3 : 1;
    for (int c = 0; c < n_colours; ++c) {
      const uint8_t v = sample(p, std::min<int>(c, layout_.samples - 1));
      out[c] = layout_.photometric == PHOTOMETRIC_MINISWHITE ? static_cast<uint8_t>(255 - v) : v;
    }
    if (layout_.has_alpha) out[n_colours] = sample(p, n_colours);
  }

  Image8 direct() {
    TIFF* t = tiff_.get();
    Image8 image(static_cast<int>(layout_.width), static_cast<int>(layout_.height), layout_.channels());
    const size_t n_bytes = size_t{layout_.samples} * layout_.depth / 8;
    if (!layout_.is_tiled) {
      std::vector<uint8_t> row(
          std::max<size_t>(static_cast<size_t>(TIFFScanlineSize(t)), n_bytes * layout_.width));
      for (uint32_t y = 0; y < layout_.height; ++y) {
        if (TIFFReadScanline(t, row.data(), y, 0) != 1) fail();
        for (uint32_t x = 0; x < layout_.width; ++x)
          put(&row[x * n_bytes], image.at(static_cast<int>(x), static_cast<int>(y)));
      }
      return image;
    }
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(t, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(t, TIFFTAG_TILELENGTH, &tile_height);
    const uint64_t n_tile = uint64_t{tile_width} * tile_height * n_bytes;
    if (n_tile == 0 || n_tile > (uint64_t{1} << 28) || static_cast<uint64_t>(TIFFTileSize(t)) < n_tile)
      fail();
    std::vector<uint8_t> tile(static_cast<size_t>(TIFFTileSize(t)));
    for (uint32_t top = 0; top < layout_.height; top += tile_height)
      for (uint32_t left = 0; left < layout_.width; left += tile_width) {
        if (TIFFReadTile(t, tile.data(), left, top, 0, 0) < 0) fail();
        for (uint32_t y = top; y < std::min(layout_.height, top + tile_height); ++y)
          for (uint32_t x = left; x < std::min(layout_.width, left + tile_width); ++x)
            put(&tile[(size_t{y - top} * tile_width + (x - left)) * n_bytes],
                image.at(static_cast<int>(x), static_cast<int>(y)));
      }
    return image;
  }

  /// Palettes, CMYK, YCbCr, single bits, separate planes: through libtiff's conversion to RGBA.
  Image8 converted() {
    TIFF* t = tiff_.get();
    uint16_t orientation = ORIENTATION_TOPLEFT;  // as stored: asked for in the file's own
    TIFFGetFieldDefaulted(t, TIFFTAG_ORIENTATION, &orientation);
    std::vector<uint32_t> raster(size_t{layout_.width} * layout_.height);
    if (TIFFReadRGBAImageOriented(t, layout_.width, layout_.height, raster.data(), orientation, 1) != 1)
      fail();
    Image8 image(static_cast<int>(layout_.width), static_cast<int>(layout_.height), layout_.channels());
    const auto n_channels = static_cast<size_t>(image.channels);
    for (size_t i = 0; i < raster.size(); ++i) {
      uint8_t* out = &image.pixels[i * n_channels];
      out[0] = static_cast<uint8_t>(TIFFGetR(raster[i]));
      out[1] = static_cast<uint8_t>(TIFFGetG(raster[i]));
      out[2] = static_cast<uint8_t>(TIFFGetB(raster[i]));
      if (n_channels == 4) out[3] = static_cast<uint8_t>(TIFFGetA(raster[i]));
    }
    return image;
  }

  static void divide_by_alpha(Image8& image) {
    const auto n = static_cast<size_t>(image.channels);
    for (size_t i = 0; i + n <= image.pixels.size(); i += n) {
      const int alpha = image.pixels[i + n - 1];
      for (size_t c = 0; c + 1 < n && alpha > 0; ++c)
        image.pixels[i + c] =
            static_cast<uint8_t>(std::min(255, (image.pixels[i + c] * 255 + alpha / 2) / alpha));
    }
  }

  const EncodedImage& file_;
  Memory memory_;
  std::unique_ptr<TIFF, void (*)(TIFF*)> tiff_{nullptr, TIFFClose};
  Layout layout_;
};

}  // namespace

LibraryImageInfo tiff_info(const EncodedImage& file) {
  const TiffFile tiff(file);
  LibraryImageInfo result;
  result.has_more = tiff.has_more();
  // Sides above the range of int are above every limit, too.
  result.info.width = static_cast<int>(std::min<uint32_t>(tiff.layout().width, 1u << 30));
  result.info.height = static_cast<int>(std::min<uint32_t>(tiff.layout().height, 1u << 30));
  result.info.channels = tiff.layout().channels();
  return result;
}

Image8 decode_tiff(const EncodedImage& file) {
  return TiffFile(file).decode();
}

#endif

}  // namespace t3d::io
