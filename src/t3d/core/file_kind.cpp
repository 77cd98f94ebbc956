#include "t3d/core/file_kind.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/core/text_ends.h"

namespace t3d {
namespace {

constexpr size_t kLooked = 4096;

struct Magic {
  std::string_view bytes;
  size_t at;
  const char* name;  ///< what `own` calls it
  const char* what;
  const char* remedy;
};

constexpr const char* kUnpack = "Unpack it and name the file inside";
constexpr const char* kOther = "Name another file";

const Magic kMagics[] = {
    {{"PK\x03\x04", 4}, 0, "zip", "a zip archive", kUnpack},
    {{"PK\x05\x06", 4}, 0, "zip", "an empty zip archive", kOther},
    {{"\x1f\x8b", 2}, 0, "gzip", "a gzip archive", kUnpack},
    {{"\xfd\x37zXZ", 5}, 0, "xz", "an xz archive", kUnpack},
    {{"BZh", 3}, 0, "bzip2", "a bzip2 archive", kUnpack},
    {{"\x28\xb5\x2f\xfd", 4}, 0, "zstd", "a zstd archive", kUnpack},
    {{"7z\xbc\xaf\x27\x1c", 6}, 0, "7z", "a 7z archive", kUnpack},
    {{"Rar!\x1a\x07", 6}, 0, "rar", "a rar archive", kUnpack},
    {{"ustar", 5}, 257, "tar", "a tar archive", kUnpack},
    {{"GGUF", 4},
     0,
     "gguf",
     "a GGUF model (llama.cpp, stable-diffusion.cpp)",
     "Get the model as .safetensors"},
    {{"\x89HDF\r\n\x1a\n", 8}, 0, "hdf5", "an HDF5 file", "Get it in the format that was asked for"},
    {{"\x89PNG\r\n\x1a\n", 8}, 0, "png", "a PNG image", kOther},
    {{"\xff\xd8\xff", 3}, 0, "jpeg", "a JPEG image", kOther},
    {{"GIF8", 4}, 0, "gif", "a GIF image", kOther},
    {{"WEBP", 4}, 8, "webp", "a WebP image", kOther},
    {{"II*\0", 4}, 0, "tiff", "a TIFF image", kOther},
    {{"MM\0*", 4}, 0, "tiff", "a TIFF image", kOther},
    {{"ftypavif", 8}, 4, "avif", "an AVIF image", kOther},
    {{"ftypheic", 8}, 4, "heic", "an HEIC image", "Save it as PNG or JPEG"},
    {{"ftyp", 4}, 4, "mp4", "an MP4 video", kOther},
    {{"%PDF-", 5}, 0, "pdf", "a PDF document", kOther},
    {{"glTF", 4}, 0, "glb", "a GLB mesh", kOther},
    {{"ply\n", 4}, 0, "ply", "a PLY file", kOther},
    {{"ply\r\n", 5}, 0, "ply", "a PLY file", kOther},
    {{"Kaydara FBX Binary", 18}, 0, "fbx", "an FBX scene", kOther},
    {{"BLENDER", 7}, 0, "blend", "a Blender scene", "Export it from Blender as GLB"},
    {{"\x93NUMPY", 6}, 0, "npy", "a NumPy array", kOther},
    {{"SQLite format 3", 15}, 0, "sqlite", "an SQLite database", kOther},
    {{"\x7f"
      "ELF",
      4},
     0,
     "elf",
     "a program",
     kOther},
};

std::string_view trimmed(std::string_view text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// The text between two tags, at most 60 characters of it, printable; empty when there is none.
std::string between(std::string_view text, const std::string& tag) {
  const std::string small = lower(text);
  const size_t open = small.find("<" + tag), begin = small.find('>', std::min(open, small.size()));
  const size_t end = small.find("</" + tag, std::min(begin, small.size()));
  if (open == std::string::npos || begin == std::string::npos || end == std::string::npos) return "";
  std::string inner;
  for (const char c : trimmed(text.substr(begin + 1, end - begin - 1)).substr(0, 60))
    inner += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return inner;
}

struct Found {
  std::string name, what, remedy;
};

/// Pointers, pages and answers: what stands where a file should be.
Found placeholder(std::string_view start) {
  if (start.empty()) return {"empty", "empty", "Get the file again; its download did not begin"};
  const std::string_view text = trimmed(start);
  if (starts_with(text, "version https://git-lfs")) {
    const size_t size = text.find("\nsize ");
    const double n_bytes = size == std::string_view::npos
                               ? 0
                               : std::strtod(std::string(text.substr(size + 6, 20)).c_str(), nullptr);
    return {"lfs",
            cat("a Git LFS pointer that stands for ",
                n_bytes > 0 ? cat("a file of ", human_bytes(n_bytes)) : std::string("a larger file")),
            "Fetch the file itself: git lfs pull in its repository, or its page's download button"};
  }
  const std::string small = lower(text.substr(0, 256));
  if (starts_with(small, "<!doctype html") || starts_with(small, "<html") || starts_with(small, "<head") ||
      (starts_with(small, "<!--") && lower(text).find("<html") != std::string::npos) ||
      (starts_with(small, "<?xml") && lower(text).find("<html") != std::string::npos)) {
    const std::string title = between(text, "title");
    return {"html",
            cat("a web page", title.empty() ? "" : cat(" (\"", title, "\")"), ", saved instead of the file"),
            "Download the file itself, logged in where the site asks for it"};
  }
  if (starts_with(small, "<?xml") && lower(text).find("<error>") != std::string::npos)
    return {"answer", cat("a server's error message (", between(text, "code"), ")"),
            "Download the file again"};
  for (const char* answer :
       {"entry not found", "repository not found", "invalid username or password", "access to model",
        "access to this resource", "unauthorized", "forbidden", "not found", "404:", "403 ", "404 ",
        "error code:", "rate limit", "too many requests", "{\"error\":", "{\"message\":", "{\"detail\":"})
    if (text.size() < 1024 && starts_with(small, answer)) {
      std::string shown;
      for (const char c : text.substr(0, 80)) shown += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
      return {"answer", cat("a server's answer, \"", shown, "\""),
              "Download the file again, with the right to"};
    }
  if (start.size() >= 64 && std::all_of(start.begin(), start.end(), [](char c) { return c == '\0'; }))
    return {"zeros", "a file that begins with nothing but zeros, as an unfinished download does",
            "Get the file again"};
  return {};
}

Found look(std::string_view file) {
  const std::string_view start = file.substr(0, kLooked);
  if (Found found = placeholder(start); !found.what.empty()) return found;
  if (starts_with(start, "PK\x03\x04") && start.substr(0, 256).find("data.pkl") != std::string_view::npos)
    return {"torch", "a file of torch.save", "Give it the ending .pt"};
  for (const Magic& magic : kMagics)
    if (start.size() >= magic.at && start.substr(magic.at, magic.bytes.size()) == magic.bytes)
      return {magic.name, magic.what, magic.remedy};
  // The length of the header, then an object.
  if (start.size() > 10 && start[8] == '{' && (start[9] == '"' || start[9] == '}') && start[4] == '\0' &&
      start[5] == '\0' && start[6] == '\0' && start[7] == '\0')
    return {"safetensors", "a safetensors file", "Give it the ending .safetensors"};
  if (start.size() > 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5)
    return {"pickle", "a Python pickle", "Save it with torch.save, or as .safetensors"};
  return {};
}

}  // namespace

std::string file_kind(std::string_view start) {
  return look(start).what;
}

std::string file_kind_hint(std::string_view start, std::string_view own) {
  const Found found = look(start);
  if (found.what.empty() || found.name == own) return "";
  return cat(" It is ", found.what, ". ", found.remedy, ".");
}

void refuse_placeholder(std::string_view start, const std::string& path, const std::string& expected) {
  const Found found = placeholder(start.substr(0, kLooked));
  if (found.what.empty()) return;
  throw UserError(cat(path, ": is ", found.what, ", not ", expected, ". ", found.remedy, "."));
}

std::string unfinished_download(std::string_view name) {
  for (const char* ending : {".part", ".partial", ".crdownload", ".download", ".aria2", ".incomplete",
                             ".filepart", ".opdownload", ".!ut", ".tmp"})
    if (ends_with(lower(name), ending)) return "an unfinished download";
  return "";
}

}  // namespace t3d
