#include "t3d/io/resolve_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/format_table.h"

namespace t3d::io {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// One name looked for in a folder that holds `there`.
struct Look {
  std::string there, written;
  FoundBy by;
};

void put(const TemporaryFolder& root, const std::string& name) {
  fs::create_directories(fs::path(root / name).parent_path());
  testing::write_text(root / name, "x");
}

/// The containing file lies in root/scene; `there` is relative to that.
void expect_found(const Look& look, const PathOptions& options = {}) {
  SCOPED_TRACE(look.written);
  const TemporaryFolder root;
  fs::create_directories(root / "scene");
  put(root, "scene/" + look.there);
  PathResolver paths({root / "scene"}, options);
  const ResolvedPath found = paths.find(look.written);
  EXPECT_EQ(static_cast<int>(found.by), static_cast<int>(look.by)) << found.path << found.tried;
  if (look.by == FoundBy::Nothing) {
    EXPECT_EQ(found.path, "");
    EXPECT_NE(found.tried, "");
    EXPECT_TRUE(paths.take_notes().empty());
    return;
  }
  ASSERT_TRUE(fs::is_regular_file(found.path)) << found.path;
  EXPECT_TRUE(fs::equivalent(found.path, root / ("scene/" + look.there))) << found.path;
  const auto notes = paths.take_notes();
  ASSERT_EQ(notes.size(), look.by == FoundBy::AsWritten ? 0u : 1u);
  if (notes.empty()) return;
  EXPECT_THAT(notes[0].text, HasSubstr("'" + look.written + "'"));
  EXPECT_EQ(notes[0].is_warning, look.by >= FoundBy::Tail);
}

TEST(Formats, Paths) {
  testing::run_format_cases(
      "paths",
      {
          {"a path beside the file, in a folder, in a parent (`../images/x.png`), or absolute and there",
           "read",
           [] {
             expect_found({"x.png", "x.png", FoundBy::AsWritten});
             expect_found({"x.png", "./x.png", FoundBy::AsWritten});
             expect_found({"a b/x y.png", "a b/x y.png", FoundBy::AsWritten});
             expect_found({"../images/x.png", "../images/x.png", FoundBy::AsWritten});
             const TemporaryFolder elsewhere;
             put(elsewhere, "x.png");
             PathResolver paths({"/nowhere"});
             EXPECT_EQ(paths.find(elsewhere / "x.png").path, elsewhere / "x.png");
           }},
          {"backslashes", "read as slashes, said",
           [] {
             expect_found({"tex/x.png", "tex\\x.png", FoundBy::Slashes});
             expect_found({"tex/a/x.png", ".\\tex\\\\a\\x.png", FoundBy::Slashes});
             expect_found({"../images/x.png", "..\\images\\x.png", FoundBy::Slashes});
             expect_found({"a\\b.png", "a\\b.png", FoundBy::AsWritten});
           }},
          {"percent signs: `my%20texture.png`", "decoded where no file has the name as written, said",
           [] {
             expect_found({"my texture.png", "my%20texture.png", FoundBy::Decoded});
             expect_found({"t\xc3\xa9x.png", "t%C3%A9x.png", FoundBy::Decoded});
             expect_found({"a/x y.png", "a%5Cx%20y.png", FoundBy::Decoded});
             expect_found({"100%.png", "100%.png", FoundBy::AsWritten});
             expect_found({"a%20b.png", "a%20b.png", FoundBy::AsWritten});
           }},
          {"blanks, quotes or a carriage return around the name; `file://`", "left out, said",
           [] {
             expect_found({"x.png", "x.png  ", FoundBy::Cleaned});
             expect_found({"x.png", "\"x.png\"\r", FoundBy::Cleaned});
             expect_found({"a b.png", "'a b.png'", FoundBy::Cleaned});
             expect_found({"x.png", "file://x.png", FoundBy::Cleaned});
             expect_found({" x.png", " x.png", FoundBy::AsWritten});
           }},
          {"other letter case, or an accent composed differently", "found, said",
           [] {
             expect_found({"Tex/X.PNG", "tex/x.png", FoundBy::OtherCase});
             expect_found({"tex/x.png", "TEX\\X.png", FoundBy::OtherCase});
             expect_found({"\xc3\xa9.png", "e\xcc\x81.png", FoundBy::OtherCase});
             expect_found({"\xc3\x96.png", "\xc3\xb6.png", FoundBy::OtherCase});
           }},
          {"a name in Latin-1", "found under its UTF-8 name, said",
           [] {
             expect_found(
                 {"Gr\xc3\xb6\xc3\x9f"
                  "e.png",
                  "Gr\xf6\xdf"
                  "e.png",
                  FoundBy::Latin1});
             expect_found({"\xe9.png", "\xe9.png", FoundBy::AsWritten});
             expect_found({"t/\xc3\xa9.png", "t\\\xe9.png", FoundBy::Latin1});
           }},
          {"an absolute path of another machine (`C:\\Users\\me\\scene\\tex\\x.png`, `/home/me/x.png`, "
           "`\\\\server\\x.png`)",
           "the end of the path is looked for beside the file, longest first; a warning says what was used",
           [] {
             expect_found({"x.png", "C:\\Users\\me\\Desktop\\x.png", FoundBy::LastName});
             expect_found({"tex/x.png", "D:/work/scene/tex/x.png", FoundBy::Tail});
             expect_found({"x.png", "/home/someone else/x.png", FoundBy::LastName});
             expect_found({"x.png", "\\\\server\\share\\X.png", FoundBy::LastName});
             expect_found({"images/x.png", "file:///C:/my%20work/images/x.png", FoundBy::Tail});
             expect_found({"x.png", "C:x.png", FoundBy::LastName});
           }},
          {"a folder that is not there",
           "the end of the path or the last name beside the file, with a warning",
           [] {
             expect_found({"x.png", "tex/x.png", FoundBy::LastName});
             expect_found({"x.png", "..\\tex\\x.png", FoundBy::LastName});
             expect_found({"tex/x.png", "../../old/tex/x.png", FoundBy::Tail});
           }},
          {"a name without its folder",
           "looked for in `textures`, `images` and their like, there and beside, with a warning",
           [] {
             expect_found({"textures/x.png", "x.png", FoundBy::Sibling});
             expect_found({"../textures/x.png", "x.png", FoundBy::Sibling});
             expect_found({"Maps/X.png", "C:\\old\\x.png", FoundBy::Sibling});
             expect_found({"chair.fbm/x.png", "x.png", FoundBy::Sibling});
           }},
          {"a name without its ending (data sets), or with the ending of another kind of image",
           "the ending is added; another one is a warning",
           [] {
             expect_found({"r_0.png", "./r_0", FoundBy::Ending}, {{".png", ".jpg"}, {}});
             expect_found({"r_0.JPG", ".\\r_0", FoundBy::OtherCase}, {{".png", ".jpg"}, {}});
             expect_found({"x.png", "x.tga", FoundBy::OtherEnding}, {{}, {".png", ".jpg"}});
             expect_found({"x.jpg", "C:\\t\\x.tif", FoundBy::OtherEnding}, {{}, {".png", ".jpg"}});
             expect_found({"x.png", "x.tga", FoundBy::Nothing});
           }},
          {"what is no file: a folder, a pipe, an empty name, a name with a zero byte",
           "never opened; says what was tried",
           [] {
             expect_found({"x.png/y", "x.png", FoundBy::Nothing});
             expect_found({"x.png", "", FoundBy::Nothing});
             expect_found({"x.png", " \" ", FoundBy::Nothing});
             expect_found({"x.png", std::string("x.png\0.txt", 10), FoundBy::Nothing});
             expect_found({"x.png", "..", FoundBy::Nothing});
             expect_found({"x.png", "/", FoundBy::Nothing});
             expect_found({"x.png", "C:\\", FoundBy::Nothing});
             expect_found({"x.png", std::string(100000, 'a'), FoundBy::Nothing});
             expect_found({"x.png", "/dev/zero", FoundBy::Nothing});
             const TemporaryFolder root;
             ASSERT_EQ(mkfifo((root / "pipe.png").c_str(), 0600), 0);
             PathResolver paths({root.string()});
             EXPECT_FALSE(paths.find("pipe.png"));
             EXPECT_THAT(paths.find("pipe.png").tried, HasSubstr("not a regular file"));
           }},
      });
}

TEST(PathResolver, PrefersTheNearerFile) {
  const TemporaryFolder root;
  for (const char* name : {"x.png", "X.png", "tex/x.png", "textures/x.png", "a/tex/x.png"}) put(root, name);
  PathResolver paths({root / "tex", root.string()});
  EXPECT_EQ(paths.find("x.png").path, root / "tex/x.png");
  EXPECT_EQ(paths.find("X.png").path, root / "X.png");
  EXPECT_EQ(paths.find("/old/a/tex/x.png").path, root / "a/tex/x.png");
  EXPECT_EQ(paths.find("textures\\x.png").path, root / "textures/x.png");
}

TEST(PathResolver, SaysEachWayOnceAndWhetherNamesCollide) {
  const TemporaryFolder root;
  for (const char* name : {"a/1.png", "a/2.png", "3.png"}) put(root, name);
  PathResolver paths({root.string()});
  paths.find("a\\1.png");
  paths.find("a\\2.png");
  paths.find("D:\\train\\3.png");
  paths.find("D:\\test\\3.png");
  const auto notes = paths.take_notes();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0].text, cat("'a\\1.png' was found with slashes for its backslashes: ", root / "a/1.png",
                               " (and 1 other alike)"));
  EXPECT_FALSE(notes[0].is_warning);
  EXPECT_THAT(notes[1].text, HasSubstr("several names led to one file"));
  EXPECT_TRUE(notes[1].is_warning);
  EXPECT_TRUE(paths.take_notes().empty());
}

TEST(PathResolver, SaysWhereItLooked) {
  PathResolver paths({"/nowhere/a", "/nowhere/b"});
  EXPECT_EQ(paths.find("C:\\t\\x.png").tried,
            "there is no 'C:\\t\\x.png'; looked for it and for its last name 'x.png' in /nowhere/a and "
            "/nowhere/b and "
            "in folders such as textures there, in any letter case");
}

}  // namespace
}  // namespace t3d::io
