#include <gmock/gmock.h>

#include <cstring>

#include "t3d/io/parse_stl_off.h"
#include "tests/support/format_table.h"
#include "tests/support/image_bytes.h"
#include "tests/support/read_meshes.h"

namespace t3d::io {
namespace {

using namespace testing;
using ::testing::HasSubstr;

/// Triangles (0,0,0) (1,0,0) (0,1,0) and (0,0,0) (-1,0,0) (0,-1,0) with these attribute words.
std::string binary_stl(std::string header, const std::vector<int>& words) {
  header.resize(80, ' ');
  put_little(header, words.size(), 4);
  for (size_t i = 0; i < words.size(); ++i) {
    const float s = i % 2 == 0 ? 1.0f : -1.0f;
    const float numbers[12] = {0, 0, 1, 0, 0, 0, s, 0, 0, 0, s, 0};
    header.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
    put_little(header, static_cast<uint64_t>(words[i]), 2);
  }
  return header;
}

ReadResult read(const std::string& name, const std::string& content, const ReadMeshOptions& options = {}) {
  MeshFolder folder;
  folder.put(name, content);
  return folder.read(name, options);
}

const char* kText =
    "solid part\n  facet normal 0 0 1\n    outer loop\n      vertex 0 0 0\n      vertex 1 0 0\n      vertex "
    "0 1e0 0\n"
    "    endloop\n  endfacet\nendsolid part\n";

TEST(Formats, StlAndOff) {
  run_format_cases(
      "stl-off",
      {
          {"STL: text with several solids, in any letter case, with CR line ends, in UTF-16", "read",
           [] {
             EXPECT_EQ(read("a.stl", kText).mesh.faces.size(), 1u);
             EXPECT_EQ(read("a.STL", std::string(kText) + kText).mesh.positions.size(), 3u);
             std::string upper = kText, cr = kText, wide = "\xff\xfe";
             for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
             for (char& c : cr) c = c == '\n' ? '\r' : c;
             for (const char* c = kText; *c != 0; ++c) wide += {*c, '\0'};
             for (const std::string& text : {upper, cr, wide, std::string("\xef\xbb\xbf") + kText})
               EXPECT_EQ(read("a.stl", text).mesh.faces.size(), 1u);
           }},
          {"STL: binary, also where its header begins with \"solid\"", "read",
           [] {
             for (const char* header : {"", "solid of a CAD program", "SOLID"}) {
               const Mesh mesh = read("a.stl", binary_stl(header, {0, 0})).mesh;
               EXPECT_EQ(mesh.faces.size(), 2u);
               EXPECT_TRUE(mesh.colours.empty());
             }
             EXPECT_EQ(read("a.stl", binary_stl("", {0}) + "more").mesh.faces.size(), 1u);
           }},
          {"STL: colours of triangles as VisCAM (bit 15 set) or Materialise (`COLOR=`, bit 15 clear) writes "
           "them",
           "read",
           [] {
             const Mesh viscam = read("a.stl", binary_stl("", {0x8000 | 31 << 10, 0x8000 | 31})).mesh;
             expect_near(colour_at(viscam, 1, 0), Vec3f(1, 0, 0));
             expect_near(colour_at(viscam, -1, 0), Vec3f(0, 0, 1));
             const std::string header("COLOR=\x00\xff\x00\xff", 10);
             const Mesh magics = read("a.stl", binary_stl(header, {31, 0x8000})).mesh;
             expect_near(colour_at(magics, 1, 0), Vec3f(1, 0, 0));
             expect_near(colour_at(magics, -1, 0), Vec3f(0, 1, 0));
             const Mesh whole = read("a.stl", binary_stl(header, {0, 0})).mesh;
             expect_near(colour_at(whole, 1, 0), Vec3f(0, 1, 0));
             const Mesh part = read("a.stl", binary_stl("", {0x8000 | 31, 0})).mesh;
             EXPECT_NEAR(colour_at(part, -1, 0).x(), 0.7977f, 1e-3);
           }},
          {"STL: normals", "made anew, smooth below 60 degrees",
           [] {
             std::string wrong = kText;
             wrong.replace(wrong.find("normal 0 0 1"), 12, "normal 1 0 0");
             EXPECT_EQ(read("a.stl", wrong).mesh.normals[0], Vec3f(0, 0, 1));
           }},
          {"STL: cut short, no triangle, a vertex that is no number", "refused",
           [] {
             const std::string whole = binary_stl("solid", {0, 0});
             for (size_t n = 0; n < whole.size(); ++n)
               EXPECT_NE(read("a.stl", whole.substr(0, n)).error, "") << n;
             EXPECT_THAT(read("a.stl", binary_stl("", {})).error, HasSubstr("holds no face"));
             EXPECT_THAT(read("a.stl", "solid a\nendsolid a\n").error, HasSubstr("holds no face"));
             EXPECT_THAT(read("a.stl", "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\n").error,
                         HasSubstr("cut short"));
             EXPECT_THAT(read("a.stl", "solid a\nfacet\nvertex 0 x 0\n").error, HasSubstr("a.stl:3: 'x'"));
             EXPECT_THAT(read("a.stl", "").error, HasSubstr("holds no face"));
           }},
          {"OFF: comments, counts on the first line, also without a blank (`OFF4 1 0`)", "read",
           [] {
             const char* rest = "0 0 0\n1 0 0 # a corner\n\n1 1 0\n0 1 0\n4 0 1 2 3\n";
             for (const char* head : {"OFF\n4 1 0\n", "OFF 4 1 0\n", "OFF4 1 0\n",
                                      "# by hand\nOFF\n# counts\n4 1 0\n", "OFF\n4 1\n"})
               EXPECT_EQ(read("a.off", cat(head, rest)).mesh.faces.size(), 2u) << head;
           }},
          {"COFF, NOFF, STOFF and unions; colours as whole numbers or floats; OFF with colours behind its "
           "vertices",
           "read",
           [] {
             const auto triangle = [](const char* head, const char* a, const char* b, const char* c) {
               return read("a.off",
                           cat(head, "\n3 1 0\n0 0 0 ", a, "\n1 0 0 ", b, "\n0 1 0 ", c, "\n3 0 1 2\n"))
                   .mesh;
             };
             for (const Mesh& mesh :
                  {triangle("COFF", "255 0 0 255", "0 255 0 255", "0 0 255 255"),
                   triangle("COFF", "1 0 0 1", "0 1 0 1", "0 0 1 1"),
                   triangle("COFF", "1 0 0", "0 1 0", "0 0 1"),
                   triangle("OFF", "255 0 0", "0 255 0", "0 0 255"),
                   triangle("CNOFF", "0 0 1 255 0 0", "0 0 1 0 255 0", "0 0 1 0 0 255"),
                   triangle("STCNOFF", "0 0 1 1 0 0 1 .5 0", "0 0 1 0 1 0 1 0 0", "0 0 1 0 0 1 1 0 0")}) {
               expect_near(colour_at(mesh, 0, 0), Vec3f(1, 0, 0));
               expect_near(colour_at(mesh, 0, 1), Vec3f(0, 0, 1));
             }
             EXPECT_EQ(triangle("NOFF", "1 0 0", "1 0 0", "1 0 0").normals[0], Vec3f(1, 0, 0));
             EXPECT_EQ(triangle("STOFF", ".5 .25", "0 0", "0 0").uvs[0], Vec2f(.5f, .25f));
           }},
          {"OFF: colours of faces", "read; a single number, which names a palette's colour, is passed over",
           [] {
             const Mesh mesh =
                 read("a.off",
                      "OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2 255 0 0\n3 0 2 3 0 0 255 255\n")
                     .mesh;
             expect_near(colour_at(mesh, 1, 0), Vec3f(1, 0, 0));
             expect_near(colour_at(mesh, 0, 1), Vec3f(0, 0, 1));
             EXPECT_TRUE(read("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 7\n").mesh.colours.empty());
           }},
          {"OFF: a face that points past the vertices",
           "refused with its line, or left out with `--skip-bad-faces`",
           [] {
             const char* text = "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n3 0 1 3\n";
             EXPECT_THAT(read("a.off", text).error, HasSubstr("a.off:7: face refers to vertex 3"));
             ReadMeshOptions options;
             options.skip_bad_faces = true;
             EXPECT_EQ(read("a.off", text, options).mesh.faces.size(), 1u);
           }},
          {"OFF: binary, of four dimensions, cut short, counts larger than the file", "refused",
           [] {
             EXPECT_THAT(read("a.off", "OFF BINARY\n").error, HasSubstr("binary OFF"));
             EXPECT_THAT(read("a.off", "4OFF\n1 1 0\n").error, HasSubstr("a kind of OFF that is not read"));
             EXPECT_THAT(read("a.off", "OFF\n3 1 0\n0 0 0\n").error, HasSubstr("ends after 1 of 3 vertices"));
             EXPECT_THAT(read("a.off", "OFF\n4000000000 1 0\n").error,
                         HasSubstr("promises 4000000000 vertices"));
             EXPECT_THAT(read("a.off", "hello\n").error, HasSubstr("starts with the word OFF"));
           }},
      });
}

}  // namespace
}  // namespace t3d::io
