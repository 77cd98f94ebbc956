#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>
#include <fstream>

#include "t3d/core/config/read_yaml.h"
#include "t3d/field/geometry.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"
#include "tests/support/npz_writer.h"
#include "tests/support/temporary_folder.h"

namespace t3d::field {
namespace {

using nlohmann::json;
using testing::GoldenCases;
using testing::GoldenOptions;

constexpr double kOutput = 1e-4, kGradient = 1e-3;
const char* const kCases = "tetrahedra-sdf-grid/cases.safetensors";

/// What the recording says of how it was made, which is no key of the geometry.
const char* const kNoKeys[] = {"type",
                               "weights",
                               "grid_file",
                               "loss",
                               "create_from",
                               "copy_net",
                               "isosurface_bbox_margin",
                               "isosurface_auto_threshold_above",
                               "level_clamp"};

std::unique_ptr<Geometry> made(json block) {
  const auto type = block.at("type").get<std::string>();
  for (const char* name : kNoKeys) block.erase(name);
  return geometries().make(type, config::read_yaml(block.dump(), "options.json"), "system.geometry",
                           {1, c10::kCPU});
}

/// A geometry's tensors by their names in checkpoints.
NamedTensors tensors_of(const Geometry& geometry) {
  NamedTensors all, buffers;
  geometry.collect("", all, buffers);
  all.insert(buffers.begin(), buffers.end());
  return all;
}

/// Puts a recorded state dict in: the names are the same, but for those in `but`.
void load(const Geometry& geometry, const std::string& file, const std::string& but = "") {
  const GoldenCases saved(file);
  const c10::NoGradGuard no_grad;
  NamedTensors ours = tensors_of(geometry);
  for (const std::string& name : saved.names()) {
    if (name == but) continue;
    ASSERT_EQ(ours.count(name), 1u) << name;
    ASSERT_EQ(ours.at(name).sizes(), saved.tensor(name).sizes()) << name;
    ours.at(name).copy_(saved.tensor(name));
    ours.erase(name);
  }
  EXPECT_TRUE(ours.empty()) << ours.begin()->first << " is not in " << file;
}

/// The recorded cases in a folder that has their grid where geometries look for one.
class GoldenTetrahedraSdfGrid : public ::testing::Test {
 protected:
  void SetUp() override {
    T3D_NEED_CASES(kCases);
    cases_ = std::make_unique<GoldenCases>(kCases);
    options_ = std::make_unique<GoldenOptions>(kCases);
    before_ = std::filesystem::current_path();
    std::filesystem::create_directories(folder_ / "load/tets");
    const at::Tensor vertices = cases_->tensor("grid_vertices").to(at::kDouble).contiguous(),
                     tets = cases_->tensor("tets").contiguous();
    const double* v = vertices.data_ptr<double>();
    const int64_t* t = tets.data_ptr<int64_t>();
    testing::write_text(
        folder_ / ("load/tets/" + options_->text("grid_file")),
        testing::npz(
            {{"vertices.npy",
              testing::npz_array<double>("<f8", vertices.sizes().vec(), {v, v + vertices.numel()})},
             {"indices.npy", testing::npz_array<int64_t>("<i8", tets.sizes().vec(), {t, t + tets.numel()})}},
            true));
    std::filesystem::current_path(folder_.string());
  }
  void TearDown() override {
    if (!before_.empty()) std::filesystem::current_path(before_);
  }

