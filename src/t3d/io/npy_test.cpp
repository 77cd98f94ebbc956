#include "t3d/io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A .npy file of version 1 or 2.
std::string npy(const std::string& header, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  const std::string text = header + "\n";
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(text.size() >> (8 * i) & 255);
  return out + text + data;
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  std::string out;
  for (const T value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}

std::string message(const std::string& bytes) {
  try {
    parse_npy(bytes, "a.npy");
  } catch (const UserError& failure) {
    return failure.what();
  }
  return "";
}

TEST(Npy, ReadsRowsAndColumns) {
  const auto rows = parse_npy(
      npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", raw({1., 2., 3., 4., 5., 6.})), "a");
  EXPECT_THAT(rows.shape, ElementsAre(2, 3));
  EXPECT_THAT(rows.values, ElementsAre(1, 2, 3, 4, 5, 6));
  const auto columns = parse_npy(
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", raw({1.f, 4.f, 2.f, 5.f, 3.f, 6.f})),
      "a");
  EXPECT_THAT(columns.values, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Npy, ReadsOtherTypesOrdersAndVersions) {
  EXPECT_THAT(parse_npy(npy("{\"shape\": (2,), \"fortran_order\": False, \"descr\": \">i2\"}",
                            std::string("\x01\x00\xff\xff", 4), 2),
                        "a")
                  .values,
              ElementsAre(256, -1));
  EXPECT_THAT(
      parse_npy(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3L,)}", "\x01\x02\xff", 3), "a")
          .values,
      ElementsAre(1, 2, 255));
  EXPECT_THAT(
      parse_npy(npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", raw<int64_t>({7})), "a").values,
      ElementsAre(7));
  EXPECT_TRUE(
      parse_npy(npy("{'descr': '<f8', 'fortran_order': True, 'shape': (0, 17)}", ""), "a").values.empty());
}

TEST(Npy, ExplainsWhatItDoesNotRead) {
  const std::string good = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", raw({1., 2.}));
  for (size_t n = 0; n < good.size(); ++n) EXPECT_NE(message(good.substr(0, n)), "") << n;
  EXPECT_THAT(message("PK\3\4 and so on"), HasSubstr("a.npy: this is no .npy file"));
  EXPECT_THAT(message(npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "")),
              HasSubstr("type |O"));
  EXPECT_THAT(message(npy("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (2,), }", "")),
              HasSubstr("array of records"));
  EXPECT_THAT(
      message(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999)}", "")),
      HasSubstr("cut short"));
  EXPECT_THAT(message(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", "ab")),
              HasSubstr("<f2"));
  EXPECT_THAT(message(npy("{'descr': '<f8'}", "")), HasSubstr("without descr or shape"));
}

}  // namespace
}  // namespace t3d::io
