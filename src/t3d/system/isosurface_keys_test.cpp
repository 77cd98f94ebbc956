#include "t3d/system/isosurface_keys.h"

#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"

namespace t3d::system {
namespace {

IsosurfaceKeys keys_of(const char* yaml) {
  return isosurface_keys(config::read_yaml(yaml, "text"));
}

TEST(IsosurfaceKeys, ThatAreNotThereLeaveTheExportersChoice) {
  for (const char* yaml : {"{}", "{radius: 1.0, isosurface: true}", "{isosurface_threshold: auto}"}) {
    const IsosurfaceKeys keys = keys_of(yaml);
    EXPECT_FALSE(keys.resolution || keys.small_part || keys.threshold) << yaml;
  }
}

TEST(IsosurfaceKeys, ThatAreThereCount) {
  const IsosurfaceKeys keys = keys_of(
      "{isosurface_resolution: 256, isosurface_threshold: 10, isosurface_outlier_n_faces_threshold: 0.1}");
  EXPECT_EQ(keys.resolution, 256);
  EXPECT_EQ(keys.threshold, 10.f);
  EXPECT_EQ(keys.small_part, 0.1);
}

TEST(IsosurfaceKeys, EveryPartIsKeptWhereOutliersAre) {
  EXPECT_EQ(
      keys_of("{isosurface_remove_outliers: false, isosurface_outlier_n_faces_threshold: 500}").small_part,
      0.0);
}

TEST(IsosurfaceKeys, NoMeshIsMadeWhereNoneIsWanted) {
  EXPECT_THROW(keys_of("{isosurface: false}"), UserError);
}

}  // namespace
}  // namespace t3d::system
