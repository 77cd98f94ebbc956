#include "t3d/io/write_3mf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <map>
#include <set>
#include <string>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;

uint64_t number_at(const std::string& bytes, size_t at, int n) {
  uint64_t value = 0;
  for (int i = n; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes.at(at + static_cast<size_t>(i)));
  return value;
}

/// The archive's files by name, by its central directory; checksums and local headers are held against it.
std::map<std::string, std::string> unzipped(const std::string& zip) {
  const size_t end = zip.size() - 22;
  EXPECT_EQ(number_at(zip, end, 4), 0x06054b50u);
  std::map<std::string, std::string> files;
  size_t at = number_at(zip, end + 16, 4);
  for (uint64_t i = 0; i < number_at(zip, end + 10, 2); ++i) {
    EXPECT_EQ(number_at(zip, at, 4), 0x02014b50u);
    EXPECT_EQ(number_at(zip, at + 10, 2), 8u) << "deflated";
    const uint64_t crc = number_at(zip, at + 16, 4), packed = number_at(zip, at + 20, 4),
                   size = number_at(zip, at + 24, 4), n_name = number_at(zip, at + 28, 2);
    const std::string name = zip.substr(at + 46, n_name);
    const size_t local = number_at(zip, at + 42, 4);
    EXPECT_EQ(number_at(zip, local, 4), 0x04034b50u);
    EXPECT_EQ(zip.substr(local + 30, n_name), name);
    std::string text(size, '\0');
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, -MAX_WBITS), Z_OK);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(zip.data() + local + 30 + n_name));
    stream.avail_in = static_cast<uInt>(packed);
    stream.next_out = reinterpret_cast<Bytef*>(text.data());
    stream.avail_out = static_cast<uInt>(size);
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END) << name;
    inflateEnd(&stream);
    EXPECT_EQ(crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(size)), crc) << name;
    files[name] = text;
    at += 46 + n_name;
  }
  EXPECT_EQ(at, end);
  return files;
}

using Attributes = std::map<std::string, std::string>;
struct Element {
  std::string name;
  Attributes attributes;
};

/// Every element in order; that they nest is checked.
std::vector<Element> elements(const std::string& xml) {
  std::vector<Element> out;
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at)) {
    const size_t end = xml.find('>', at);
    std::string tag = xml.substr(at + 1, end - at - 1);
    at = end;
    if (tag[0] == '?') continue;
    if (tag[0] == '/') {
      EXPECT_FALSE(open.empty());
      EXPECT_EQ(open.back(), tag.substr(1));
      open.pop_back();
      continue;
    }
    const bool is_empty = tag.back() == '/';
    if (is_empty) tag.pop_back();
    Element element;
    size_t i = tag.find(' ');
    element.name = tag.substr(0, i);
    while (i != std::string::npos && (i = tag.find_first_not_of(' ', i)) != std::string::npos) {
      const size_t is = tag.find("=\"", i), close = tag.find('"', is + 2);
      element.attributes[tag.substr(i, is - i)] = tag.substr(is + 2, close - is - 2);
      i = close + 1;
    }
    if (!is_empty) open.push_back(element.name);
    out.push_back(element);
  }
  EXPECT_TRUE(open.empty());
  return out;
}

std::vector<Attributes> all(const std::vector<Element>& elements, const std::string& name) {
  std::vector<Attributes> out;
  for (const Element& element : elements)
    if (element.name == name) out.push_back(element.attributes);
  return out;
}

/// A tetrahedron whose faces have corners of their own.
Mesh tetrahedron() {
  const std::vector<Vec3f> corners = {{-1, 0, 0}, {1, 0, 0}, {0, 2, 0}, {0, 0, 3.25f}};
  const std::vector<Vec3f> colours = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0.5f, 0.25f, 0.75f}};
  Mesh mesh;
  for (const std::array<uint32_t, 3>& f :
       std::vector<std::array<uint32_t, 3>>{{0, 2, 1}, {0, 1, 3}, {0, 3, 2}, {1, 2, 3}}) {
    const auto first = static_cast<uint32_t>(mesh.positions.size());
    for (const uint32_t v : f) mesh.positions.push_back(corners[v]), mesh.colours.push_back(colours[v]);
    mesh.faces.push_back({first, first + 1, first + 2});
  }
  return mesh;
}

