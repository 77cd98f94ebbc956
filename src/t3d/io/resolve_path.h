#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace t3d::io {

/// How a path that a file contains led to a file on this machine, from the nearest to the farthest.
enum class FoundBy {
  Nothing,      // no such file: ResolvedPath::tried says where it was looked for
  AsWritten,    // beside the containing file, in its parents, or an absolute path of this machine
  Cleaned,      // without surrounding blanks and quotes, or without file://
  Slashes,      // its backslashes are slashes
  Decoded,      // percent-decoded
  Latin1,       // its bytes are Latin-1, those of the file's name UTF-8
  Ending,       // one of PathOptions::endings added
  OtherCase,    // other letter case, or another form of the same letters in Unicode
  Tail,         // the last folders and the name of a path of another machine
  LastName,     // its last name alone, beside the containing file
  Sibling,      // its last name, in a folder such as textures/
  OtherEnding,  // the same name with another of PathOptions::other_endings
};

struct ResolvedPath {
  std::string path;  // can be opened; empty when nothing was found
  FoundBy by = FoundBy::Nothing;
  std::string tried;  // only when nothing was found: "there is no 'x.png' in ...; also looked for ..."
  explicit operator bool() const { return by != FoundBy::Nothing; }
};

struct PathOptions {
  std::vector<std::string> endings;        // added to names that are not there without: {".png"}
  std::vector<std::string> other_endings;  // in place of the name's own, as the last resort
  bool with_siblings = true;               // look for the last name in other folders, too
};

/// Finds the files that another file names: textures of a material library, buffers of a glTF, images of a
/// data set. Only regular files are found (through links, too); nothing is refused for lying outside of the
/// folder.
///
///     PathResolver paths({folder_of(mtl), folder_of(obj)});
///     if (const ResolvedPath image = paths.find("C:\\Users\\me\\tex.png")) read_image(image.path);
///     paths.log_notes("chair.obj");  // one line for each way in which a name was not as written
///
/// Cost: one look at the disk for a name that is as written; folders are listed once. Throws nothing.
class PathResolver {
 public:
  /// `folders`: where relative names begin, tried in this order ("" is the working folder).
  explicit PathResolver(std::vector<std::string> folders, PathOptions options = {});

  ResolvedPath find(const std::string& written);

  /// What was found and not as written, since the last call: one line for each kind with its first name and
  /// how many others there are. The ways that could be another file (Tail and below) are warnings.
  struct Note {
    std::string text;
    bool is_warning = false;
  };
  std::vector<Note> take_notes();
  /// The same lines into the log; `file` is the containing file.
  void log_notes(const std::string& file);

 private:
  using Entries = std::vector<std::pair<std::string, std::string>>;  // folded name, name
  struct Seen {
    std::string written, path;
    int n = 0;
    std::map<std::string, std::string> names;  // written, by the path it led to
    bool is_shared = false;                    // two names led to one file
  };

  ResolvedPath search(const std::string& written, bool with_endings);
  std::string exact(const std::string& folder, const std::string& name, const std::string& ending) const;
  std::string any_case(const std::string& folder, const std::vector<std::string>& parts, size_t at);
  const Entries& entries(const std::string& folder);
  std::vector<std::string> neighbours(const std::string& folder);
  std::string not_found(const std::string& written) const;

  std::vector<std::string> folders_;
  PathOptions options_;
  std::map<std::string, Entries> listed_;
  std::map<FoundBy, Seen> seen_;
};

/// The folder that a file lies in, as a prefix that names can be put behind: "a/b.obj" gives "a", "b.obj" "".
std::string folder_of(const std::string& path);

/// Percent-decoding (RFC 3986); a percent sign without two hexadecimal digits stays.
std::string percent_decoded(const std::string& text);

}  // namespace t3d::io
