#include <gmock/gmock.h>

#include <cmath>

#include "t3d/core/text.h"
#include "t3d/io/obj/parse_mtl.h"
#include "t3d/io/obj/parse_obj.h"
#include "t3d/io/text_lines.h"
#include "tests/support/format_table.h"
#include "tests/support/read_meshes.h"

namespace t3d::io {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const char* kFace = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n";
std::string square(const std::string& head = "mtllib m.mtl\nusemtl m\n") {
  return cat(head, kFace, "f 1/1 2/2 3/3 4/4\n");
}

/// The square with this material, and tex.png beside it.
ReadResult with_material(const std::string& mtl, const ReadMeshOptions& options = {}) {
  MeshFolder folder;
  folder.put_texture("tex.png").put("m.mtl", "newmtl m\n" + mtl).put("a.obj", square());
  return folder.read("a.obj", options);
}

void expect_textured(const ReadResult& result) {
  EXPECT_EQ(result.error, "");
  ASSERT_EQ(result.mesh.textures.size(), 1u) << result.said;
  EXPECT_EQ(first_material(result.mesh).base_texture.texture, 0);
}

std::string utf16(const std::string& ascii, bool big_endian, bool with_mark) {
  std::string out = with_mark ? big_endian ? "\xfe\xff" : "\xff\xfe" : "";
  for (const char c : ascii) out += big_endian ? std::string{'\0', c} : std::string{c, '\0'};
  return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

/// Three coloured vertices and a triangle.
ReadResult coloured(const std::string& a, const std::string& b, const std::string& c,
                    const std::string& head = "", const std::string& mtl = "") {
  MeshFolder folder;
  folder.put("m.mtl", mtl)
      .put("a.obj", cat(head, "v 0 0 0 ", a, "\nv 1 0 0 ", b, "\nv 0 1 0 ", c, "\nf 1 2 3\n"));
  return folder.read("a.obj");
}

TEST(Formats, Obj) {
  run_format_cases(
      "obj",
      {
          {"byte-order mark of UTF-8; UTF-16 of either byte order, with a mark or without", "read",
           [] {
             for (const std::string& text :
                  {"\xef\xbb\xbf" + square(), utf16(square(), false, true), utf16(square(), true, true),
                   utf16(square(), false, false), utf16(square(), true, false)}) {
               MeshFolder folder;
               folder.put_texture("tex.png")
                   .put("m.mtl", "\xef\xbb\xbfnewmtl m\nmap_Kd tex.png\n")
                   .put("a.obj", text);
               expect_textured(folder.read("a.obj"));
               folder.put("m.mtl", utf16("newmtl m\nmap_Kd tex.png\n", true, true));
               expect_textured(folder.read("a.obj"));
             }
             EXPECT_EQ(as_utf8(std::string("\xff\xfe\xe4\0\x3d\xd8\0\xde\0\xd8", 10)),
                       "\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbd");
           }},
          {"lines that end with CR, LF or both; lines that go on behind a backslash", "read",
           [] {
             for (const char* end : {"\r", "\r\n", "\n"}) {
               MeshFolder folder;
               folder.put_texture("tex.png").put("m.mtl", replaced("newmtl m\nmap_Kd tex.png\n", "\n", end));
               folder.put("a.obj", replaced(square(), "\n", end));
               expect_textured(folder.read("a.obj"));
               EXPECT_EQ(folder.read("a.obj").mesh.faces.size(), 2u);
             }
             MeshFolder folder;
             folder.put("a.obj", cat("# a path ends so: C:\\\n", kFace, "f 1 2 \\\n  3 \\\r\n 4\n"));
             EXPECT_EQ(folder.read("a.obj").mesh.faces.size(), 2u);
           }},
          {"`.5`, `+1`, `1e3`, `nan`, `-1.#IND`", "read as numbers",
           [] {
             MeshFolder folder;
             folder.put(
                 "a.obj",
                 "v .5 -.5 +1\nv 1e3 0. 0\nv 0 1 1E-2\nv nan 0 0\nv 1.#QNAN -1.#IND 0\nf 1 2 3\nf 1 2 4\n");
             const ReadResult result = folder.read("a.obj");
             ASSERT_EQ(result.mesh.faces.size(), 1u);
             EXPECT_EQ(result.mesh.positions[0], Vec3f(.5f, -.5f, 1));
             EXPECT_EQ(result.mesh.positions[1], Vec3f(1000, 0, 0));
             EXPECT_THAT(result.said, HasSubstr("1 face with a vertex that is not finite"));
           }},
          {"a vertex or texture coordinate that is no number (`1,5`)", "refused with line and column",
           [] {
             MeshFolder folder;
             folder.put("a.obj", "v 0 0 0\nv 1,5 0 0\n");
             EXPECT_THAT(folder.read("a.obj").error,
                         HasSubstr("a.obj:2:3: '1,5' where a vertex of three numbers"));
             folder.put("a.obj", "v 0 0\n");
             EXPECT_THAT(folder.read("a.obj").error, HasSubstr("the line ends"));
             folder.put("a.obj", "v 0 0 0\nvt x\n");
             EXPECT_THAT(folder.read("a.obj").error, HasSubstr("a.obj:2:4: 'x'"));
           }},
          {"polygons, also concave; points and lines", "triangles that cover them; left out",
           [] {
             MeshFolder folder;
             folder.put("a.obj", "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 1 .5 0\nv 0 2 0\np 1\nl 1 2\nf 1 2 3 4 5\n");
             const Mesh mesh = folder.read("a.obj").mesh;
             ASSERT_EQ(mesh.faces.size(), 3u);
             double area = 0;
             for (const auto& f : mesh.faces)
               area += (mesh.positions[f[1]] - mesh.positions[f[0]])
                           .cross(mesh.positions[f[2]] - mesh.positions[f[0]])
                           .norm();
             EXPECT_NEAR(area, 5, 1e-5);
           }},
          {"negative indices; texture coordinates or normals without the other (`1//2`)", "read",
           [] {
             MeshFolder folder;
             folder.put("a.obj", cat(kFace, "vn 0 0 2\nf -4//-1 -3//1 3//1\nf 1/1 -2/-2 4/4\n"));
             const Mesh mesh = folder.read("a.obj").mesh;
             EXPECT_EQ(mesh.faces.size(), 2u);
             EXPECT_EQ(mesh.normals[0], Vec3f(0, 0, 1));
           }},
          {"a face that points past the vertices",
           "refused with line and column, or left out with `--skip-bad-faces`",
           [] {
             MeshFolder folder;
             folder.put("a.obj", cat(kFace, "f 1 2 9\nf 1 2 3\n"));
             EXPECT_THAT(
                 folder.read("a.obj").error,
                 HasSubstr("a.obj:9:7: face refers to vertex 9 but the file has 4. Re-export, or pass"));
             ReadMeshOptions options;
             options.skip_bad_faces = true;
             EXPECT_EQ(folder.read("a.obj", options).mesh.faces.size(), 1u);
           }},
          {"`v x y z r g b`, from 0 to 1 or from 0 to 255, with or without a fourth number",
           "sRGB colours, as bright as the same PLY; an alpha other than 1 is not read, said",
           [] {
             for (const ReadResult& r :
                  {coloured("1 0.2 0", "0 1 0", "0 0 1"), coloured("255 51 0", "0 255 0", "0 0 255"),
                   coloured("1 .2 0 1", "0 1 0 1", "0 0 1 1"),
                   coloured("255 51 0 255", "0 255 0 255", "0 0 255 255")}) {
               EXPECT_EQ(r.said, "");
               expect_near(colour_at(r.mesh, 0, 0), Vec3f(1, .2f, 0));
               expect_near(colour_at(r.mesh, 0, 1), Vec3f(0, 0, 1));
               EXPECT_EQ(first_material(r.mesh).base_colour, Vec3f::Ones());
               EXPECT_TRUE(first_material(r.mesh).uses_vertex_colours);
             }
             const ReadResult grey = coloured(".8 .8 .8", ".8 .8 .8", ".8 .8 .8");
             expect_near(colour_at(grey.mesh, 0, 0), Vec3f::Constant(.8f));
             const ReadResult white = coloured("1 1 1", "1 1 1", "1 1 1");
             expect_near(colour_at(white.mesh, 0, 0), Vec3f::Ones());
             EXPECT_THAT(coloured("1 0 0 .5", "0 1 0 1", "0 0 1 1").said, HasSubstr("alpha"));
           }},
          {"ZBrush's `#MRGB` colours", "read",
           [] {
             MeshFolder folder;
             folder.put("a.obj",
                        "v 0 0 0\nv 1 0 0\nv 0 1 0\n#MRGB ffff0000ff00ff00\n#MRGB FF0000FF\nf 1 2 3\n");
             const Mesh mesh = folder.read("a.obj").mesh;
             expect_near(colour_at(mesh, 0, 0), Vec3f(1, 0, 0));
             expect_near(colour_at(mesh, 0, 1), Vec3f(0, 0, 1));
           }},
          {"colours of some vertices alone; colours beside a material",
           "the material's colour elsewhere; they stand in place of its Kd, unless all are white, and a "
           "texture in place of them",
           [] {
             MeshFolder folder;
             folder.put("a.obj", "v 0 0 0 1 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n");
             const Mesh part = folder.read("a.obj").mesh;
             expect_near(colour_at(part, 0, 0), Vec3f(1, 0, 0));
             EXPECT_NEAR(colour_at(part, 0, 1).x(), 0.7977f, 1e-3);  // linear 0.6
             const char* head = "mtllib m.mtl\nusemtl m\n";
             const Mesh both = coloured("1 0 0", "0 1 0", "0 0 1", head, "newmtl m\nKd .1 .1 .1\n").mesh;
             expect_near(colour_at(both, 0, 0), Vec3f(1, 0, 0));
             EXPECT_EQ(first_material(both).base_colour, Vec3f::Ones());
             const Mesh white = coloured("1 1 1", "1 1 1", "1 1 1", head, "newmtl m\nKd 1 .5 0\n").mesh;
             EXPECT_TRUE(white.colours.empty());
             EXPECT_EQ(first_material(white).base_colour, Vec3f(1, .5f, 0));
             MeshFolder textured;
             textured.put_texture("tex.png").put("m.mtl", "newmtl m\nmap_Kd tex.png\n");
             textured.put("a.obj", replaced(square(), "v 0 0 0\n", "v 0 0 0 0 0 0\n"));
             EXPECT_FALSE(first_material(textured.read("a.obj").mesh).uses_vertex_colours);
           }},
          {"`v x y z w`", "divided by w, said",
           [] {
             MeshFolder folder;
             folder.put("a.obj", "v 0 0 0 1\nv 2 0 0 2\nv 0 1 0 1.0\nf 1 2 3\n");
             const ReadResult result = folder.read("a.obj");
             EXPECT_EQ(result.mesh.bounds().max, Vec3f(1, 1, 0));
             EXPECT_THAT(result.said, HasSubstr("1 vertex has a weight (v x y z w)"));
           }},
          {"`mtllib` in a folder, with blanks, several of them, in other letter case, on another machine",
           "found as the section on paths says; textures lie beside the MTL or beside the OBJ",
           [] {
             const std::pair<const char*, const char*> names[] = {
                 {"mats/m.mtl", "mats/m.mtl"}, {"mats\\m.mtl", "mats/m.mtl"},
                 {"my own.mtl", "my own.mtl"}, {"\"my own.mtl\"", "my own.mtl"},
                 {"M.MTL", "m.mtl"},           {"gone.mtl my own.mtl", "my own.mtl"},
                 {"C:\\work\\m.mtl", "m.mtl"}, {"./m.mtl", "m.mtl"}};
             for (const auto& [written, there] : names)
               for (const bool beside_mtl : {false, true}) {
                 SCOPED_TRACE(written);
                 MeshFolder folder;
                 folder.put(there, "newmtl m\nmap_Kd tex.png\n");
                 folder.put_texture(beside_mtl
                                        ? (std::filesystem::path(there).parent_path() / "tex.png").string()
                                        : "tex.png");
                 folder.put("a.obj", square(cat("mtllib ", written, "\nusemtl m\n")));
                 expect_textured(folder.read("a.obj"));
               }
             MeshFolder two;
             two.put("a.mtl", "newmtl a\nKd 1 0 0\n").put("b.mtl", "newmtl m\nKd 0 1 0\n");
             for (const char* head :
                  {"mtllib a.mtl b.mtl\nusemtl m\n", "mtllib a.mtl\nmtllib b.mtl\nusemtl m\n"})
               EXPECT_EQ(first_material(two.put("a.obj", square(head)).read("a.obj").mesh).base_colour,
                         Vec3f(0, 1, 0));
           }},
          {"a material library that is missing, or none beside `usemtl`",
           "NAME.mtl beside NAME.obj, else plain grey; said",
           [] {
             MeshFolder folder;
             folder.put("a.obj", square("mtllib gone.mtl\nusemtl m\n"));
             ReadResult result = folder.read("a.obj");
             EXPECT_THAT(result.said, HasSubstr("gone.mtl is not there; its parts are drawn in plain grey"));
             EXPECT_EQ(first_material(result.mesh).base_colour, Vec3f::Constant(.6f));
             ReadMeshOptions strict;
             strict.strict = true;
             EXPECT_THAT(folder.read("a.obj", strict).error, HasSubstr("gone.mtl is not there"));
             folder.put("a.mtl", "newmtl m\nKd 0 0 1\n");
             for (const char* head : {"mtllib gone.mtl\nusemtl m\n", "usemtl m\n"}) {
               result = folder.put("a.obj", square(head)).read("a.obj");
               EXPECT_EQ(first_material(result.mesh).base_colour, Vec3f(0, 0, 1));
               EXPECT_THAT(result.said, HasSubstr("a.mtl"));
             }
             folder.put("a.obj", square("mtllib a.mtl\nusemtl other\n"));
             EXPECT_THAT(folder.read("a.obj").said, HasSubstr("'other'"));
           }},
          {"material names with blanks", "read",
           [] {
             MeshFolder folder;
             folder.put("m.mtl", "newmtl old  wood \nKd 1 0 0\n")
                 .put("a.obj", square("mtllib m.mtl\nusemtl old  wood\n"));
             EXPECT_EQ(first_material(folder.read("a.obj").mesh).base_colour, Vec3f(1, 0, 0));
           }},
          {"`map_Kd -o`, `-s`, `-clamp`; `-blendu`, `-bm`, `-boost`, `-cc`, `-texres`, `-imfchan`",
           "shifted, scaled, clamped; the others change nothing that is drawn",
           [] {
             const ReadResult result = with_material(
                 "map_Kd -blendu on -bm 1 -s 2 3 1 -o 0.5 0 0 -boost 1.5 -clamp on -texres 512 tex.png\n");
             expect_textured(result);
             EXPECT_EQ(result.said, "");
             const TextureSlot& slot = first_material(result.mesh).base_texture;
             EXPECT_EQ(slot.transformed(Vec2f(1, 1)), Vec2f(2.5f, 3));
             EXPECT_EQ(slot.wrap_u, Wrap::Clamp);
             EXPECT_EQ(slot.wrap_v, Wrap::Clamp);
             for (const char* fewer :
                  {"map_Kd -o 0.25 tex.png\n", "map_Kd -o 0.25 0 tex.png\n", "map_kd\t-o\t0.25\ttex.png\n",
                   "map_Kd -s 1 1 1 -o 0.25 0 0 tex.png\n", "map_Kd tex.png -o 0.25 0 0\n"}) {
               const ReadResult moved = with_material(fewer);
               expect_textured(moved);
               EXPECT_EQ(first_material(moved.mesh).base_texture.transformed(Vec2f(0, 0)), Vec2f(.25f, 0))
                   << fewer;
               EXPECT_EQ(first_material(moved.mesh).base_texture.wrap_u, Wrap::Repeat);
             }
           }},
          {"`map_Kd -mm` (base and gain), `-t` (turbulence)", "not read, said",
           [] {
             EXPECT_THAT(with_material("map_Kd -mm 0.1 0.5 tex.png\n").said, HasSubstr("'-mm'"));
             EXPECT_THAT(with_material("map_Kd -t 1 1 1 tex.png\n").said, HasSubstr("'-t'"));
             const ReadResult none = with_material("map_Kd -mm 0 1 -t 0 0 0 tex.png\n");
             expect_textured(none);
             EXPECT_EQ(none.said, "");
           }},
          {"texture names with blanks, behind options, in quotes, with a minus", "read",
           [] {
             for (const char* name :
                  {"my wood.png", "2 3.png", "a -o b.png", "-x.png", "Holz \xc3\xa4.png"}) {
               MeshFolder folder;
               folder.put_texture(name).put("a.obj", square());
               for (const char* options : {"", "-s 2 2 1 ", "-clamp on -o 1 0 0 "}) {
                 folder.put("m.mtl", cat("newmtl m\nmap_Kd ", options, name, "  \n"));
                 expect_textured(folder.read("a.obj"));
               }
               folder.put("m.mtl", cat("newmtl m\nmap_Kd \"", name, "\"\n"));
               expect_textured(folder.read("a.obj"));
             }
           }},
          {"a texture's path of another machine, with backslashes, percent signs or other letter case",
           "found as the section on paths says, said",
           [] {
             for (const char* name : {"C:\\Users\\me\\Desktop\\tex.png", "/home/me/tex.png", "TEX.PNG",
                                      ".\\tex.png", "textures/tex.png", "file:///C:/tex.png", "tex.jpg"}) {
               const ReadResult result = with_material(cat("map_Kd ", name, "\n"));
               expect_textured(result);
               EXPECT_THAT(result.said, HasSubstr("tex.png")) << name;
             }
           }},
          {"a texture that is missing", "a warning, and the plain colour; refused with `--strict`",
           [] {
             const ReadResult result = with_material("Kd 1 0 0\nmap_Kd gone.png\n");
             EXPECT_EQ(result.error, "");
             EXPECT_THAT(result.said, HasSubstr("there is no 'gone.png'"));
             EXPECT_EQ(first_material(result.mesh).base_colour, Vec3f(1, 0, 0));
             EXPECT_EQ(first_material(with_material("Kd 0 0 0\nmap_Kd gone.png\n").mesh).base_colour,
                       Vec3f::Constant(.6f));
             ReadMeshOptions strict;
             strict.strict = true;
             EXPECT_THAT(with_material("map_Kd gone.png\n", strict).error, HasSubstr("leave out --strict"));
           }},
          {"`Kd` black beside `map_Kd`", "the texture alone counts",
           [] {
             const ReadResult result = with_material("Kd 0 0 0\nmap_Kd tex.png\n");
             expect_textured(result);
             EXPECT_EQ(first_material(result.mesh).base_colour, Vec3f::Ones());
           }},
          {"`Tr 1` without `d`, as photogrammetry programs write it", "opaque, with a warning",
           [] {
             for (const char* tr : {"Tr 1.000000\n", "Tr 1\nillum 1\n", "tr 1.0\n"}) {
               const ReadResult result = with_material(cat("Kd 1 1 1\n", tr, "map_Kd tex.png\n"));
               EXPECT_EQ(first_material(result.mesh).opacity, 1);
               EXPECT_THAT(result.said, HasSubstr("taken as opaque"));
               EXPECT_THAT(result.said, HasSubstr("'m'"));
             }
           }},
          {"`d`, `Tr`, `d -halo`; both that agree, or contradict each other",
           "a surface of opacity a stops that fraction of the light; d counts, said where they contradict",
           [] {
             const auto opacity = [](const char* mtl) {
               return first_material(with_material(mtl).mesh).opacity;
             };
             EXPECT_FLOAT_EQ(opacity("d 0.25\n"), .25f);
             EXPECT_FLOAT_EQ(opacity("Tr 0.25\n"), .75f);
             EXPECT_FLOAT_EQ(opacity("Tr 0\n"), 1);
             EXPECT_FLOAT_EQ(opacity("d -halo 0.5\n"), .5f);
             EXPECT_FLOAT_EQ(opacity("d 1\nTr 0\n"), 1);
             EXPECT_EQ(with_material("d 1\nTr 0\n").said, "");
             EXPECT_FLOAT_EQ(opacity("d 1\nTr 1\n"), 1);
             EXPECT_THAT(with_material("Tr 1\nd 1\n").said, HasSubstr("contradict"));
             EXPECT_FLOAT_EQ(opacity("d 0\nTr 0\n"), 1);
             EXPECT_THAT(with_material("d 0\nTr 0\n").said, HasSubstr("contradict"));
           }},
          {"`d 0`", "unseen, with a warning that names the material",
           [] {
             const ReadResult result = with_material("d 0\n");
             EXPECT_EQ(first_material(result.mesh).opacity, 0);
             EXPECT_THAT(result.said, HasSubstr("nothing is seen of parts with d 0"));
             EXPECT_THAT(result.said, HasSubstr("'m'"));
           }},
          {"`map_d`", "opacity: its alpha where it has one, else its brightness, or what `-imfchan` says",
           [] {
             MeshFolder folder;
             folder.put_texture("tex.png").put_texture("holes.png", true).put("a.obj", square());
             folder.put("m.mtl", "newmtl m\nmap_Kd tex.png\nmap_d holes.png\n");
             const Mesh alpha = folder.read("a.obj").mesh;
             EXPECT_EQ(first_material(alpha).opacity_texture.channel, 3);
             EXPECT_EQ(first_material(alpha).alpha_mode, AlphaMode::Blend);
             folder.put("m.mtl", "newmtl m\nd 0\nmap_d tex.png\n");
             const ReadResult grey = folder.read("a.obj");
             EXPECT_EQ(first_material(grey.mesh).opacity_texture.channel, 0);
             EXPECT_EQ(first_material(grey.mesh).opacity, 1);
             EXPECT_THAT(grey.said, HasSubstr("d 0 beside map_d"));
             folder.put("m.mtl", "newmtl m\nmap_d -imfchan g holes.png\n");
             EXPECT_EQ(first_material(folder.read("a.obj").mesh).opacity_texture.channel, 1);
           }},
          {"a texture with alpha but no `map_d`", "opaque; said where it would have made holes",
           [] {
             MeshFolder folder;
             folder.put_texture("tex.png", true)
                 .put("m.mtl", "newmtl m\nmap_Kd tex.png\n")
                 .put("a.obj", square());
             const ReadResult result = folder.read("a.obj");
             EXPECT_FALSE(first_material(result.mesh).uses_texture_alpha);
             EXPECT_THAT(result.said, HasSubstr("no map_d"));
             EXPECT_EQ(with_material("map_Kd tex.png\n").said, "");
           }},
          {"`Ns`, `Ke`, `map_Ke`, `Pr`, `Pm`, `map_Pr`, `map_Pm`, `norm`",
           "roughness, emission, metal, normals",
           [] {
             const Material m = first_material(with_material("Ns 8\nKe 1 2 3\nPm 0.5\n").mesh);
             EXPECT_NEAR(m.roughness, std::sqrt(.2f), 1e-5);
             EXPECT_EQ(m.emission, Vec3f(1, 2, 3));
             EXPECT_EQ(m.metallic, .5f);
             const Material n = first_material(
                 with_material("Pr .3\nmap_Ke tex.png\nmap_Pm tex.png\nmap_Pr tex.png\nnorm tex.png\n").mesh);
             EXPECT_EQ(n.roughness, 1);
             EXPECT_EQ(n.emission, Vec3f::Ones());
             EXPECT_TRUE(n.roughness_texture.is_set() && n.metallic_texture.is_set() &&
                         n.normal_texture.is_set());
           }},
          {"values of an MTL that cannot be read (`Kd spectral`, `d x`)", "left out, said with their line",
           [] {
             EXPECT_THAT(with_material("Kd spectral a.rfl\n").said,
                         HasSubstr("m.mtl:2: 'kd spectral a.rfl'"));
             EXPECT_THAT(with_material("d x\n").said, HasSubstr("'d x' is no number"));
             EXPECT_THAT(with_material("map_Kd\n").said, HasSubstr("names no file"));
             EXPECT_EQ(first_material(with_material("Kd 0.5\n").mesh).base_colour, Vec3f::Constant(.5f));
           }},
          {"no material, and one image beside it that has its name", "its texture, said",
           [] {
             MeshFolder folder;
             folder.put_texture("spot_texture.png").put("spot_triangulated.obj", square(""));
             const ReadResult result = folder.read("spot_triangulated.obj");
             expect_textured(result);
             EXPECT_THAT(result.said, HasSubstr("names no texture; using"));
             folder.put("m.mtl", "newmtl m\nKd 1 0 0\n").put("spot.obj", square());
             EXPECT_TRUE(folder.read("spot.obj").mesh.textures.empty());
           }},
          {"free-form curves and surfaces alone; no face", "refused, says so",
           [] {
             MeshFolder folder;
             folder.put("a.obj", "v 0 0 0\ncstype bspline\nsurf 0 1 0 1 1\n");
             EXPECT_THAT(folder.read("a.obj").error, HasSubstr("free-form"));
             folder.put("a.obj", kFace);
             EXPECT_THAT(folder.read("a.obj").error, HasSubstr("it holds no face. Export"));
           }},
      });
}

}  // namespace
}  // namespace t3d::io
