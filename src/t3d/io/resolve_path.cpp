#include "t3d/io/resolve_path.h"

#include <utf8proc.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "t3d/core/log.h"
#include "t3d/core/text.h"

namespace t3d::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxListed = 200000;  // entries of one folder
constexpr size_t kMaxName = 4096;      // longer names are no paths
constexpr size_t kMaxParts = 64;

/// Folders that programs put textures and images into.
const std::vector<std::string>& usual_folders() {
  static const std::vector<std::string> names = {"textures",  "texture",  "tex",   "maps",
                                                 "map",       "images",   "image", "img",
                                                 "materials", "material", "mats",  "source"};
  return names;
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : (fs::path(folder) / name).string();
}

/// Letters of either case, composed or not, become the same bytes.
std::string folded(const std::string& name) {
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t n = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(name.data()), static_cast<utf8proc_ssize_t>(name.size()),
      &out, static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  std::string result = name;
  if (n >= 0) {
    result.assign(reinterpret_cast<const char*>(out), static_cast<size_t>(n));
  } else {
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
      return c < 128 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
    });
  }
  std::free(out);
  return result;
}

/// Without surrounding blanks, quotes and control characters, and without file://.
std::string cleaned(std::string name) {
  const auto is_around = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\''; };
  while (!name.empty() && is_around(name.back())) name.pop_back();
  size_t begin = 0;
  while (begin < name.size() && is_around(name[begin])) ++begin;
  name.erase(0, begin);
  if (folded(name.substr(0, 7)) == "file://") name.erase(0, 7);
  return name;
}

std::string with_slashes(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  return name;
}

/// Bytes above 127 as the letters of Latin-1; empty when the name is UTF-8 already.
std::string from_latin1(const std::string& name) {
  utf8proc_int32_t letter = 0;
  bool is_utf8 = true;
  for (size_t at = 0; at < name.size() && is_utf8;) {
    const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(name.data()) + at,
                                    static_cast<utf8proc_ssize_t>(name.size() - at), &letter);
    is_utf8 = n > 0;
    at += static_cast<size_t>(std::max<utf8proc_ssize_t>(n, 1));
  }
  if (is_utf8) return "";
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

struct Variant {
  std::string name;
  FoundBy by;
};

/// The ways to read one written name, each once.
std::vector<Variant> variants_of(const std::string& written) {
  std::vector<Variant> all;
  const auto add = [&all](std::string name, FoundBy by) {
    if (name.empty() || name.size() > kMaxName || name.find('\0') != std::string::npos) return;
    for (const Variant& other : all)
      if (other.name == name) return;
    all.push_back({std::move(name), by});
  };
  const std::string clean = cleaned(written), slashes = with_slashes(clean);
  add(written, FoundBy::AsWritten);
  add(clean, FoundBy::Cleaned);
  add(slashes, FoundBy::Slashes);
  add(percent_decoded(clean), FoundBy::Decoded);
  add(with_slashes(percent_decoded(clean)), FoundBy::Decoded);
  add(from_latin1(slashes), FoundBy::Latin1);
  return all;
}

/// The folders and the name of a path, without "." and what stands for a drive.
std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= name.size() && parts.size() < kMaxParts) {
    const size_t end = std::min(name.find('/', begin), name.size());
    std::string part = name.substr(begin, end - begin);
    const bool has_drive =
        part.size() >= 2 && part[1] == ':' && std::isalpha(static_cast<unsigned char>(part[0]));
    if (has_drive) part.erase(0, 2);
    if (!part.empty() && part != ".") parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

bool is_absolute(const std::string& name) {
  return name[0] == '/' || (name.size() > 1 && name[1] == ':');
}

const char* way(FoundBy by) {
  switch (by) {
    case FoundBy::Cleaned:
      return "without what stands around the name";
    case FoundBy::Slashes:
      return "with slashes for its backslashes";
    case FoundBy::Decoded:
      return "with its percent signs decoded";
    case FoundBy::Latin1:
      return "its letters read as Latin-1";
    case FoundBy::Ending:
      return "with its ending";
    case FoundBy::OtherCase:
      return "in other letter case";
    case FoundBy::Tail:
      return "by the end of its path";
    case FoundBy::LastName:
      return "by its last name";
    case FoundBy::Sibling:
      return "by its last name, in another folder";
    case FoundBy::OtherEnding:
      return "with another ending";
    case FoundBy::Nothing:
    case FoundBy::AsWritten:
      break;
  }
  return "";
}

}  // namespace

