#include "t3d/core/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const char* const kPointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 3438167540\n";

TEST(FileKind, NamesWhatStandsWhereAFileShouldBe) {
  EXPECT_EQ(file_kind(""), "empty");
  EXPECT_THAT(file_kind(kPointer), HasSubstr("Git LFS pointer that stands for a file of 3.2 GiB"));
  EXPECT_THAT(file_kind("<!DOCTYPE html>\n<html><head><title>Sign in</title>"),
              HasSubstr("a web page (\"Sign in\")"));
  EXPECT_THAT(file_kind("\n  <HTML lang=\"en\">"), HasSubstr("a web page"));
  EXPECT_THAT(file_kind("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
              HasSubstr("error message (AccessDenied)"));
  EXPECT_THAT(file_kind("Entry not found"), HasSubstr("a server's answer, \"Entry not found\""));
  EXPECT_THAT(file_kind("{\"error\":\"Repository not found\"}"), HasSubstr("a server's answer"));
  EXPECT_THAT(file_kind(std::string(4096, '\0')), HasSubstr("nothing but zeros"));
}

TEST(FileKind, NamesArchivesAndOtherFormats) {
  EXPECT_EQ(file_kind(std::string("PK\x03\x04", 4) + std::string(26, 'x') + "model.safetensors"),
            "a zip archive");
  EXPECT_EQ(file_kind(std::string("PK\x03\x04", 4) + std::string(26, 'x') + "archive/data.pkl"),
            "a file of torch.save");
  EXPECT_EQ(file_kind("\x1f\x8b\x08"), "a gzip archive");
  EXPECT_EQ(file_kind("GGUF\x03"), "a GGUF model (llama.cpp, stable-diffusion.cpp)");
  EXPECT_EQ(file_kind("\x89PNG\r\n\x1a\n"), "a PNG image");
  EXPECT_EQ(file_kind(std::string("\x10\0\0\0\0\0\0\0{\"a\":{}}", 16)), "a safetensors file");
  EXPECT_EQ(file_kind("v 0 0 1\n"), "");
  EXPECT_EQ(file_kind("<p>not a page"), "");
  EXPECT_EQ(file_kind_hint("PK\x03\x04", "zip"), "");
  EXPECT_THAT(file_kind_hint("PK\x03\x04"), HasSubstr(" It is a zip archive. Unpack it"));
}

TEST(FileKind, UnfinishedDownloadsAreKnownByName) {
  for (const char* name : {"m.safetensors.part", "m.crdownload", "x/9f1c.incomplete", "m.ckpt.aria2"})
    EXPECT_EQ(unfinished_download(name), "an unfinished download") << name;
  EXPECT_EQ(unfinished_download("model.safetensors"), "");
}

TEST(FileKind, ReadersOfTextsSayIt) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "c.yaml", kPointer);
  EXPECT_THAT(message_of<UserError>([&] { config::read_yaml_file(folder / "c.yaml"); }),
              HasSubstr("c.yaml: is a Git LFS pointer"));
  testing::write_text(folder / "c.yaml", "<!doctype html><title>404</title>");
  EXPECT_THAT(message_of<UserError>([&] { config::read_yaml_file(folder / "c.yaml"); }),
              HasSubstr("web page"));
  EXPECT_THAT(message_of<UserError>([] { parse_json("<html>", "t.json"); }),
              HasSubstr("t.json: is a web page"));
  EXPECT_THAT(message_of<UserError>([] { parse_json("", "t.json"); }), HasSubstr("t.json: is empty"));
  EXPECT_THAT(message_of<UserError>([] { parse_json(std::string("PK\x03\x04\0\0", 6), "t.json"); }),
              HasSubstr("It is a zip archive"));
  EXPECT_THAT(message_of<UserError>([] { parse_json("{\"a\":", "t.json"); }),
              HasSubstr("may have been cut off"));
}

}  // namespace
}  // namespace t3d