  /// The geometry with the options of a run.
  std::unique_ptr<Geometry> geometry_of(const std::string& run = "") const {
    json block = run.empty() ? options_->json() : options_->run(run).json();
    block.erase("runs");
    return made(block);
  }
  void expect_near(const std::string& name, const at::Tensor& actual, double allowed = kOutput) const {
    const double error = testing::max_relative_error(actual, cases_->tensor(name));
    testing::record_golden("tetrahedra-sdf-grid/" + name, error);
    EXPECT_LT(error, allowed) << name;
  }
  void expect_surface(const std::string& run, const mesh::SurfaceMesh& mesh) const {
    expect_near(run + "v_pos", mesh.vertices);
    EXPECT_TRUE(mesh.faces.equal(cases_->tensor(run + "t_pos_idx"))) << run;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path before_;
  std::unique_ptr<GoldenCases> cases_;
  std::unique_ptr<GoldenOptions> options_;
};

TEST_F(GoldenTetrahedraSdfGrid, FeaturesAndTheirGradientsMatch) {
  const auto geometry = geometry_of();
  load(*geometry, options_->text("weights"));
  const at::Tensor points = cases_->tensor("points").clone().requires_grad_();
  const at::Tensor features = geometry->appearance()->features_at(points);
  expect_near("features", features);
  std::vector<at::Tensor> by = {points};
  std::vector<std::string> names = {"points"};
  for (const auto& [name, tensor] : geometry->parameters())
    if (cases_->contains("grad." + name)) by.push_back(tensor), names.push_back(name);
  EXPECT_GT(by.size(), 2u);
  const auto gradients = torch::autograd::grad({(features * cases_->tensor("R.features")).sum()}, by);
  for (size_t i = 0; i < by.size(); ++i) expect_near("grad." + names[i], gradients[i], kGradient);
}

TEST_F(GoldenTetrahedraSdfGrid, SurfacesAndTheirGradientsMatch) {
  for (const std::string run : {"deformed.", "plain."}) {
    SCOPED_TRACE(run);
    const auto geometry = geometry_of(run);
    load(*geometry, options_->text("weights"), run == "plain." ? "deformation" : "");
    const mesh::SurfaceMesh mesh = geometry->surface()->surface_mesh();
    expect_surface(run, mesh);
    const at::Tensor normals = mesh::vertex_normals(mesh);
    expect_near(run + "v_nrm", normals);
    const GoldenOptions weights = options_->block("loss");
    const at::Tensor loss = weights.number("v_pos_R") * (mesh.vertices * cases_->tensor(run + "R")).sum() +
                            weights.number("v_nrm_Rn") * (normals * cases_->tensor(run + "Rn")).sum() +
                            weights.number("normal_consistency") * mesh::normal_consistency(mesh) +
                            weights.number("laplacian") * mesh::laplacian_smoothness(mesh);
    expect_near(run + "loss", loss);
    const NamedTensors parameters = geometry->parameters();
    for (const std::string name : {"sdf", "deformation"})
      if (cases_->contains(run + "grad." + name))
        expect_near(run + "grad." + name,
                    torch::autograd::grad({loss}, {parameters.at(name)}, {}, /*retain_graph=*/true)[0],
                    kGradient);
  }
}

TEST_F(GoldenTetrahedraSdfGrid, FirstShapesMatch) {
  const std::string file = folder_ / "shape.obj";
  {
    std::ofstream out(file);
    out.precision(9);
    const at::Tensor vertices = cases_->tensor("init.mesh.in_verts"),
                     faces = cases_->tensor("init.mesh.in_faces");
    for (int64_t i = 0; i < vertices.size(0); ++i)
      out << "v " << vertices[i][0].item<float>() << " " << vertices[i][1].item<float>() << " "
          << vertices[i][2].item<float>() << "\n";
    for (int64_t i = 0; i < faces.size(0); ++i)
      out << "f " << faces[i][0].item<int64_t>() + 1 << " " << faces[i][1].item<int64_t>() + 1 << " "
          << faces[i][2].item<int64_t>() + 1 << "\n";
  }
  for (const std::string run : {"init.sphere.", "init.ellipsoid.", "init.mesh."}) {
    SCOPED_TRACE(run);
    json block = options_->run(run).json();
    block.erase("runs");
    if (block.at("shape_init") == "mesh") block["shape_init"] = "mesh:" + file;
    const auto geometry = made(block);
    const NamedTensors tensors = tensors_of(*geometry);
    {
      const c10::NoGradGuard no_grad;
      at::Tensor(tensors.at("isosurface_bbox"))
          .copy_(GoldenCases(options_->text("weights")).tensor("isosurface_bbox"));
    }
    geometry->initialize_shape(/*has_weights=*/false);
    expect_near(run + "sdf", tensors.at("sdf"));
    if (cases_->contains(run + "v_pos")) expect_surface(run, geometry->surface()->surface_mesh());
  }
}

TEST_F(GoldenTetrahedraSdfGrid, ConversionsMatch) {
  for (const auto& [run, block] : options_->at("create_from").items()) {
    SCOPED_TRACE(run);
    const auto source = made(block);
    load(*source, block.at("weights").get<std::string>());
    const auto geometry = geometry_of();
    geometry->start_as(*source, block.at("copy_net").get<bool>());
    const NamedTensors tensors = tensors_of(*geometry);
    for (const std::string name : {"isosurface_bbox", "sdf", "deformation"})
      expect_near(run + name, tensors.at(name));
    expect_surface(run, geometry->surface()->surface_mesh());
    expect_near(run + "features", geometry->appearance()->features_at(cases_->tensor("points")));
  }
}

}  // namespace
}  // namespace t3d::field