std::string folder_of(const std::string& path) {
  return fs::path(path).parent_path().string();
}

std::string percent_decoded(const std::string& text) {
  const auto digit = [&text](size_t i) {
    if (i >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i]))) return -1;
    const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
    return c <= '9' ? c - '0' : c - 'a' + 10;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' ? digit(i + 1) : -1, low = high >= 0 ? digit(i + 2) : -1;
    out += low >= 0 ? static_cast<char>(16 * high + low) : text[i];
    if (low >= 0) i += 2;
  }
  return out;
}

PathResolver::PathResolver(std::vector<std::string> folders, PathOptions options)
    : folders_(std::move(folders)), options_(std::move(options)) {
  if (folders_.empty()) folders_.emplace_back();
}

ResolvedPath PathResolver::find(const std::string& written) {
  ResolvedPath found = search(written, true);
  const std::string clean = with_slashes(cleaned(written));
  const size_t dot = clean.rfind('.');
  if (!found && dot != std::string::npos && clean.find('/', dot) == std::string::npos)
    for (const std::string& ending : options_.other_endings) {
      found = search(clean.substr(0, dot) + ending, false);
      if (found) {
        found.by = FoundBy::OtherEnding;
        break;
      }
    }
  if (!found) {
    found.tried = not_found(written);
  } else if (found.by != FoundBy::AsWritten) {
    Seen& seen = seen_[found.by];
    if (seen.n++ == 0) seen.written = written, seen.path = found.path;
    const auto known = seen.names.emplace(found.path, written);
    seen.is_shared |= !known.second && known.first->second != written;
  }
  return found;
}

ResolvedPath PathResolver::search(const std::string& written, bool with_endings) {
  const std::vector<Variant> variants = variants_of(written);
  std::vector<std::string> endings = {""};
  if (with_endings) endings.insert(endings.end(), options_.endings.begin(), options_.endings.end());
  const auto as = [](std::string path, FoundBy by) { return ResolvedPath{std::move(path), by, ""}; };

  for (const std::string& ending : endings)
    for (const Variant& v : variants)
      for (const std::string& folder : folders_) {
        const std::string path = exact(folder, v.name, ending);
        if (!path.empty()) return as(path, ending.empty() ? v.by : FoundBy::Ending);
      }

  const auto in_any_case = [&](const std::string& folder, std::vector<std::string> parts) {
    const std::string name = parts.back();
    std::string path;
    for (size_t i = 0; i < endings.size() && path.empty(); ++i) {
      parts.back() = name + endings[i];
      path = any_case(folder, parts, 0);
    }
    return path;
  };
  // Backslashes are slashes from here on.
  for (const Variant& v : variants) {
    if (v.name.find('\\') != std::string::npos || is_absolute(v.name)) continue;
    const auto parts = parts_of(v.name);
    for (size_t i = 0; i < folders_.size() && !parts.empty(); ++i) {
      const std::string path = in_any_case(folders_[i], parts);
      if (!path.empty()) return as(path, FoundBy::OtherCase);
    }
  }
  for (const Variant& v : variants) {
    if (v.name.find('\\') != std::string::npos) continue;
    auto parts = parts_of(v.name);
    bool is_whole = !is_absolute(v.name);
    for (; !parts.empty(); parts.erase(parts.begin())) {
      const bool is_tail = !is_whole && parts[0] != "..";
      is_whole = false;
      for (size_t i = 0; i < folders_.size() && is_tail; ++i) {
        const std::string path = in_any_case(folders_[i], parts);
        if (!path.empty()) return as(path, parts.size() > 1 ? FoundBy::Tail : FoundBy::LastName);
      }
    }
  }
  for (const Variant& v : variants) {
    if (!options_.with_siblings || v.name.find('\\') != std::string::npos) continue;
    const auto parts = parts_of(v.name);
    if (parts.empty() || parts.back() == "..") continue;
    for (const std::string& folder : folders_)
      for (const std::string& neighbour : neighbours(folder)) {
        const std::string path = in_any_case(neighbour, {parts.back()});
        if (!path.empty()) return as(path, FoundBy::Sibling);
      }
  }
  return {};
}

