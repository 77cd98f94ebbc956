#pragma once

#include <string>
#include <vector>

/// A zoo of meshes that readers trip over, as texts. Each either reads to `n_faces` triangles or fails with a
/// message that contains `message`.
namespace t3d::testing {

struct AwkwardMesh {
  std::string name;  // with the ending that says the format
  std::string text;
  int n_faces;
  std::string message;
};

inline std::vector<AwkwardMesh> awkward_meshes() {
  const std::string square = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n";
  return {
      {"triangle.obj", square + "f 1 2 3\n", 1, ""},
      {"quad.obj", square + "f 1 2 3 4\n", 2, ""},
      {"concave_pentagon.obj", "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 1 .5 0\nv 0 2 0\nf 1 2 3 4 5\n", 3, ""},
      {"negative_indices.obj", square + "f -4 -3 -2\n", 1, ""},
      {"windows_lines.obj", "v 0 0 0\r\nv 1 0 0\r\nv 1 1 0\r\nf 1 2 3\r\n", 1, ""},
      {"no_last_newline.obj", square + "f 1 2 3", 1, ""},
      {"two_parts.obj", square + "o a\nf 1 2 3\no b\nf 1 3 4\n", 2, ""},
      {"both_sides.obj", square + "f 1 2 3\nf 3 2 1\n", 2, ""},
      {"three_faces_at_an_edge.obj", square + "v 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 2 5\n", 3, ""},
      {"lines_and_points.obj", square + "p 1\nl 1 2\nf 1 2 3\n", 1, ""},
      {"unused_vertices.obj", square + "v 9 9 9\nv nan 0 0\nf 1 2 3\n", 1, ""},
      {"zero_area_face.obj", square + "f 1 1 2\nf 1 2 3\n", 1, ""},
      {"nan_face.obj", square + "v nan 0 0\nf 1 2 5\nf 1 2 3\n", 1, ""},
      {"huge_and_tiny.obj", "v 0 0 0\nv 1e15 0 0\nv 0 1e15 0\nv 1e-3 0 0\nf 1 2 3\n", 1, ""},
      {"missing_material_library.obj", "mtllib nowhere.mtl\nusemtl m\n" + square + "f 1 2 3\n", 1, ""},
      {"all_zero_area.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", 0,
       "no face with an area is left: 1 face without area. Export"},
      {"all_nan.obj", "v nan 0 0\nv 1 nan 0\nv 2 0 0\nf 1 2 3\n", 0,
       "no face with an area is left: 1 face with a vertex that is not finite. Export"},
      {"past_the_end.obj", square + "f 1 2 5\n", 0,
       "past_the_end.obj:5:7: face refers to vertex 5 but the file has 4. Re-export, or pass "
       "--skip-bad-faces."},
      {"zero_index.obj", square + "f 0 1 2\n", 0, ":5:3: face refers to '0'"},
      {"missing_uv.obj", square + "f 1/1 2/2 3/3\n", 0, "texture coordinate 1 but the file has 0"},
      {"too_negative.obj", square + "f -5 1 2\n", 0, "vertex -5 but the file has 4"},
      {"overflow.obj", square + "f 1 2 99999999999999999999\n", 0, "99999999999999999999"},
      {"empty.obj", "", 0, "empty.obj: it holds no face."},
      {"no_faces.obj", square, 0, "no_faces.obj: it holds no face."},
      {"not_a_mesh.obj", "hello\nworld\n", 0, "not_a_mesh.obj"},
      {"square.off", "OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n", 2, ""},
      {"past_the_end.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n1 1 0\n3 0 1 3\n", 0,
       ":6: face refers to vertex 3 (counted from 0) but the file has 3"},
      {"short.off", "OFF\n4 1 0\n0 0 0\n1 0 0\n", 0, "ends after 2 of 4 vertices"},
      {"greedy.off", "OFF\n4000000000 1 0\n0 0 0\n", 0, "promises 4000000000 vertices"},
      {"square.ply",
       "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
       "property uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n"
       "property list uchar int vertex_indices\nend_header\n0 0 0 255 0 0\n1 0 0 255 0 0\n1 1 0 255 0 0\n"
       "0 1 0 255 0 0\n4 0 1 2 3\n",
       2, ""},
      {"past_the_end.ply",
       "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
       "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n1 1 0\n3 0 1 7\n",
       0, "past_the_end.ply"},
      {"triangle.stl",
       "solid t\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 1 "
       "0\nendloop\nendfacet\n"
       "endsolid t\n",
       1, ""},
      {"cut.glb", std::string("glTF\2\0\0\0\377\377\0\0", 12), 0, "cut.glb"},
      {"cut.gltf", "{\"asset\": {\"version\": \"2.0\"}, \"mesh", 0, "cut.gltf"},
  };
}

}  // namespace t3d::testing
