#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

/// docs/formats.md is made by the tests that hold what it says: each format has one list of cases, and each case is
/// a line of the page and a check.
namespace t3d::testing {

struct FormatCase {
  std::string trait;    // what a file may have: "UTF-8 byte-order mark"
  std::string outcome;  // what t3d does with it: "read", "refused: names the extension"
  void (*check)();      // holds the outcome, with EXPECT_ and ASSERT_
};

/// The lines of one format as the page prints them.
inline std::string format_lines(const std::vector<FormatCase>& cases) {
  std::string text = "| what the file has | what happens |\n| --- | --- |\n";
  for (const FormatCase& one : cases) text += "| " + one.trait + " | " + one.outcome + " |\n";
  return text;
}

/// Runs every case, then holds the page's section between "<!-- cases: NAME -->" and "<!-- end -->" against them.
/// T3D_WRITE_DOCS=1 writes the section instead.
inline void run_format_cases(const std::string& name, const std::vector<FormatCase>& cases) {
  for (const FormatCase& one : cases) {
    SCOPED_TRACE(name + ": " + one.trait);
    one.check();
  }
  const std::string page = std::string(T3D_SOURCE_DIR) + "/docs/formats.md", text = read_text(page);
  const std::string head = "<!-- cases: " + name + " -->\n", tail = "<!-- end -->";
  const size_t at = text.find(head);
  ASSERT_NE(at, std::string::npos) << page << " has no section " << head;
  const size_t begin = at + head.size(), end = text.find(tail, begin);
  ASSERT_NE(end, std::string::npos) << page << ": the section " << name << " has no end";
  const std::string wanted = format_lines(cases);
  if (std::getenv("T3D_WRITE_DOCS") != nullptr) {
    write_text(page, text.substr(0, begin) + wanted + text.substr(end));
  } else {
    EXPECT_EQ(text.substr(begin, end - begin), wanted) << "T3D_WRITE_DOCS=1 writes this section of " << page;
  }
}

}  // namespace t3d::testing
