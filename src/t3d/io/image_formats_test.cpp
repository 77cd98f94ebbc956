#include <gmock/gmock.h>
#include <gtest/gtest.h>

#ifdef T3D_HAS_WEBP
#include <webp/encode.h>
#endif

#include <cstring>

#include "t3d/core/error.h"
#include "t3d/io/exif.h"
#include "t3d/io/image.h"
#include "t3d/io/image_format.h"
#include "tests/support/exif_bytes.h"
#include "tests/support/format_table.h"
#include "tests/support/image_bytes.h"

namespace t3d::io {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Image8 decode(const std::string& bytes, int channels = 0, const std::string& name = "x") {
  return decode_image(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), name, channels);
}

std::string message_of(const std::string& bytes) {
  try {
    decode(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// 5x3 pixels of different colours; with four channels, one is half transparent.
Image8 picture(int channels) {
  Image8 image(5, 3, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(17 * i + 3);
  for (size_t i = 3; channels == 4 && i < image.pixels.size(); i += 4) image.pixels[i] = i == 7 ? 128 : 255;
  return image;
}
std::string pixels_of(const Image8& image) {
  return {image.pixels.begin(), image.pixels.end()};
}

/// Decodes to the picture, says its size from the header, and every file that is cut short is an error.
void expect_reads(const std::string& bytes, const Image8& wanted, size_t n_trailing = 0) {
  const Image8 image = decode(bytes);
  EXPECT_EQ(image.width, wanted.width);
  EXPECT_EQ(image.channels, wanted.channels);
  EXPECT_EQ(image.pixels, wanted.pixels);
  const Image8 four = decode(bytes, 4);
  ASSERT_EQ(four.pixels.size(), 4 * wanted.pixels.size() / static_cast<size_t>(wanted.channels));
  EXPECT_EQ(four.pixels[0], wanted.pixels[0]);
  const TemporaryFolder folder;
  write_text(folder / "named.png", bytes);  // the content counts
  EXPECT_EQ(read_image(folder / "named.png").pixels, wanted.pixels);
  const ImageInfo info = read_image_info(folder / "named.png");
  EXPECT_EQ(info.width, wanted.width);
  EXPECT_EQ(info.height, wanted.height);
  EXPECT_EQ(info.channels, wanted.channels);
  for (size_t n = 0; n + n_trailing < bytes.size(); ++n)
    EXPECT_THROW(decode(bytes.substr(0, n)), UserError) << n << " of " << bytes.size() << " bytes";
}

#ifdef T3D_HAS_WEBP
std::string webp_bytes(const Image8& image) {
  uint8_t* out = nullptr;
  const auto encode = image.channels == 4 ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB;
  const size_t n = encode(image.pixels.data(), image.width, image.height, image.width * image.channels, &out);
  const std::string bytes(reinterpret_cast<const char*>(out), n);
  WebPFree(out);
  return bytes;
}

/// Two frames, the second of which is `image` in negative.
std::string animated_webp_bytes(const Image8& image) {
  Image8 negative = image;
  for (size_t i = 0; i < negative.pixels.size(); ++i)
    if (i % 4 != 3) negative.pixels[i] = static_cast<uint8_t>(255 - negative.pixels[i]);
  std::string body = "WEBPVP8X";
  put_little(body, 10, 4), put_little(body, 0x12, 4);
  put_little(body, static_cast<uint64_t>(image.width - 1), 3),
      put_little(body, static_cast<uint64_t>(image.height - 1), 3);
  body += "ANIM";
  put_little(body, 6, 4), put_little(body, 0, 6);
  for (const Image8& frame : {image, negative}) {
    const std::string still = webp_bytes(frame).substr(12);  // its VP8L chunk
    body += "ANMF";
    put_little(body, 16 + still.size(), 4), put_little(body, 0, 6);
    put_little(body, static_cast<uint64_t>(image.width - 1), 3);
    put_little(body, static_cast<uint64_t>(image.height - 1), 3), put_little(body, 40, 3),
        put_little(body, 2, 1);
    body += still;
  }
  std::string out = "RIFF";
  put_little(out, body.size(), 4);
  return out + body;
}
#endif

TEST(Formats, Images) {
  run_format_cases(
      "images",
      {
          {"PNG of 8 bits: grey, grey with alpha, RGB, RGBA", "read",
           [] {
             for (int channels = 1; channels <= 4; ++channels) {
               const auto bytes = encode_png(picture(channels));
               expect_reads({bytes.begin(), bytes.end()}, picture(channels));
             }
           }},
          {"PNG of 16 bits", "read, reduced to 8 bits",
           [] {
             const Image8 image = picture(3);
             std::string rows;
             for (const uint8_t v : image.pixels) rows += {static_cast<char>(v), '\x7f'};
             expect_reads(png_bytes(5, 3, 16, 2, rows), image);
             expect_reads(png_bytes(1, 1, 16, 4, std::string("\x21\xff\x80\0", 4)), [] {
               Image8 grey(1, 1, 2);
               grey.pixels = {0x21, 0x80};
               return grey;
             }());
           }},
          {"PNG with a palette, with transparent entries, of 1, 2 or 4 bits", "read",
           [] {
             Image8 image(2, 1, 3), clear(2, 1, 4);
             image.pixels = {1, 2, 3, 200, 100, 50};
             clear.pixels = {1, 2, 3, 0, 200, 100, 50, 255};
             const std::string palette = "\x01\x02\x03\xc8\x64\x32";
             expect_reads(png_bytes(2, 1, 8, 3, std::string("\0\1", 2), {{"PLTE", palette}}), image);
             expect_reads(png_bytes(2, 1, 1, 3, "\x40", {{"PLTE", palette}}), image);
             expect_reads(png_bytes(2, 1, 4, 3, "\x01", {{"PLTE", palette}, {"tRNS", std::string(1, '\0')}}),
                          clear);
             Image8 bits(2, 1, 1);
             bits.pixels = {0, 170};
             expect_reads(png_bytes(2, 1, 2, 0, "\x20"), bits);
           }},
          {"JPEG: grey, RGB; CMYK of Adobe's programs", "read",
           [] {
             const Image8 one = decode(flat_jpeg_bytes({77}));
             EXPECT_EQ(one.channels, 1);
             EXPECT_EQ(one.pixels[9], 77);
             const auto bytes = encode_jpeg(picture(3));
             EXPECT_EQ(decode({bytes.begin(), bytes.end()}).channels, 3);
             const Image8 image = decode(cmyk_jpeg_bytes({0, 255, 255, 0}));
             ASSERT_EQ(image.channels, 3);
             EXPECT_NEAR(image.pixels[0], 255, 2);
             EXPECT_NEAR(image.pixels[1], 0, 2);
             EXPECT_NEAR(image.pixels[2], 0, 2);
             const Image8 grey = decode(cmyk_jpeg_bytes({0, 0, 0, 155}));
             for (int c = 0; c < 3; ++c) EXPECT_NEAR(grey.pixels[static_cast<size_t>(c)], 100, 2);
           }},
          {"JPEG: CMYK that does not say how its inks are meant", "refused, says what to do",
           [] {
             EXPECT_THAT(message_of(flat_jpeg_bytes({0, 255, 255, 0})), HasSubstr("CMYK"));
           }},
          {"WebP: lossy, lossless, with alpha; the first frame of an animation",
           "read where libwebp is built in",
           [] {
#ifdef T3D_HAS_WEBP
             expect_reads(webp_bytes(picture(3)), picture(3));
             expect_reads(webp_bytes(picture(4)), picture(4));
             EXPECT_EQ(decode(animated_webp_bytes(picture(4))).pixels, picture(4).pixels);
             uint8_t* out = nullptr;
             const Image8 flat(16, 16, 3);
             const size_t n = WebPEncodeRGB(flat.pixels.data(), 16, 16, 48, 90, &out);
             const Image8 lossy = decode({reinterpret_cast<const char*>(out), n});
             WebPFree(out);
             ASSERT_EQ(lossy.pixels.size(), flat.pixels.size());
             EXPECT_NEAR(lossy.pixels[300], 0, 3);
#else
             EXPECT_THAT(message_of(std::string("RIFF\4\0\0\0WEBPVP8L", 16)),
                         HasSubstr("Install libwebp-dev"));
#endif
           }},
          {"TIFF: 8 and 16 bits, float, grey, RGB, alpha (straight or not), both byte orders, palettes; the "
           "first of "
           "several pages",
           "read where libtiff is built in; alpha becomes straight",
           [] {
#ifdef T3D_HAS_TIFF
             const Image8 image = picture(3), clear = picture(4), grey = picture(1);
             expect_reads(tiff_bytes(5, 3, pixels_of(image), {}), image);
             expect_reads(tiff_bytes(5, 3, pixels_of(grey), {8, 1, 1, false, {}}), grey);
             expect_reads(tiff_bytes(5, 3, pixels_of(clear), {8, 4, 2, true, {{338, 2}}}), clear);
             expect_reads(tiff_bytes(5, 3, pixels_of(clear), {8, 4, 2, false, {}}), clear);
             std::string wide;
             for (const uint8_t v : image.pixels) put_big(wide, v * 256u + 99u, 2);
             expect_reads(tiff_bytes(5, 3, wide, {16, 3, 2, true, {}}), image);
             std::string floats;
             for (const uint8_t v : grey.pixels) {
               const float f = static_cast<float>(v) / 255.0f;
               floats.append(reinterpret_cast<const char*>(&f), 4);
             }
             expect_reads(tiff_bytes(5, 3, floats, {32, 1, 1, false, {{339, 3}}}), grey);
             // Alpha 128 with colours multiplied: 100 and 64 become 199 and 128.
             const Image8 straight =
                 decode(tiff_bytes(1, 1, "\x64\x40\x80\x80", {8, 4, 2, false, {{338, 1}}}));
             EXPECT_EQ(straight.pixels, (std::vector<uint8_t>{199, 128, 255, 128}));
             std::string inverted = pixels_of(grey);
             for (char& v : inverted) v = static_cast<char>(255 - static_cast<uint8_t>(v));
             expect_reads(tiff_bytes(5, 3, inverted, {8, 1, 0, false, {}}), grey);
             // Orientation 6: pixels as stored, turned for photographs alone.
             const std::string turned = tiff_bytes(5, 3, pixels_of(image), {8, 3, 2, false, {}, 6});
             EXPECT_EQ(decode(turned).pixels, image.pixels);
             EXPECT_EQ(exif_orientation(reinterpret_cast<const uint8_t*>(turned.data()), turned.size()), 6);
             EXPECT_THAT(message_of(tiff_bytes(5, 3, floats, {64, 1, 1, false, {{339, 3}}})),
                         HasSubstr("TIFF"));
#else
             EXPECT_THAT(message_of(std::string("II*\0\10\0\0\0", 8)), HasSubstr("Install libtiff-dev"));
#endif
           }},
          {"BMP of 24 and 32 bits, from below or above; 32 bits whose alpha is all 0", "read; no alpha then",
           [] {
             expect_reads(bmp_bytes(5, 3, 3, pixels_of(picture(3))), picture(3));
             expect_reads(bmp_bytes(5, 3, 3, pixels_of(picture(3)), true), picture(3));
             Image8 clear = picture(4);
             for (size_t i = 3; i < clear.pixels.size(); i += 4) clear.pixels[i] = 0;
             const Image8 seen = decode(bmp_bytes(5, 3, 4, pixels_of(clear)), 4);
             for (size_t i = 3; i < seen.pixels.size(); i += 4) EXPECT_EQ(seen.pixels[i], 255);
           }},
          {"TGA: grey, 24 and 32 bits, packed or not; alpha that is all 0", "read; no alpha then",
           [] {
             for (const bool packed : {false, true})
               for (const int channels : {1, 3, 4})
                 expect_reads(tga_bytes(5, 3, channels, pixels_of(picture(channels)), packed),
                              picture(channels));
             Image8 clear = picture(4);
             for (size_t i = 3; i < clear.pixels.size(); i += 4) clear.pixels[i] = 0;
             EXPECT_EQ(decode(tga_bytes(5, 3, 4, pixels_of(clear))).pixels[3], 255);
           }},
          {"GIF", "its first frame",
           [] {
             Image8 image(5, 3, 4);
             std::string palette, indices, others;
             for (int i = 0; i < 15; ++i) {
               for (int c = 0; c < 3; ++c) palette += static_cast<char>(16 * i + c);
               indices += static_cast<char>(14 - i), others += '\0';
               const uint8_t rgba[4] = {static_cast<uint8_t>(16 * (14 - i)),
                                        static_cast<uint8_t>(16 * (14 - i) + 1),
                                        static_cast<uint8_t>(16 * (14 - i) + 2), 255};
               std::memcpy(&image.pixels[static_cast<size_t>(4 * i)], rgba, 4);
             }
             expect_reads(gif_bytes(5, 3, palette, {indices}), image, 1);
             EXPECT_EQ(decode(gif_bytes(5, 3, palette, {indices, others})).pixels, image.pixels);
           }},
          {"a name whose ending is that of another format", "the content counts",
           [] {
             const auto bytes = encode_jpeg(picture(3));
             EXPECT_EQ(decode({bytes.begin(), bytes.end()}, 0, "x.png").width, 5);
             EXPECT_EQ(decode(tga_bytes(5, 3, 3, pixels_of(picture(3))), 0, "x.jpg").width, 5);
           }},
          {"EXIF orientation (JPEG, PNG, WebP, TIFF)",
           "textures as stored, since texture coordinates belong to those; photographs upright",
           [] {
             const TemporaryFolder folder;
             for (int o = 1; o <= 8; ++o) {
               const auto bytes = jpeg_with_exif(encode_jpeg(picture(3)), exif_tiff(o));
               write_text(folder / "x.jpg", {bytes.begin(), bytes.end()});
               EXPECT_EQ(read_image(folder / "x.jpg").width, 5);
               EXPECT_EQ(read_upright(folder / "x.jpg").width, o >= 5 ? 3 : 5);
               EXPECT_EQ(read_image_info(folder / "x.jpg").orientation, o);
             }
           }},
          {"HEIF, AVIF, JPEG 2000, JPEG XL, OpenEXR, HDR, PSD, DDS, KTX, PNM, SVG, PDF, raw photographs",
           "refused by name, with the formats that are read",
           [] {
             const std::pair<std::string, const char*> others[] = {
                 {std::string("\0\0\0\x18", 4) + "ftypheic0000", "HEIF"},
                 {std::string("\0\0\0\x18", 4) + "ftypavif0000", "AVIF"},
                 {std::string("\0\0\0\x0cjP  \r\n", 10), "JPEG 2000"},
                 {"\xff\x0a....", "JPEG XL"},
                 {"\x76\x2f\x31\x01....", "OpenEXR"},
                 {"#?RADIANCE\n", "Radiance"},
                 {"8BPS....", "Photoshop"},
                 {"DDS |...", "DDS"},
                 {"P6\n5 3\n255\n", "PNM"},
                 {"<svg xmlns=", "SVG"},
                 {"%PDF-1.4", "PDF"},
                 {std::string("II*\0\x10\0\0\0CR\2\0", 12), "raw"}};
             for (const auto& [bytes, word] : others) {
               EXPECT_THAT(message_of(bytes), HasSubstr(word));
               EXPECT_THAT(message_of(bytes), HasSubstr("readable are PNG, JPEG"));
             }
           }},
          {"no image: a web page, a pointer of Git LFS, an archive, text, nothing",
           "refused, says what it is",
           [] {
             EXPECT_THAT(message_of("<!DOCTYPE html><html>"), HasSubstr("web page"));
             EXPECT_THAT(message_of("version https://git-lfs.github.com/spec/v1\n"),
                         HasSubstr("git lfs pull"));
             EXPECT_THAT(message_of("PK\3\4....."), HasSubstr("zip"));
             EXPECT_THAT(message_of("a text of some length, longer than a header of any kind"),
                         HasSubstr("no image that is read; readable are PNG, JPEG"));
             EXPECT_THAT(message_of(""), HasSubstr("empty"));
           }},
      });
}

TEST(ImageFormat, NamesOfImages) {
  for (const char* name :
       {"a.png", "a.JPG", "b/a.jpeg", "a.WebP", "a.tif", "a.tiff", "a.tga", "a.bmp", "a.gif"})
    EXPECT_TRUE(is_image_file(name)) << name;
  for (const char* name : {"a.obj", "png", "a.png.txt", ""}) EXPECT_FALSE(is_image_file(name)) << name;
}

TEST(ImageFormat, EnormousSidesAreRefusedByTheHeader) {
  std::string tga = tga_bytes(5, 3, 3, pixels_of(picture(3)), true);
  tga[13] = tga[15] = '\xff';
  EXPECT_THROW(decode(tga), UserError);
  std::string bmp = bmp_bytes(5, 3, 3, pixels_of(picture(3)));
  bmp[21] = '\x7f';
  EXPECT_THAT(message_of(bmp), HasSubstr("at most 32768"));
  std::string tiff = tiff_bytes(5, 3, pixels_of(picture(3)), {});
  tiff[8 + 2 + 8 + 3] = '\x7f';
#ifdef T3D_HAS_TIFF
  EXPECT_THAT(message_of(tiff), HasSubstr("at most 32768"));
#endif
}

}  // namespace
}  // namespace t3d::io
