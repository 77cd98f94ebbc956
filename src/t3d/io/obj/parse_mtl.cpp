#include "t3d/io/obj/parse_mtl.h"

#include <set>

#include "t3d/core/text.h"
#include "t3d/io/text_lines.h"

namespace t3d::io::obj {
namespace {

class MtlParser {
 public:
  MtlParser(std::string_view text, const std::string& name) : lines_(text, true), name_(name) {}

  MtlFile parse() {
    while (lines_.next()) {
      Words words(lines_.line);
      const std::string key = lower_case(words.next());
      if (key.empty() || key[0] == '#') continue;
      if (key == "newmtl") {
        start(std::string(words.rest()));
      } else if (!file_.materials.empty()) {
        statement(key, words, file_.materials.back());
      }
    }
    return std::move(file_);
  }

 private:
  void note(const std::string& kind, const std::string& text) {
    if (noted_.insert(kind).second) file_.notes.push_back(cat(name_, ":", lines_.number, ": ", text));
  }

  void start(const std::string& material) {
    if (!names_.insert(material).second)
      note("twice", cat("the material '", material, "' is there twice; its first definition counts"));
    file_.materials.emplace_back();
    file_.materials.back().name = material;
  }

  void statement(const std::string& key, Words& words, MtlMaterial& m) {
    if (key == "kd") return colour(key, words, m.kd);
    if (key == "ke") return colour(key, words, m.ke);
    if (key == "d") return number(key, words, m.d);
    if (key == "tr") return number(key, words, m.tr);
    if (key == "ns") return number(key, words, m.ns);
    if (key == "pr") return number(key, words, m.pr);
    if (key == "pm") return number(key, words, m.pm);
    if (key == "map_kd") return map(key, words, m.map_kd);
    if (key == "map_ke" || key == "map_emissive") return map(key, words, m.map_ke);
    if (key == "map_d" || key == "map_opacity") return map(key, words, m.map_d);
    if (key == "map_tr") return note(key, "map_Tr is not read; write map_d, where white is opaque");
    if (key == "map_pr") return map(key, words, m.map_pr);
    if (key == "map_pm") return map(key, words, m.map_pm);
    if (key == "norm") return map(key, words, m.norm);
  }

  /// Three numbers, or one for all three. Spectral curves and CIE colours are left out.
  void colour(const std::string& key, Words& words, std::optional<Vec3f>& value) {
    const std::string all(words.rest());
    Vec3f c;
    const std::string_view first = words.next();
    if (!to_number(first, c[0]))
      return note(key, cat("'", key, " ", all, "' is no colour of numbers; it is left out"));
    const std::string_view second = words.next();
    if (second.empty() || second[0] == '#') {
      c = Vec3f::Constant(c[0]);
    } else if (!to_number(second, c[1]) || !to_number(words.next(), c[2])) {
      return note(key, cat("'", key, " ", all, "' is no colour of one or three numbers; it is left out"));
    }
    if (!c.allFinite()) return note(key, cat("'", key, " ", all, "' is not finite; it is left out"));
    value = c.cwiseMax(0.0f);
  }

  void number(const std::string& key, Words& words, std::optional<float>& value) {
    std::string_view word = words.next();
    if (key == "d" && word == "-halo") {
      note("halo", "'d -halo' depends on the angle of view; its number is taken for every angle");
      word = words.next();
    }
    float v = 0;
    if (!to_number(word, v) || !(v == v))
      return note(key, cat("'", key, " ", word, "' is no number; it is left out"));
    value = v;
  }

  /// Options stand before the name; some programs put them behind it. Names may hold blanks.
  void map(const std::string& key, Words& words, MtlMap& value) {
    MtlMap map;
    while (option(words, map)) {
    }
    std::string_view rest = words.rest();
    for (size_t at = rest.find(" -"); at != std::string_view::npos; at = rest.find(" -", at + 1)) {
      MtlMap behind = map;
      Words options(rest.substr(at));
      const auto noted = noted_;
      const size_t n_notes = file_.notes.size();
      while (option(options, behind)) {
      }
      if (!options.rest().empty()) {  // part of the name
        noted_ = noted;
        file_.notes.resize(n_notes);
        continue;
      }
      map = behind;
      rest = trimmed(rest.substr(0, at));
      break;
    }
    if (rest.empty()) return note(key + "-empty", cat("'", key, "' names no file; it is left out"));
    map.file = std::string(rest);
    value = map;
  }

  /// Takes one option and its values; false where the file's name begins.
  bool option(Words& words, MtlMap& map) {
    const std::string_view word = words.next();
    if (word == "-o" || word == "-s" || word == "-t") {
      Vec3f v = word == "-s" ? Vec3f::Ones() : Vec3f::Zero();
      if (numbers(words, v) == 0) note(std::string(word), cat("'", word, "' has no number; it is left out"));
      if (word == "-t" && !v.isZero())
        note("-t", "'-t' (turbulence) is not read; the texture is put on without it");
      if (word == "-o") map.offset = v.head<2>();
      if (word == "-s") map.scale = v.head<2>();
      return true;
    }
    if (word == "-mm") {
      Vec3f v(0, 1, 0);
      numbers(words, v, 2);
      if (v[0] != 0 || v[1] != 1)
        note("-mm", "'-mm' (base and gain) is not read; the texture keeps its own brightness");
      return true;
    }
    if (word == "-clamp") {
      map.clamps = lower_case(words.next()) == "on";
      return true;
    }
    if (word == "-imfchan") {
      const std::string_view channel = words.next();
      map.channel = channel.empty() ? char{0} : channel[0];
      return true;
    }
    for (const char* known : {"-blendu", "-blendv", "-bm", "-boost", "-cc", "-texres", "-type"})
      if (word == known) {  // filters, bump height, spheres: nothing that the base colour shows
        words.next();
        return true;
      }
    if (!word.empty()) words.back();
    return false;
  }

  /// Up to `most` numbers into v; the first word that is none stays.
  int numbers(Words& words, Vec3f& v, int most = 3) {
    int n = 0;
    for (float value; n < most; ++n) {
      const std::string_view word = words.next();
      if (!to_number(word, value) || !(value - value == 0)) {
        if (!word.empty()) words.back();
        break;
      }
      v[n] = value;
    }
    return n;
  }

  TextLines lines_;
  const std::string& name_;
  MtlFile file_;
  std::set<std::string> noted_, names_;
};

}  // namespace

MtlFile parse_mtl(std::string_view text, const std::string& name) {
  return MtlParser(text, name).parse();
}

}  // namespace t3d::io::obj
