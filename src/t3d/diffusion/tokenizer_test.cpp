#include "t3d/diffusion/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/io/json_file.h"
#include "tests/support/golden_report.h"
#include "tests/support/temporary_folder.h"

namespace t3d::diffusion {
namespace {

using ::testing::HasSubstr;

std::string tokenizer_folder(const char* model) {
  return t3d::testing::golden_folder() + "/" + model + "/tokenizer";
}

TEST(PromptText, SplitsAsClipDoes) {
  const auto words = split_prompt(clean_prompt("  It's 42\t\nNICE!?  ", PromptCleaning::Diffusers), {});
  EXPECT_EQ(words, (std::vector<std::u32string>{U"it", U"'s", U"4", U"2", U"nice", U"!?"}));
}

TEST(PromptText, OpenClipResolvesEntitiesTwice) {
  EXPECT_EQ(clean_prompt("a &amp;lt; &#233;&#xE9; &#0; &nope;", PromptCleaning::OpenClip),
            U"a < \u00e9\u00e9 \ufffd &nope;");
  EXPECT_EQ(clean_prompt("\xef\xbc\xa1 \xef\xac\x83", PromptCleaning::OpenClip), U"a ffi");
}

TEST(GoldenTokenizer, AllPromptsAreIdentical) {
  const std::string path = t3d::testing::golden_folder() + "/tokenizer_cases.json";
  T3D_NEED_FILE(path);
  const nlohmann::json cases = io::read_json_file(path);
  const auto tokenizer = ClipTokenizer::from_folder(tokenizer_folder("sd1-tiny"));
  auto open_clip = tokenizer;
  open_clip.set_cleaning(PromptCleaning::OpenClip);
  using Ids = std::vector<int64_t>;
  int n_wrong = 0;
  for (const auto& one : cases.at("prompts")) {
    const auto text = one.at("text").get<std::string>();
    SCOPED_TRACE(text);
    const auto expected = one.at("ids").get<Ids>();
    n_wrong += tokenizer.encode(text) != expected;
    EXPECT_EQ(tokenizer.encode(text), expected);
    EXPECT_EQ(open_clip.encode(text), one.value("ids_openai", expected));
    auto padded = one.value("ids_truncated_77", expected);
    EXPECT_EQ(tokenizer.encode_padded(text).cut.empty(), expected.size() <= 77);
    padded.resize(77, tokenizer.pad_id());
    EXPECT_EQ(tokenizer.encode_padded(text).ids, padded);
  }
  EXPECT_EQ(cases.at("prompts").size(), 200u);
  t3d::testing::record_golden("tokenizer/200 prompts", n_wrong);
}

TEST(GoldenTokenizer, PaddingIsTheFilesChoice) {
  T3D_NEED_FILE(tokenizer_folder("sd2-tiny") + "/vocab.json");
  EXPECT_EQ(ClipTokenizer::from_folder(tokenizer_folder("sd1-tiny")).pad_id(), 49407);
  const auto sd2 = ClipTokenizer::from_folder(tokenizer_folder("sd2-tiny"));
  EXPECT_EQ(sd2.pad_id(), 0);
  const auto empty = sd2.encode_padded("");
  EXPECT_EQ(empty.n_used, 2);
  EXPECT_EQ(empty.ids.back(), 0);
}

TEST(GoldenTokenizer, SaysWhatItCutAndWhatItCannotRead) {
  T3D_NEED_FILE(tokenizer_folder("sd1-tiny") + "/vocab.json");
  const auto tokenizer = ClipTokenizer::from_folder(tokenizer_folder("sd1-tiny"));
  std::string text;
  for (int i = 0; i < 75; ++i) text += "cat ";
  EXPECT_EQ(tokenizer.encode_padded(text).cut, "");
  EXPECT_EQ(tokenizer.encode_padded(text + "Red caf\xc3\xa9!").cut, "red caf\xc3\xa9 !");
  try {
    tokenizer.encode("a \xff cat");
    FAIL();
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("not valid UTF-8: byte 3 (0xff)"));
  }
}

TEST(GoldenTokenizer, LongWordsTakeNoLongerThanTheirLength) {
  T3D_NEED_FILE(tokenizer_folder("sd1-tiny") + "/vocab.json");
  const auto tokenizer = ClipTokenizer::from_folder(tokenizer_folder("sd1-tiny"));
  std::string word;
  for (int i = 0; i < 300000; ++i) word.push_back(static_cast<char>('a' + (i * i) % 26));
  EXPECT_GT(tokenizer.encode(word).size(), 1000u);
  EXPECT_THROW(tokenizer.encode(std::string((1 << 20) + 1, 'a')), UserError);
}

TEST(Tokenizer, RefusesAnotherVocabulary) {
  try {
    ClipTokenizer(nlohmann::json{{"<|startoftext|>", 0}, {"a", 1}}, "", "here");
    FAIL();
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("here/vocab.json: has no token \"<|endoftext|>\""));
  }
  EXPECT_THROW(ClipTokenizer(nlohmann::json{{"a", 7}}, "", "here"), UserError);
  EXPECT_THROW(ClipTokenizer(nlohmann::json{{"a", "b"}}, "", "here"), UserError);
  EXPECT_THROW(ClipTokenizer(nlohmann::json::array(), "", "here"), UserError);
}

TEST(LinkTarget, IsTheFileThatALinkWithoutLinksNames) {
  const t3d::testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "real");
  t3d::testing::write_text(folder / "real/vocab.json", "{}");
  t3d::testing::write_text(folder / "link", "real/vocab.json\n");
  t3d::testing::write_text(folder / "dangling", "real/none.json");
  EXPECT_EQ(link_target(folder / "link"), folder / "real/vocab.json");
  for (const char* itself : {"real/vocab.json", "dangling", "absent"})
    EXPECT_EQ(link_target(folder / itself), folder / itself);
}

}  // namespace
}  // namespace t3d::diffusion
