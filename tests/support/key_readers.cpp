#include "tests/support/key_readers.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace t3d::testing {
namespace {

namespace fs = std::filesystem;

struct Span {
  size_t begin, end;
};
struct Scope {
  std::string name;
  Span body;  ///< from the { to the }
};

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

void blank(std::string& text, Span span) {
  for (size_t i = span.begin; i < std::min(span.end, text.size()); ++i)
    if (text[i] != '\n') text[i] = ' ';
}

/// The text with comments, and with what stands in quotes where `texts` too, made blank. Places stay.
std::string without_comments(std::string text, bool texts) {
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (text.compare(i, 2, "//") == 0) {
      blank(text, {i, end = std::min(text.find('\n', i), text.size())});
    } else if (text.compare(i, 2, "/*") == 0) {
      blank(text, {i, end = std::min(text.find("*/", i), text.size() - 2) + 2});
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !is_word(text[i - 1])))) {
      while (end < text.size() && text[end] != text[i]) end += text[end] == '\\' ? 2 : 1;
      if (texts) blank(text, {i + 1, end});
      ++end;
    }
    i = end;
  }
  return text;
}

/// The } of a {.
size_t closing(const std::string& text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return i;
  }
  return text.size();
}

std::vector<Scope> scopes_named(const std::string& text, const std::regex& head) {
  std::vector<Scope> all;
  for (std::sregex_iterator it(text.begin(), text.end(), head), end; it != end; ++it) {
    const auto open = static_cast<size_t>(it->position() + it->length()) - 1;
    all.push_back({(*it)[1].str(), {open, closing(text, open)}});
  }
  return all;
}

std::vector<Scope> classes(const std::string& text) {
  static const std::regex head(R"(\b(?:struct|class)\s+(\w+)(?:\s+final)?\s*(?::[^;{()]*)?\{)");
  return scopes_named(text, head);
}

std::vector<Scope> visits(const std::string& text) {
  static const std::regex head(R"(\bvoid\s+(visit\w*)\([^;{)]*\)\s*(?:const\s*)?\{)");
  return scopes_named(text, head);
}

/// A file in the forms that are searched.
struct File {
  std::string with_texts;  ///< no comments
  std::string code;        ///< no texts either
  std::string readers;     ///< no visit functions either
  std::vector<Scope> classes, visits;
  std::set<std::string> includes;
};
using Files = std::map<std::string, File>;

Files parse(const Sources& sources) {
  static const std::regex include(R"(#include "(t3d/[^"]+)\")");
  Files files;
  for (const auto& [name, text] : sources) {
    File& f = files[name];
    f.with_texts = without_comments(text, false);
    f.code = f.readers = without_comments(text, true);
    f.classes = classes(f.code), f.visits = visits(f.code);
    for (const Scope& visit : f.visits) blank(f.readers, {visit.body.begin, visit.body.end + 1});
    for (std::sregex_iterator it(f.with_texts.begin(), f.with_texts.end(), include), end; it != end; ++it)
      f.includes.insert((*it)[1].str());
  }
  return files;
}

/// Whether `name` stands in the text as a word, `is_member`: behind . or ->.
bool has_word(const std::string& text, const std::string& name, bool is_member) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at > 0 && is_word(text[at - 1])) || (end < text.size() && is_word(text[end]))) continue;
    const bool is_accessed =
        at > 0 && (text[at - 1] == '.' || (at > 1 && text[at - 1] == '>' && text[at - 2] == '-'));
    if (is_accessed || !is_member) return true;
  }
  return false;
}

/// Of a class's body the functions alone, without its declarations.
std::string functions_in(const File& f, const Span& body) {
  std::string text = f.readers.substr(body.begin, body.end - body.begin);
  int depth = 0;
  for (char& c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth <= 1 && c != '\n') c = ' ';
  }
  return text;
}

/// Functions that are defined as NAME::..., each to the line of its last brace.
std::string functions_of(const File& f, const std::string& name) {
  std::string all;
  const std::string head = name + "::";
  for (size_t at = f.readers.find(head); at != std::string::npos; at = f.readers.find(head, at + 1)) {
    if (at > 0 && is_word(f.readers[at - 1])) continue;
    const size_t end = f.readers.find("\n}", at), open = f.readers.find('{', at);
    if (open < f.readers.find(';', at) || f.readers.find('(', at) < f.readers.find(';', at))
      all += f.readers.substr(at, end - at);
  }
  return all;
}

/// The files that include `header`, directly or through others, and itself.
std::vector<const File*> includers(const Files& files, const std::string& header) {
  std::set<std::string> seen = {header}, open = {header};
  while (!open.empty()) {
    const std::string next = *open.begin();
    open.erase(open.begin());
    for (const auto& [name, file] : files)
      if (file.includes.count(next) != 0 && seen.insert(name).second) open.insert(name);
  }
  std::vector<const File*> all;
  for (const auto& [name, file] : files)
    if (seen.count(name) != 0) all.push_back(&file);
  return all;
}

/// The classes around a place, the innermost first.
std::vector<const Scope*> around(const File& f, size_t at) {
  std::vector<const Scope*> all;
  for (const Scope& scope : f.classes)
    if (scope.body.begin < at && at < scope.body.end) all.push_back(&scope);
  std::sort(all.begin(), all.end(),
            [](const Scope* a, const Scope* b) { return a->body.begin > b->body.begin; });
  return all;
}