std::string PathResolver::exact(const std::string& folder, const std::string& name,
                                const std::string& ending) const {
  const std::string path = joined(folder, name + ending);  // an absolute name replaces the folder
  return is_file(path) ? path : "";
}

/// The file that `parts` from `at` on name in `folder`, in any letter case; the case as written comes first.
std::string PathResolver::any_case(const std::string& folder, const std::vector<std::string>& parts,
                                   size_t at) {
  const std::string &part = parts[at], straight = joined(folder, part);
  const bool is_last = at + 1 == parts.size();
  if (is_last && is_file(straight)) return straight;
  std::error_code ignored;
  if (!is_last && fs::is_directory(straight, ignored)) {
    const std::string path = any_case(straight, parts, at + 1);
    if (!path.empty()) return path;
  }
  if (part == "..") return "";
  const Entries& all = entries(folder);
  const std::string wanted = folded(part);
  auto entry = std::lower_bound(all.begin(), all.end(), std::make_pair(wanted, std::string()));
  for (; entry != all.end() && entry->first == wanted; ++entry) {
    const std::string path = joined(folder, entry->second);
    if (is_last && is_file(path)) return path;
    if (is_last || path == straight || !fs::is_directory(path, ignored)) continue;
    const std::string deeper = any_case(path, parts, at + 1);
    if (!deeper.empty()) return deeper;
  }
  return "";
}

const PathResolver::Entries& PathResolver::entries(const std::string& folder) {
  const auto known = listed_.find(folder);
  if (known != listed_.end()) return known->second;
  Entries& all = listed_[folder];
  std::error_code error;
  fs::directory_iterator entry(folder.empty() ? "." : folder, error);
  for (; !error && entry != fs::directory_iterator() && all.size() < kMaxListed; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    all.emplace_back(folded(name), name);
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// The usual folders for textures in `folder` and beside it, then every other folder in it.
std::vector<std::string> PathResolver::neighbours(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code ignored;
  const auto add = [&](const std::string& path) {
    if (fs::is_directory(path, ignored) && std::find(found.begin(), found.end(), path) == found.end())
      found.push_back(path);
  };
  for (const std::string& base : {folder, joined(folder, "..")})
    for (const std::string& usual : usual_folders())
      for (const auto& entry : entries(base))
        if (entry.first == usual) add(joined(base, entry.second));
  constexpr size_t kMaxFolders = 64;
  for (const auto& entry : entries(folder))
    if (found.size() < kMaxFolders && entry.second[0] != '.') add(joined(folder, entry.second));
  return found;
}

std::string PathResolver::not_found(const std::string& written) const {
  const auto variants = variants_of(written);
  if (variants.empty() || cleaned(written).empty())
    return cat("'", written.substr(0, 200), "' is not the name of a file");
  std::error_code ignored;
  for (const std::string& folder : folders_)
    for (const Variant& v : variants) {
      const std::string path = joined(folder, v.name);
      if (fs::is_directory(path, ignored))
        return cat("'", written, "' is a folder, where a file is expected");
      if (fs::exists(path, ignored)) return cat("'", written, "' is not a regular file");
    }
  const auto parts = parts_of(with_slashes(cleaned(written)));
  std::string where;
  for (const std::string& folder : folders_)
    where += cat(where.empty() ? "" : " and ", folder.empty() ? "the working folder" : folder);
  const std::string last = parts.empty() ? "" : parts.back();
  return cat("there is no '", written, "'; looked for it ",
             last == written ? "" : cat("and for its last name '", last, "' "), "in ", where,
             " and in folders such as textures there, in any letter case");
}

std::vector<PathResolver::Note> PathResolver::take_notes() {
  std::vector<Note> notes;
  for (const auto& [by, seen] : seen_) {
    std::string text = cat("'", seen.written, "' was found ", way(by), ": ", seen.path);
    if (seen.n > 1) text += cat(" (and ", seen.n - 1, seen.n == 2 ? " other" : " others", " alike)");
    if (seen.is_shared) text += "; several names led to one file";
    notes.push_back({text, by >= FoundBy::Tail || seen.is_shared});
  }
  seen_.clear();
  return notes;
}

void PathResolver::log_notes(const std::string& file) {
  for (const Note& note : take_notes()) {
    const std::string line = cat(file, ": ", note.text);
    note.is_warning ? log::warning(line) : log::info(line);
  }
}

}  // namespace t3d::io