std::vector<Element> model_of(const Mesh& mesh) {
  return elements(unzipped(three_mf_bytes(mesh, "a.3mf")).at("3D/3dmodel.model"));
}

TEST(Write3mf, IsAPackageWithARelationToItsModel) {
  const auto files = unzipped(three_mf_bytes(tetrahedron(), "a.3mf"));
  ASSERT_EQ(files.size(), 3u);
  const auto types = all(elements(files.at("[Content_Types].xml")), "Default");
  ASSERT_EQ(types.size(), 2u);
  EXPECT_EQ(types[1].at("Extension"), "model");
  const auto relation = all(elements(files.at("_rels/.rels")), "Relationship").at(0);
  EXPECT_EQ(relation.at("Target"), "/3D/3dmodel.model");
  EXPECT_EQ(relation.at("Type"), "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel");
}

TEST(Write3mf, VerticesAreSharedAndEveryEdgeHasTwoFaces) {
  const auto model = model_of(tetrahedron());
  const auto vertices = all(model, "vertex"), triangles = all(model, "triangle");
  ASSERT_EQ(vertices.size(), 4u);
  ASSERT_EQ(triangles.size(), 4u);
  std::set<std::pair<int, int>> edges;
  for (const Attributes& t : triangles) {
    const int v[] = {std::stoi(t.at("v1")), std::stoi(t.at("v2")), std::stoi(t.at("v3"))};
    for (int c = 0; c < 3; ++c) {
      ASSERT_LT(v[c], 4);
      EXPECT_TRUE(edges.insert({v[c], v[(c + 1) % 3]}).second);
    }
  }
  for (const auto& [a, b] : edges) EXPECT_EQ(edges.count({b, a}), 1u);
  // On the plate, in the corner of the positive axes.
  EXPECT_EQ(all(model, "item").at(0).at("transform"), "1 0 0 0 1 0 0 0 1 1 0 0");
}

TEST(Write3mf, CornersNameTheColoursOfTheirVertices) {
  const auto model = model_of(tetrahedron());
  const auto colours = all(model, "m:color");
  ASSERT_EQ(colours.size(), 4u);
  const auto group = all(model, "m:colorgroup").at(0), object = all(model, "object").at(0);
  EXPECT_EQ(object.at("pid"), group.at("id"));
  const auto triangle = all(model, "triangle").at(0);  // red, blue, green
  EXPECT_EQ(triangle.at("pid"), group.at("id"));
  const auto colour = [&](const char* corner) {
    return colours.at(static_cast<size_t>(std::stoi(triangle.at(corner)))).at("color");
  };
  EXPECT_EQ(colour("p1"), "#FF0000");
  EXPECT_EQ(colour("p2"), "#0000FF");
  EXPECT_EQ(colour("p3"), "#00FF00");
}

TEST(Write3mf, MaterialsBecomeBaseMaterials) {
  Mesh mesh = tetrahedron();
  mesh.colours.clear();
  mesh.materials.resize(2);
  mesh.materials[0].name = "<a> & \"b\"";
  mesh.materials[1].base_colour = Vec3f(1, 0.21404114f, 0);  // half of white is 0.214 of its light
  mesh.face_material = {0, 1, 1, 0};
  const auto model = model_of(mesh);
  const auto bases = all(model, "base");
  ASSERT_EQ(bases.size(), 2u);
  EXPECT_EQ(bases[0].at("name"), "&lt;a&gt; &amp; &quot;b&quot;");
  EXPECT_EQ(bases[1].at("displaycolor"), "#FF8000");
  EXPECT_EQ(all(model, "triangle").at(1).at("p1"), "1");
}

TEST(Write3mf, TrianglesWithoutAreaAreLeftOut) {
  Mesh mesh = tetrahedron();
  mesh.faces.push_back({0, 0, 1});
  mesh.faces.push_back({0, 1, 3});  // 0 and 3 are at one place
  EXPECT_EQ(all(model_of(mesh), "triangle").size(), 4u);
  mesh.faces = {{0, 0, 1}};
  EXPECT_THROW(three_mf_bytes(mesh, "a.3mf"), UserError);
}

TEST(Write3mf, TheSameMeshGivesTheSameBytes) {
  EXPECT_EQ(three_mf_bytes(tetrahedron(), "a.3mf"), three_mf_bytes(tetrahedron(), "b.3mf"));
}

}  // namespace
}  // namespace t3d::io
