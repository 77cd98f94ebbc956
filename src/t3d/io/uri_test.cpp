#include "t3d/io/uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "tests/support/gltf_builder.h"

namespace t3d::io {
namespace {

TEST(DataUri, HoldsBase64InEveryLengthAndWriting) {
  for (size_t n = 0; n < 9; ++n) {
    std::string bytes;
    for (size_t i = 0; i < n; ++i) bytes += static_cast<char>(37 * i + 250);
    std::string uri = testing::GltfBuilder::data_uri(bytes, "application/octet-stream");
    EXPECT_EQ(data_uri_bytes(uri, "here"), bytes) << n;
    while (uri.back() == '=') uri.pop_back();  // often left out
    EXPECT_EQ(data_uri_bytes(uri, "here"), bytes) << n;
  }
  EXPECT_EQ(data_uri_bytes("DATA:;charset=x;BASE64,YW\nJj ZA==", "here"), "abcd");
  EXPECT_EQ(data_uri_bytes("data:;base64,%59WJj%5AA%3D%3D", "here"), "abcd");
  EXPECT_EQ(data_uri_bytes("data:,a%20b,c", "here"), "a b,c");
  EXPECT_EQ(data_uri_bytes("data:,", "here"), "");
}

TEST(DataUri, IsToldFromFileNamesAndExplainedWhenBroken) {
  EXPECT_TRUE(is_data_uri("Data:,"));
  EXPECT_FALSE(is_data_uri("data.bin"));
  EXPECT_FALSE(is_data_uri("data"));
  const auto message = [](const char* uri) {
    try {
      data_uri_bytes(uri, "a.gltf: buffers[0].uri");
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message("data:application/octet-stream"),
              ::testing::HasSubstr("buffers[0].uri is a data URI without"));
  EXPECT_THAT(message("data:;base64,ab!d"), ::testing::HasSubstr("code 33"));
}

}  // namespace
}  // namespace t3d::io
