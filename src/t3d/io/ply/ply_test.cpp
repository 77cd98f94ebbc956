#include <gmock/gmock.h>

#include <cstring>

#include "t3d/io/ply/read_ply.h"
#include "tests/support/format_table.h"
#include "tests/support/read_meshes.h"

namespace t3d::io {
namespace {

using namespace testing;
using ::testing::HasSubstr;

/// Builds a PLY of one element of vertices and one of faces in any of the three forms.
class PlyWriter {
 public:
  enum class Form { Ascii, Little, Big };
  explicit PlyWriter(Form form, const std::string& head = "", const std::string& end = "\n")
      : form_(form), end_(end) {
    line("ply");
    line(form == Form::Ascii    ? "format ascii 1.0"
         : form == Form::Little ? "format binary_little_endian 1.0"
                                : "format binary_big_endian 1.0");
    if (!head.empty()) line(head);
  }
  PlyWriter& line(const std::string& text) {
    out_ += text + end_;
    return *this;
  }
  /// Values of types named by one letter each: b byte, h 16 bits, i 32 bits, f float, d double.
  PlyWriter& row(const std::string& types, const std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (form_ == Form::Ascii) {
        out_ += cat(values[i], i + 1 < values.size() ? " " : end_);
      } else if (types[i] == 'b') {
        put(static_cast<uint8_t>(values[i]));
      } else if (types[i] == 'h') {
        put(static_cast<uint16_t>(values[i]));
      } else if (types[i] == 'i') {
        put(static_cast<int32_t>(values[i]));
      } else if (types[i] == 'f') {
        put(static_cast<float>(values[i]));
      } else {
        put(values[i]);
      }
    }
    return *this;
  }
  const std::string& text() const { return out_; }

