#include "t3d/evaluate/objects.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/json_file.h"
#include "t3d/io/write_mesh.h"
#include "t3d/toybox/object.h"
#include "tests/support/optional_libraries.h"
#include "tests/support/random_judge.h"
#include "tests/support/temporary_folder.h"

namespace t3d::evaluate {
namespace {

constexpr uint64_t kSecondTruth = 0x7f00001;  // of those that objects are compared with
const char* const kChair = "a blue chair with brown legs";
const char* const kBall = "a red sphere";

io::Mesh true_mesh(const std::string& caption, uint64_t seed) {
  return toybox::make_object(toybox::parse_caption(caption), seed).mesh;
}

struct Objects : ::testing::Test {
  testing::TemporaryFolder folder;
  Judge judge = make_judge();

  Judge make_judge() const {
    testing::write_random_judge(folder / "judge", {kChair, kBall});
    return Judge(folder / "judge", c10::kCPU);
  }
  static ObjectSettings small() {
    ObjectSettings s;
    s.n_candidates = 3;
    s.n_truths = 3;
    s.orbit = {3, 48, 15};
    return s;
  }
  /// Meshes with the captions that they shall show.
  static ObjectSet set_of(const std::vector<std::pair<std::string, io::Mesh>>& objects) {
    ObjectSet set;
    set.is_lit = true;
    for (const auto& [caption, mesh] : objects)
      set.entries.push_back({cat("object ", set.entries.size()), caption, caption, 0});
    set.load = [objects](size_t i) { return objects[i].second; };
    return set;
  }
  /// A folder as generate leaves it.
  void write_object(const std::string& name, const std::string& caption, const io::Mesh& mesh) const {
    make_folders(folder / "objects/" + name);
    io::write_mesh(folder / "objects/" + name + "/mesh.glb", mesh);
    write_run(name, {{"prompt", caption}, {"caption", caption}, {"seed", 4}});
  }
  void write_run(const std::string& name, const nlohmann::json& run) const {
    make_folders(folder / "objects/" + name);
    io::write_json_file(folder / "objects/" + name + "/run.json", run);
  }
  void write_text(const std::string& path, const std::string& text) const {
    make_folders((folder / "objects/") + path.substr(0, path.find('/')));
    std::ofstream(folder / "objects/" + path) << text;
  }
};

TEST_F(Objects, ATrueObjectHasTheSilhouetteAndChromaOfItself) {
  T3D_NEED_EMBREE();
  const auto report = evaluate_objects(small(), set_of({{kChair, true_mesh(kChair, kSecondTruth)}}), judge);
  const ShapeResult& shape = report.objects[0].shape.value();
  EXPECT_EQ(shape.best, 1);
  EXPECT_GT(shape.iou, 0.98);
  EXPECT_GT(shape.iou_aligned, 0.96);
  EXPECT_NEAR(report.chroma_ratio.value, 1, 0.1);
  EXPECT_EQ(report.silhouette_iou.n, 1);
}

TEST_F(Objects, OnlyTheAlignedSilhouetteForgivesPlaceAndSize) {
  T3D_NEED_EMBREE();
  io::Mesh moved = true_mesh(kChair, kSecondTruth);
  for (Vec3f& p : moved.positions) p = 0.5f * p + Vec3f(0.1f, 0.2f, 0.1f);
  const auto report = evaluate_objects(small(), set_of({{kChair, moved}}), judge);
  EXPECT_LT(report.silhouette_iou.value, 0.4);
  EXPECT_GT(report.silhouette_iou_aligned.value, 0.95);
}

TEST_F(Objects, MeshFilesAreReadInTheWorldOfTheTruths) {
  T3D_NEED_EMBREE();
  write_object("a", kChair, true_mesh(kChair, kSecondTruth));
  const auto set = objects_in_folder(folder / "objects");
  EXPECT_EQ(set.entries[0].seed, 4);
  EXPECT_FALSE(set.is_lit);
  const auto report = evaluate_objects(small(), set, judge);
  EXPECT_GT(report.silhouette_iou.value, 0.98);
  EXPECT_EQ(objects_in_folder(folder / "objects/a").entries[0].name, "a");  // one alone
}

TEST_F(Objects, WhatCannotBeMeasuredIsNamedAndCounted) {
  T3D_NEED_EMBREE();
  const io::Mesh mesh = true_mesh(kBall, 1);
  write_object("good", kBall, mesh);
  write_object("no_mesh", kBall, mesh);
  std::filesystem::remove(folder / "objects/no_mesh/mesh.glb");
  write_object("broken_mesh", kBall, mesh);
  std::filesystem::resize_file(folder / "objects/broken_mesh/mesh.glb", 100);
  make_folders(folder / "objects/empty");
  write_run("no_prompt", {{"seed", 3}});
  write_text("no_json/run.json", "{");
  make_folders(folder / "objects/.hidden");

  size_t n_told = 0;
  const auto report =
      evaluate_objects(small(), objects_in_folder(folder / "objects"), judge,
                       [&](size_t, const auto&, const auto&, const ObjectResult*) { ++n_told; });
  EXPECT_EQ(n_told, 3u);  // those that say what they are
  ASSERT_EQ(report.objects.size(), 1u);
  ASSERT_EQ(report.failures.size(), 5u);
  EXPECT_EQ(report.r_precision_of_all.n, 6);
  const auto json = report_json(report);
  EXPECT_EQ(json.at("objects")[0].at("object"), "good");
  std::map<std::string, std::string> reasons;
  for (const auto& failure : json.at("failures")) reasons[failure.at("object")] = failure.at("reason");
  EXPECT_NE(reasons.at("no_mesh").find("mesh.glb"), std::string::npos);
  EXPECT_NE(reasons.at("broken_mesh").find("mesh.glb"), std::string::npos);
  EXPECT_NE(reasons.at("empty").find("run.json: is not there"), std::string::npos);
  EXPECT_NE(reasons.at("no_prompt").find("has no \"prompt\""), std::string::npos);
  EXPECT_NE(reasons.at("no_json").find("run.json"), std::string::npos);
  EXPECT_NE(report_markdown(report).find("Not measured: 5 of 6 objects."), std::string::npos);
}

TEST_F(Objects, FoldersWithNothingToMeasureAreExplained) {
  const auto message = [&](const std::string& path) {
    try {
      evaluate_objects(small(), objects_in_folder(path), judge);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message(folder / "nowhere").find("there is no such folder"), std::string::npos);
  make_folders(folder / "objects");
  EXPECT_NE(message(folder / "objects").find("holds no sub-folders"), std::string::npos);
  make_folders(folder / "objects/a");
  EXPECT_NE(message(folder / "objects").find("none of 1 sub-folders"), std::string::npos);
  write_run("a", {{"prompt", kBall}});
  EXPECT_NE(message(folder / "objects").find("none of 1 objects could be measured"), std::string::npos);
}

TEST_F(Objects, DiversityIsOfTheObjectsOfACaptionAlone) {
  T3D_NEED_EMBREE();
  const io::Mesh chair = true_mesh(kChair, 1), ball = true_mesh(kBall, 1);
  const auto diversity = [&](const std::vector<std::pair<std::string, io::Mesh>>& objects) {
    return evaluate_objects(small(), set_of(objects), judge).diversity;
  };
  EXPECT_EQ(diversity({{kChair, chair}, {kBall, ball}}).n, 0);
  const auto same = diversity({{kChair, chair}, {kChair, chair}, {kBall, ball}});
  EXPECT_EQ(same.n, 1);
  EXPECT_NEAR(same.value, 0, 2e-3);  // the paths' noise differs
  const auto other = diversity({{kChair, chair}, {kChair, ball}});
  EXPECT_GT(other.value, 10 * same.value);

  // Against pairs, one by one.
  const auto report = evaluate_objects(
      small(), set_of({{kChair, chair}, {kChair, ball}, {kChair, true_mesh(kChair, 2)}}), judge);
  double sum = 0;
  for (size_t a = 0; a < 3; ++a)
    for (size_t b = 0; b < a; ++b)
      sum += (report.objects[a].judged.pictures * report.objects[b].judged.pictures)
                 .sum(1)
                 .mean()
                 .item<double>();
  EXPECT_NEAR(report.diversity.value, 1 - sum / 3, 1e-5);
}

TEST_F(Objects, TextOutsideOfTheWorldIsJudgedButHasNoShape) {
  T3D_NEED_EMBREE();
  const auto report = evaluate_objects(
      small(), set_of({{"the quick brown fox", true_mesh(kBall, 1)}, {kBall, true_mesh(kBall, 1)}}), judge);
  EXPECT_FALSE(report.objects[0].shape);
  EXPECT_TRUE(report.objects[1].shape);
  EXPECT_EQ(report.silhouette_iou.n, 1);
  EXPECT_EQ(report.judged.r_precision.n, 2);
  EXPECT_TRUE(report_json(report).at("objects")[0].at("shape").is_null());
}

TEST_F(Objects, TruthsAreOtherObjectsThanThoseThatTheyAreComparedWith) {
  T3D_NEED_EMBREE();
  const auto set = objects_of_truth({kChair, kBall}, 2, 0, "a test");
  ASSERT_EQ(set.entries.size(), 4u);
  EXPECT_EQ(set.entries[1].caption, kChair);
  EXPECT_NE(set.load(0).positions, set.load(1).positions);
  const auto report = evaluate_objects(small(), set, judge);
  EXPECT_GT(report.silhouette_iou.value, 0.75);
  EXPECT_LT(report.silhouette_iou.value, 0.999);
  EXPECT_EQ(report.diversity.n, 2);
  EXPECT_THROW(objects_of_truth({"a red zebra"}, 1, 0, "a test"), UserError);
}

}  // namespace
}  // namespace t3d::evaluate