/// From a place to the comma or bracket behind it that is not inside of brackets or quotes.
std::string argument(const std::string& text, size_t begin) {
  int depth = 0;
  bool is_quoted = false;
  size_t at = begin;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"' && text[at - 1] != '\\') is_quoted = !is_quoted;
    if (is_quoted) continue;
    if (depth == 0 && (c == ',' || c == ')')) break;
    depth += c == '(' || c == '{' ? 1 : c == ')' || c == '}' ? -1 : 0;
  }
  return text.substr(begin, at - begin);
}

struct Found {
  ConfigKey key;
  std::vector<const Scope*> owners;
};

std::vector<Found> find_keys(const Files& files) {
  static const std::regex call(R"~(\bv\(\s*"([^"]+)",\s*([A-Za-z_][\w.]*),\s*)~");
  std::vector<Found> all;
  for (const auto& [name, file] : files)
    for (const Scope& visit : file.visits) {
      const std::string body = file.with_texts.substr(visit.body.begin, visit.body.end - visit.body.begin);
      const auto owners = around(file, visit.body.begin);
      std::string owner;
      for (const Scope* scope : owners) owner = scope->name + (owner.empty() ? "" : "::") + owner;
      for (std::sregex_iterator it(body.begin(), body.end(), call), end; it != end; ++it)
        all.push_back({{name, owner, (*it)[1].str(), (*it)[2].str(),
                        argument(body, static_cast<size_t>(it->position() + it->length()))},
                       owners});
    }
  return all;
}

bool is_read(const Files& files, const Found& found) {
  const ConfigKey& key = found.key;
  const std::string member = key.member.substr(key.member.rfind('.') + 1);
  const File& file = files.at(key.file);
  for (const auto& [name, f] : files)
    for (const char* by_name : {"find(\"", "given(\""})
      if (f.with_texts.find(by_name + key.name + "\")") != std::string::npos) return true;

  std::string own;  // functions of the struct that holds the member
  std::vector<const std::string*> texts;
  std::vector<std::string> parts;
  const bool is_elsewhere = key.member.find('.') != std::string::npos || found.owners.empty();
  if (is_elsewhere) {  // a struct of another kind: band.start_level of ops::ProgressiveBand
    const std::string object = key.member.substr(0, key.member.find('.'));
    std::smatch type;
    const bool is_known =
        std::regex_search(file.code, type, std::regex(R"((\w+)\s+)" + object + R"(\s*[;={])"));
    for (const auto& [name, f] : files) {
      texts.push_back(&f.readers);
      if (!is_known) continue;
      for (const Scope& scope : f.classes)
        if (scope.name == type[1].str()) own += functions_in(f, scope.body);
      own += functions_of(f, type[1].str());
    }
  } else {
    own = functions_in(file, found.owners[0]->body);
    const bool is_nested = found.owners.size() > 1;
    const std::string holder = found.owners[is_nested ? 1 : 0]->name;
    if (is_nested) {
      const Span body = found.owners[1]->body;
      parts.push_back(file.readers.substr(body.begin, body.end - body.begin));
      for (const auto& [name, f] : files) {
        parts.push_back(functions_of(f, holder));
        if (has_word(f.readers, holder + "::Config", false)) parts.push_back(f.readers);
      }
    } else {
      for (const File* f : includers(files, key.file)) texts.push_back(&f->readers);
      for (const std::string& header : file.includes)  // templates that take any such struct
        if (const auto found_header = files.find(header); found_header != files.end())
          texts.push_back(&found_header->second.readers);
      for (const auto& [name, f] : files) own += functions_of(f, holder);
    }
  }
  for (const std::string& part : parts) texts.push_back(&part);
  return has_word(own, member, false) ||
         std::any_of(texts.begin(), texts.end(),
                     [&](const std::string* text) { return has_word(*text, member, true); });
}

}  // namespace

bool ConfigKey::is_ignored() const {
  return range.find("ignored(") != std::string::npos || range.find("harmless(") != std::string::npos;
}

bool ConfigKey::is_fixed() const {
  return std::regex_search(range, std::regex(R"(one_of\(\{[^,]*\}\))"));
}

Sources read_sources(const std::string& folder) {
  Sources sources;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(folder) / "t3d")) {
    const std::string name = fs::relative(entry.path(), folder).generic_string(),
                      extension = entry.path().extension().string();
    const bool is_source = extension == ".h" || extension == ".cpp" || extension == ".cu";
    if (!is_source || name.find("_test.cpp") != std::string::npos) continue;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    sources[name] = text.str();
  }
  return sources;
}

std::vector<ConfigKey> config_keys(const Sources& sources) {
  std::vector<ConfigKey> keys;
  const Files files = parse(sources);
  for (const Found& found : find_keys(files)) keys.push_back(found.key);
  return keys;
}

std::vector<ConfigKey> keys_without_reader(const Sources& sources) {
  std::vector<ConfigKey> keys;
  const Files files = parse(sources);
  for (const Found& found : find_keys(files))
    if (!is_read(files, found)) keys.push_back(found.key);
  return keys;
}

}  // namespace t3d::testing