 private:
  template <class T>
  void put(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    if (form_ == Form::Big) std::reverse(bytes, bytes + sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  Form form_;
  std::string end_, out_;
};

constexpr PlyWriter::Form kForms[] = {PlyWriter::Form::Ascii, PlyWriter::Form::Little, PlyWriter::Form::Big};

ReadResult read_text(const std::string& text, const ReadMeshOptions& options = {}) {
  MeshFolder folder;
  folder.put_texture("tex.png").put_texture("other.png").put("a.ply", text);
  return folder.read("a.ply", options);
}

const char* kTriangle =
    "element vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\n"
    "property list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n";
std::string ascii(const std::string& rest) {
  return "ply\nformat ascii 1.0\n" + rest;
}

/// The triangle with colours of a type: red, green, blue under these names.
std::string coloured(PlyWriter::Form form, const std::string& type, char letter,
                     const std::vector<std::string>& names, double full) {
  PlyWriter w(form);
  w.line("element vertex 3").line("property float x").line("property float y").line("property float z");
  for (const std::string& name : names) w.line(cat("property ", type, " ", name));
  w.line("element face 1").line("property list uchar int vertex_index").line("end_header");
  const std::string types = std::string("fff") + std::string(names.size(), letter);
  const double positions[3][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}};
  for (size_t v = 0; v < 3; ++v) {
    std::vector<double> values(positions[v], positions[v] + 3);
    for (size_t c = 0; c < names.size(); ++c) values.push_back(c == v || c == 3 ? full : 0);
    w.row(types, values);
  }
  return w.row("biii", {3, 0, 1, 2}).text();
}

/// Two triangles of a square that share two vertices and have texture coordinates of their own.
std::string wedges(PlyWriter::Form form, const std::string& head, bool with_number) {
  PlyWriter w(form, head);
  w.line("element vertex 4").line("property float x").line("property float y").line("property float z");
  w.line("element face 2")
      .line("property list uchar int vertex_indices")
      .line("property list uchar float texcoord");
  if (with_number) w.line("property int texnumber");
  w.line("end_header");
  w.row("fff", {0, 0, 0}).row("fff", {1, 0, 0}).row("fff", {1, 1, 0}).row("fff", {0, 1, 0});
  for (int f = 0; f < 2; ++f) {
    const double u = f * 0.5;
    w.row("biii", f == 0 ? std::vector<double>{3, 0, 1, 2} : std::vector<double>{3, 0, 2, 3});
    w.row("bffffff", {6, u, 0, u + 0.25, 0, u, 1});
    if (with_number) w.row("i", {double(f)});
  }
  return w.text();
}

TEST(Formats, Ply) {
  run_format_cases(
      "ply",
      {
          {"text, binary of either byte order; lines that end with LF, CR LF or CR; a byte-order mark",
           "read",
           [] {
             for (const auto form : kForms) {
               const Mesh mesh = read_text(coloured(form, "uchar", 'b', {"red", "green", "blue"}, 255)).mesh;
               ASSERT_EQ(mesh.faces.size(), 1u);
               expect_near(colour_at(mesh, 1, 0), Vec3f(0, 1, 0));
             }
             for (const char* end : {"\r\n", "\r"}) {
               std::string text = ascii(kTriangle), out;
               for (const char c : text) out += c == '\n' ? end : std::string(1, c);
               EXPECT_EQ(read_text(out).mesh.faces.size(), 1u);
               PlyWriter w(PlyWriter::Form::Little, "", end);
               w.line("element vertex 3")
                   .line("property float x")
                   .line("property float y")
                   .line("property float z");
               w.line("element face 1").line("property list uchar int vertex_index").line("end_header");
               w.row("fff", {2.0, 0, 0})
                   .row("fff", {1, 0, 0})
                   .row("fff", {0, 1, 0})
                   .row("biii", {3, 0, 1, 2});
               EXPECT_EQ(read_text(w.text()).mesh.bounds().max, Vec3f(2, 1, 0));
             }
             EXPECT_EQ(read_text("\xef\xbb\xbf" + ascii(kTriangle)).mesh.faces.size(), 1u);
           }},
          {"polygons, also concave; triangle strips with restarts; faces of one or two corners",
           "triangles; strips in alternating sense; left out",
           [] {
             EXPECT_EQ(
                 read_text(ascii("element vertex 5\nproperty double x\nproperty double y\nproperty float z\n"
                                 "element face 2\nproperty list uint8 uint32 vertex_indices\nend_header\n"
                                 "0 0 0\n2 0 0\n2 2 0\n1 .5 0\n0 2 0\n5 0 1 2 3 4\n2 0 1\n"))
                     .mesh.faces.size(),
                 3u);
             const Mesh strip =
                 read_text(ascii("element vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
                                 "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
                                 "0 0 0\n1 0 0\n0 1 0\n1 1 0\n8 0 1 2 3 -1 0 1 2\n"))
                     .mesh;
             ASSERT_EQ(strip.faces.size(), 3u);
             for (const Vec3f& n : strip.normals) EXPECT_EQ(n, Vec3f(0, 0, 1));
           }},
          {"colours of vertices: `red`, `diffuse_red` or `r` ...; 8 or 16 bits, floats up to 1 or up to 255, "
           "doubles",
           "sRGB colours",
           [] {
             const std::vector<std::string> names = {"red", "green", "blue"};
             for (const std::string& text :
                  {coloured(PlyWriter::Form::Ascii, "uchar", 'b', names, 255),
                   coloured(PlyWriter::Form::Big, "ushort", 'h', names, 65535),
                   coloured(PlyWriter::Form::Little, "float", 'f', names, 1),
                   coloured(PlyWriter::Form::Little, "float", 'f', names, 255),
                   coloured(PlyWriter::Form::Ascii, "double", 'd', names, 1),
                   coloured(PlyWriter::Form::Ascii, "int", 'i', names, 255),
                   coloured(PlyWriter::Form::Little, "uchar", 'b',
                            {"diffuse_red", "diffuse_green", "diffuse_blue"}, 255),
                   coloured(PlyWriter::Form::Little, "uint8", 'b', {"r", "g", "b"}, 255),
                   coloured(PlyWriter::Form::Little, "uchar", 'b', {"Red", "Green", "Blue", "alpha"}, 255)}) {
               const Mesh mesh = read_text(text).mesh;
               expect_near(colour_at(mesh, 0, 0), Vec3f(1, 0, 0));
               expect_near(colour_at(mesh, 1, 0), Vec3f(0, 1, 0));
               expect_near(colour_at(mesh, 0, 1), Vec3f(0, 0, 1));
               EXPECT_EQ(first_material(mesh).base_colour, Vec3f::Ones());
             }
           }},
          {"colours of faces", "read where vertices have none",
           [] {
             const Mesh mesh =
                 read_text(ascii("element vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
                                 "element face 2\nproperty list uchar int vertex_indices\n"
                                 "property uchar red\nproperty uchar green\nproperty uchar blue\n"
                                 "property uchar alpha\nend_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
                                 "3 0 1 2 255 0 0 255\n3 0 2 3 0 0 255 255\n"))
                     .mesh;
             expect_near(colour_at(mesh, 1, 0), Vec3f(1, 0, 0));
             expect_near(colour_at(mesh, 0, 1), Vec3f(0, 0, 1));
             EXPECT_EQ(mesh.positions.size(), 6u);
           }},
          {"`comment TextureFile` with `texcoord` of each face's corners; `texnumber` for several textures",
           "each face its own texture coordinates, and its texture",
           [] {
             for (const auto form : kForms) {
               const Mesh one = read_text(wedges(form, "comment TextureFile tex.png", false)).mesh;
               ASSERT_EQ(one.textures.size(), 1u);
               EXPECT_TRUE(first_material(one).base_texture.is_set());
               const auto uv = [&](size_t face, size_t corner) { return one.uvs[one.faces[face][corner]]; };
               EXPECT_EQ(uv(0, 0), Vec2f(0, 0));
               EXPECT_EQ(uv(0, 1), Vec2f(.25f, 0));
               EXPECT_EQ(uv(0, 2), Vec2f(0, 1));
               EXPECT_EQ(uv(1, 0), Vec2f(.5f, 0));
               EXPECT_EQ(uv(1, 1), Vec2f(.75f, 0));
               const Mesh two =
                   read_text(wedges(form, "comment TextureFile tex.png\ncomment TextureFile other.png", true))
                       .mesh;
               ASSERT_EQ(two.textures.size(), 2u);
               EXPECT_EQ(two.materials[two.face_material[0]].base_texture.texture, 0);
               EXPECT_EQ(two.materials[two.face_material[1]].base_texture.texture, 1);
               std::string past =
                   wedges(form, "comment TextureFile tex.png\ncomment TextureFile other.png", true);
               if (form == PlyWriter::Form::Ascii) past.replace(past.size() - 2, 1, "9");
               for (const uint16_t m : read_text(past).mesh.face_material) EXPECT_LT(m, 2);
             }
           }},
          {"texture coordinates of vertices: `s t`, `u v`, `texture_u texture_v`", "read",
           [] {
             const std::pair<const char*, const char*> names[] = {
                 {"s", "t"}, {"u", "v"}, {"texture_u", "texture_v"}};
             for (const auto& [u, v] : names) {
               const Mesh mesh =
                   read_text(
                       ascii(cat("comment TextureFile C:\\scan\\tex.png\nelement vertex 3\nproperty float x\n"
                                 "property float y\nproperty float z\nproperty float ",
                                 u, "\nproperty float ", v,
                                 "\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
                                 "0 0 0 0 0\n1 0 0 1 0\n0 1 0 .5 .25\n3 0 1 2\n")))
                       .mesh;
               ASSERT_EQ(mesh.uvs.size(), 3u);
               EXPECT_EQ(mesh.uvs[mesh.faces[0][2]], Vec2f(.5f, .25f));
               EXPECT_EQ(mesh.textures.size(), 1u);
             }
           }},
          {"a texture that is missing, or without texture coordinates",
           "a warning; refused with `--strict` where missing",
           [] {
             const std::string gone = wedges(PlyWriter::Form::Ascii, "comment TextureFile gone.png", false);
             EXPECT_THAT(read_text(gone).said, HasSubstr("there is no 'gone.png'"));
             ReadMeshOptions strict;
             strict.strict = true;
             EXPECT_THAT(read_text(gone, strict).error, HasSubstr("gone.png"));
             EXPECT_THAT(read_text(ascii(cat("comment TextureFile tex.png\n", kTriangle))).said,
                         HasSubstr("no texture coordinates"));
           }},
          {"normals of vertices; elements and properties that mean nothing here", "read; passed over",
           [] {
             const Mesh mesh =
                 read_text(ascii("comment made by hand\nobj_info x\nelement vertex 3\nproperty float "
                                 "x\nproperty float y\n"
                                 "property float z\nproperty float nx\nproperty float ny\nproperty float nz\n"
                                 "property list uchar float weights\nproperty int flags\nelement edge "
                                 "1\nproperty int a\n"
                                 "element face 1\nproperty uchar flags\nproperty list uchar int "
                                 "vertex_indices\nend_header\n"
                                 "0 0 0 1 0 0 2 .5 .5 7\n1 0 0 1 0 0 0 7\n0 1 0 1 0 0 1 9 7\n4\n1 3 0 1 2\n"))
                     .mesh;
             ASSERT_EQ(mesh.faces.size(), 1u);
             EXPECT_EQ(mesh.normals[0], Vec3f(1, 0, 0));
           }},
          {"a face that points past the vertices",
           "refused with its number, or left out with `--skip-bad-faces`",
           [] {
             std::string text = ascii(kTriangle);
             text.replace(text.find("face 1"), 6, "face 2");
             text += "3 0 1 7\n";
             EXPECT_THAT(read_text(text).error,
                         HasSubstr("face 1 refers to vertex 7 (counted from 0) but the file has 3"));
             ReadMeshOptions options;
             options.skip_bad_faces = true;
             EXPECT_EQ(read_text(text, options).mesh.faces.size(), 1u);
           }},
          {"a cloud of points; a Gaussian splat, packed or not", "refused: says what it is",
           [] {
             const std::string vertex =
                 "element vertex 1\nproperty float x\nproperty float y\nproperty float z\n";
             EXPECT_THAT(read_text(ascii(cat(vertex, "end_header\n0 0 0\n"))).error,
                         HasSubstr("a cloud of 1 points"));
             EXPECT_THAT(
                 read_text(
                     ascii(
                         cat(vertex,
                             "element face 0\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n")))
                     .error,
                 HasSubstr("a cloud of 1 points"));
             std::string splat = vertex;
             for (const char* name : {"nx", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "rot_0"})
               splat += cat("property float ", name, "\n");
             EXPECT_THAT(read_text(ascii(splat + "end_header\n0 0 0 0 0 0 0 0 0 0\n")).error,
                         HasSubstr("Gaussian splat"));
             EXPECT_THAT(read_text(ascii("element chunk 0\nproperty float min_x\nelement vertex 1\n"
                                         "property uint packed_position\nend_header\n7\n"))
                             .error,
                         HasSubstr("Gaussian splat"));
           }},
          {"a file cut short, or counts larger than the file; words that are no numbers", "refused: where",
           [] {
             for (const auto form : kForms) {
               const std::string text = wedges(form, "", true);
               for (size_t n = 0; n + (form == PlyWriter::Form::Ascii ? 2 : 0) < text.size(); ++n)
                 EXPECT_NE(read_text(text.substr(0, n)).error, "") << n << " of " << text.size();
             }
             std::string greedy = ascii(kTriangle), word = greedy;
             greedy.replace(greedy.find("vertex 3"), 8, "vertex 4000000000");
             EXPECT_THAT(read_text(greedy).error, HasSubstr("promises 4000000000 rows of 'vertex'"));
             word.replace(word.find("\n1 0 0"), 6, "\n1 x 0");
             EXPECT_THAT(read_text(word).error, HasSubstr("a.ply:11: 'x' where a number is expected"));
             EXPECT_THAT(read_text("ply\nformat ascii 2\nhello\n").error, HasSubstr("a.ply:3: 'hello'"));
             EXPECT_THAT(read_text("hello").error, HasSubstr("starts with the line 'ply'"));
           }},
      });
}

}  // namespace
}  // namespace t3d::io
