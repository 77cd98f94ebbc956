#include "t3d/diffusion/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/unicode.h"
#include "t3d/io/json_file.h"
#include "tests/support/format_table.h"
#include "tests/support/golden_options.h"
#include "tests/support/temporary_folder.h"

namespace t3d::diffusion {
namespace {

using t3d::testing::GoldenOptions;
using ::testing::HasSubstr;

std::string tokenizer_folder(const std::string& model) {
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

// Each line agrees with Python 3.11's str.lower.
TEST(LowerCase, FollowsUnicodesSpecialCasing) {
  const std::pair<const char32_t*, const char32_t*> cases[] = {
      {U"\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3", U"\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c2"},
      {U"\u03a3", U"\u03c3"},                    // alone: no letter before it
      {U"A\u03a3 B", U"a\u03c2 b"},              // a word's end
      {U"A\u03a3B", U"a\u03c3b"},                // within a word
      {U"A\u03a3\u03a3", U"a\u03c3\u03c2"},      // the last of two
      {U"A\u03a3.", U"a\u03c2."},                // a full stop may stand within a word: none follows
      {U"A\u03a3.B", U"a\u03c3.b"},              // here one does
      {U"A\u03a3'\u0301b", U"a\u03c3'\u0301b"},  // an apostrophe and a mark are passed over
      {U"A\u03a3\u2019S \u03a3", U"a\u03c3\u2019s \u03c3"},
      {U"A.\u03a3", U"a.\u03c2"},                        // before it as well
      {U"A\u00ad\u03a3\u200d", U"a\u00ad\u03c2\u200d"},  // soft hyphen, joiner: format characters
      {U"1\u03a3", U"1\u03c3"},                          // a digit is no letter
      {U"A1\u03a3", U"a1\u03c3"},
      {U"A-\u03a3", U"a-\u03c3"},
      {U"\u2160\u03a3", U"\u2170\u03c2"},          // Roman numeral one is cased
      {U"A\u03a3\u24b6", U"a\u03c3\u24d0"},        // so is an A in a circle
      {U"\u4e2d\u03a3", U"\u4e2d\u03c3"},          // an ideograph is not
      {U"\u02b0\u03a3", U"\u02b0\u03c3"},          // a modifier letter is passed over
      {U"\U0001d400\u03a3", U"\U0001d400\u03c2"},  // a mathematical letter
      {U"\u0130STANBUL", U"i\u0307stanbul"},       // the one that becomes two
      {U"A\u03a3\u0130", U"a\u03c3i\u0307"},
      {U"\u1e9e \u212a \u01c5 \u1f88", U"\u00df k \u01c6 \u1f80"},
      {U"\u10a0 \u13a0 \u1c90", U"\u2d00 \uab70 \u10d0"},  // Georgian and Cherokee
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(lower_case(text), expected) << encode_utf8(text);
}

TEST(LowerCase, HoldsInBothKindsOfPrompt) {
  for (const auto cleaning : {PromptCleaning::Diffusers, PromptCleaning::OpenClip})
    EXPECT_EQ(clean_prompt("\u039f\u0394\u039f\u03a3  \u03a3\u039f\u03a3!", cleaning),
              U"\u03bf\u03b4\u03bf\u03c2 \u03c3\u03bf\u03c2!");
}

TEST(GoldenTokenizer, AllPromptsAreIdentical) {
  T3D_NEED_CASES("tokenizer_cases.json");
  const nlohmann::json cases = io::read_json_file(t3d::testing::golden_folder() + "/tokenizer_cases.json");
  const GoldenOptions options("tokenizer_cases.json");
  const auto longest = static_cast<size_t>(options.whole("model_max_length"));
  const auto tokenizer =
      ClipTokenizer::from_folder(t3d::testing::golden_folder() + "/" + options.text("tokenizer"));
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
    auto padded = one.value(cat("ids_truncated_", longest), expected);
    EXPECT_EQ(tokenizer.encode_padded(text).cut.empty(), expected.size() <= longest);
    padded.resize(longest, tokenizer.pad_id());
    EXPECT_EQ(tokenizer.encode_padded(text).ids, padded);
  }
  EXPECT_GT(cases.at("prompts").size(), 0u);
  t3d::testing::record_golden("tokenizer/prompts", n_wrong);
}

TEST(GoldenTokenizer, PaddingIsTheFilesChoice) {
  T3D_NEED_CASES("tokenizer_cases.json");
  const GoldenOptions options("tokenizer_cases.json");
  for (const auto& [model, id] : options.at("pad_token_id").items()) {
    const auto tokenizer = ClipTokenizer::from_folder(tokenizer_folder(model));
    EXPECT_EQ(tokenizer.pad_id(), id) << model;
    const auto empty = tokenizer.encode_padded("");
    EXPECT_EQ(empty.n_used, 2) << model;
    EXPECT_EQ(empty.ids.back(), id) << model;
  }
}

TEST(GoldenTokenizer, SaysWhatItCutAndWhatItCannotRead) {
  T3D_NEED_CASES("tokenizer_cases.json");
  const auto tokenizer = ClipTokenizer::from_folder(tokenizer_folder("sd1-tiny"));
  std::string text;
  for (int64_t i = 2; i < GoldenOptions("tokenizer_cases.json").whole("model_max_length"); ++i)
    text += "cat ";
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

/// The bytes, two merges and the special tokens: every text has ids.
nlohmann::json small_vocabulary() {
  nlohmann::json out;
  for (const char* end : {"", "</w>"})
    for (const char32_t c : byte_characters()) {
      std::string token;
      append_utf8(token, c);
      out[token + end] = static_cast<int>(out.size());
    }
  for (const char* token : {"th", "the</w>", "<|startoftext|>", "<|endoftext|>"})
    out[token] = static_cast<int>(out.size());
  return out;
}
const std::vector<int64_t> kTheIds = {514, 513, 515};

void write_pair(const std::string& folder) {
  std::filesystem::create_directories(folder);
  io::write_json_file(folder + "/vocab.json", small_vocabulary());
  t3d::testing::write_text(folder + "/merges.txt", "#version: 0.2\nt h\nth e</w>\n");
}
/// `merges`: as strings, or as pairs.
nlohmann::json fast(const nlohmann::json& merges) {
  return {{"version", "1.0"},
          {"padding", nullptr},
          {"model", {{"type", "BPE"}, {"vocab", small_vocabulary()}, {"merges", merges}}}};
}
void write_fast(const std::string& folder, const nlohmann::json& tokenizer) {
  std::filesystem::create_directories(folder);
  io::write_json_file(folder + "/tokenizer.json", tokenizer);
}
std::string refusal(const std::string& folder) {
  try {
    ClipTokenizer::from_folder(folder);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

void two_files() {
  const t3d::testing::TemporaryFolder folder;
  write_pair(folder / "t");
  EXPECT_EQ(ClipTokenizer::from_folder(folder / "t").encode("The"), kTheIds);
}
void fast_file_alone() {
  const t3d::testing::TemporaryFolder folder;
  write_fast(folder / "strings", fast({"t h", "th e</w>"}));
  write_fast(folder / "pairs", fast(nlohmann::json::array({nlohmann::json::array({"t", "h"}),
                                                           nlohmann::json::array({"th", "e</w>"})})));
  auto without_specials = fast({"t h", "th e</w>"});
  without_specials["model"]["vocab"].erase("<|startoftext|>");
  without_specials["model"]["vocab"].erase("<|endoftext|>");
  without_specials["added_tokens"] = {{{"id", 514}, {"content", "<|startoftext|>"}, {"special", true}},
                                      {{"id", 515}, {"content", "<|endoftext|>"}, {"special", true}}};
  write_fast(folder / "added", without_specials);
  for (const char* name : {"strings", "pairs", "added"}) {
    const auto tokenizer = ClipTokenizer::from_folder(folder / name);
    EXPECT_EQ(tokenizer.encode("The"), kTheIds) << name;
    EXPECT_EQ(tokenizer.pad_id(), 515) << name;
  }
  t3d::testing::write_text(folder / "pairs/tokenizer_config.json",
                           R"({"pad_token": "!", "model_max_length": 12})");
  const auto padded = ClipTokenizer::from_folder(folder / "pairs");
  EXPECT_EQ(padded.pad_id(), small_vocabulary()["!"].get<int64_t>());
  EXPECT_EQ(padded.max_length(), 12);
}
void other_places() {
  const t3d::testing::TemporaryFolder folder;
  EXPECT_EQ(find_tokenizer(folder.string()), "");
  write_fast(folder / "text_encoder", fast({"t h"}));
  EXPECT_EQ(find_tokenizer(folder.string()), folder / "text_encoder");
  write_pair(folder.string());
  EXPECT_EQ(find_tokenizer(folder.string()), folder.string());
  write_pair(folder / "tokenizer");
  EXPECT_EQ(find_tokenizer(folder.string()), folder / "tokenizer");
  t3d::testing::write_text(folder / "model.safetensors", "x");
  EXPECT_EQ(find_tokenizer(folder / "model.safetensors"), folder / "tokenizer");
}
void both_forms() {
  const t3d::testing::TemporaryFolder folder;
  write_pair(folder.string());
  write_fast(folder.string(), fast(nlohmann::json::array()));
  EXPECT_EQ(ClipTokenizer::from_folder(folder.string()).encode("The"), kTheIds);
  std::filesystem::remove(folder / "merges.txt");
  EXPECT_EQ(ClipTokenizer::from_folder(folder.string()).encode("The").size(), 5u);
}
void other_tokenizers() {
  const t3d::testing::TemporaryFolder folder;
  auto other = fast(nlohmann::json::array());
  other["model"]["type"] = "WordPiece";
  write_fast(folder / "w", other);
  EXPECT_THAT(refusal(folder / "w"), HasSubstr("its model is of type \"WordPiece\", but CLIP's is BPE"));
  write_fast(folder / "n", {{"model", {{"type", "BPE"}}}});
  EXPECT_THAT(refusal(folder / "n"), HasSubstr("expected a \"model\" with \"vocab\" and \"merges\""));
  write_fast(folder / "m", fast({7}));
  EXPECT_THAT(refusal(folder / "m"), HasSubstr("merges holds 7, expected two tokens"));
  auto unknown = fast(nlohmann::json::array());
  unknown["model"]["vocab"] = {{"a", 0}, {"b", 1}};
  write_fast(folder / "u", unknown);
  EXPECT_THAT(refusal(folder / "u"), HasSubstr("it is not CLIP's vocabulary"));
}
void what_is_no_tokenizer() {
  const t3d::testing::TemporaryFolder folder;
  write_pair(folder.string());
  t3d::testing::write_text(folder / "merges.txt",
                           "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 524619\n");
  EXPECT_THAT(refusal(folder.string()), HasSubstr("merges.txt: is a Git LFS pointer"));
  t3d::testing::write_text(folder / "vocab.json", "<!doctype html><title>Sign in</title>");
  EXPECT_THAT(refusal(folder.string()), HasSubstr("vocab.json: is a web page (\"Sign in\")"));
}

TEST(TokenizerFormats, AreReadOrNamed) {
  t3d::testing::run_format_cases(
      "tokenizers",
      {{"`vocab.json` and `merges.txt`", "read", two_files},
       {"`tokenizer.json` alone: merges as strings or pairs, special tokens among the added ones", "read",
        fast_file_alone},
       {"both", "the two files are read; `tokenizer.json` where one of them is missing", both_forms},
       {"in `tokenizer/`, the model's own folder, `text_encoder/`, or beside a single file", "found",
        other_places},
       {"tokenizers of other models", "refused: says what is missing", other_tokenizers},
       {"Git LFS pointers and web pages", "refused: named for what they are", what_is_no_tokenizer}});
}

}  // namespace
}  // namespace t3d::diffusion
