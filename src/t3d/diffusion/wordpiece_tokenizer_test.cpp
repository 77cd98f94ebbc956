#include "t3d/diffusion/wordpiece_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "tests/support/temporary_folder.h"

namespace t3d::diffusion {
namespace {

using ::testing::ElementsAre;

//                               0      1      2     3      4     5     6    7     8    9  10 11 12  13
constexpr const char* kWords =
    "[UNK]\n[CLS]\nwant\n##want\n##ed\nwa\nun\nrunn\n##ing\n,\nlow\n.\nhello\ncafe\n\xE4\xBD\xA0\n";

TEST(WordPieceTokenizer, TakesTheLongestPiecesFromTheLeft) {
  const WordPieceTokenizer tokenizer(kWords, "vocab");
  EXPECT_THAT(tokenizer.encode("unwanted running"), ElementsAre(6, 3, 4, 7, 8));
  EXPECT_THAT(tokenizer.encode("unwantedX running"), ElementsAre(0, 7, 8)) << "a rest makes the word unknown";
  EXPECT_THAT(tokenizer.encode(std::string(101, 'w')), ElementsAre(0));
}

TEST(WordPieceTokenizer, SplitsAtSpacePunctuationAndIdeographs) {
  const WordPieceTokenizer tokenizer(kWords, "vocab");
  EXPECT_THAT(tokenizer.encode(" \thello,want.\r\n low\xC2\xA0low"), ElementsAre(12, 9, 2, 11, 10, 10));
  EXPECT_THAT(tokenizer.encode("hello\xE4\xBD\xA0hello"), ElementsAre(12, 14, 12));
  EXPECT_THAT(tokenizer.encode("he\x01llo"), ElementsAre(12)) << "control characters go";
}

TEST(WordPieceTokenizer, LowersAndLosesAccentsUnlessToldOtherwise) {
  WordPieceTokenizer tokenizer(kWords, "vocab");
  EXPECT_THAT(tokenizer.encode("HeLLo Caf\xC3\xA9"), ElementsAre(12, 13));
  EXPECT_THAT(tokenizer.encode("Cafe\xCC\x81"), ElementsAre(13)) << "decomposed";
  tokenizer.lower_case = tokenizer.strip_accents = false;
  EXPECT_THAT(tokenizer.encode("hello Hello caf\xC3\xA9"), ElementsAre(12, 0, 0));
}

TEST(WordPieceTokenizer, ASigmaAtAWordsEndIsTheFinalOne) {
  const WordPieceTokenizer tokenizer(std::string(kWords) + "\u03bf\u03c2\n\u03c3\u03bf\n", "vocab");
  EXPECT_THAT(tokenizer.encode("\u039f\u03a3 \u03a3\u039f, \u039f\u03a3"), ElementsAre(15, 16, 9, 15));
}

TEST(WordPieceTokenizer, ReadsAFolderAndItsOptions) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "vocab.txt", kWords);
  EXPECT_THAT(WordPieceTokenizer::from_folder(folder.string()).encode("Hello"), ElementsAre(12));
  write_file_atomically(folder / "tokenizer_config.json",
                        R"({"do_lower_case": false, "strip_accents": null})");
  EXPECT_THAT(WordPieceTokenizer::from_folder(folder.string()).encode("Hello"), ElementsAre(0));
}

TEST(WordPieceTokenizer, RefusesWhatIsNoVocabularyOrNoText) {
  EXPECT_THROW(WordPieceTokenizer("a\nb\n", "vocab"), UserError) << "no [UNK]";
  EXPECT_THROW(WordPieceTokenizer("[UNK]\na\na\n", "vocab"), UserError);
  const WordPieceTokenizer tokenizer(kWords, "vocab");
  EXPECT_THROW(tokenizer.encode("\xff"), UserError);
  EXPECT_THROW(tokenizer.id_of("side"), UserError);
  EXPECT_THROW(WordPieceTokenizer::from_folder("/nowhere"), SystemError);
}

}  // namespace
}  // namespace t3d::diffusion
