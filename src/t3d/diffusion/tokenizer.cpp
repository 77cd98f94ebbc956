#include "t3d/diffusion/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <queue>

#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/diffusion/unicode.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

using nlohmann::json;

constexpr const char* kStart = "<|startoftext|>";
constexpr const char* kEnd = "<|endoftext|>";
constexpr const char* kWordEnd = "</w>";
constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr int64_t kMaxTokens = 1 << 24, kFewestTokens = 3, kMostPositions = 4096;

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open() || in.bad())
    throw SystemError(
        cat(path, ": cannot be read", errno_text(),
            ". A CLIP tokenizer is a folder with vocab.json and merges.txt, or tokenizer.json."));
  if (!text.empty()) refuse_placeholder(text, path, "a part of a tokenizer");
  return text;
}

/// A token in a config: a string, or an object whose "content" is one.
std::string token_text(const json& config, const char* key, const std::string& file) {
  const json value = config.is_object() ? config.value(key, json()) : json();
  if (value.is_null()) return "";
  const json text = value.is_object() ? value.value("content", json()) : value;
  if (!text.is_string())
    throw UserError(cat(file, ": ", key, " is ", value.dump(), ", expected a token's text."));
  return text.get<std::string>();
}

}  // namespace

std::string link_target(const std::string& path) {
  std::error_code absent;
  const auto n_bytes = std::filesystem::file_size(path, absent);
  if (absent || n_bytes == 0 || n_bytes > 256) return path;
  std::string text = read_text(path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.find_first_of("\n{\"") != std::string::npos || text.find('\0') != std::string::npos) return path;
  const auto target = std::filesystem::path(path).parent_path() / text;
  return std::filesystem::is_regular_file(target, absent) ? target.string() : path;
}

std::array<char32_t, 256> byte_characters() {
  std::array<char32_t, 256> out{};
  char32_t next = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    out[b] = printable ? static_cast<char32_t>(b) : next++;
  }
  return out;
}

bool ClipTokenizer::is_folder(const std::string& folder) {
  const auto has = [&folder](const char* name) {
    std::error_code none;
    return std::filesystem::is_regular_file(std::filesystem::path(folder) / name, none);
  };
  return (has("vocab.json") && has("merges.txt")) || has("tokenizer.json");
}

/// The parts of tokenizer.json that say what CLIP's two files say; its normalizer and splitting are CLIP's
/// own.
ClipTokenizer ClipTokenizer::from_fast_file(const std::string& file, const std::string& folder) {
  const json whole = io::read_json_file(link_target(file));
  const json model = whole.is_object() ? whole.value("model", json()) : json();
  if (!model.is_object() || !model.contains("vocab") || !model.contains("merges") ||
      !model["merges"].is_array())
    throw UserError(cat(file,
                        ": expected a \"model\" with \"vocab\" and \"merges\", as fast tokenizers of "
                        "transformers have. Give CLIP's own tokenizer."));
  if (model.value("type", json("BPE")) != "BPE")
    throw UserError(cat(file, ": its model is of type ", model["type"].dump(),
                        ", but CLIP's is BPE. Give CLIP's own "
                        "tokenizer."));
  json vocabulary = model["vocab"];
  const json added = whole.value("added_tokens", json());
  if (vocabulary.is_object() && added.is_array())
    for (const json& token : added) {
      if (!token.is_object() || !token.value("content", json()).is_string() ||
          !token.value("id", json()).is_number_integer())
        throw UserError(cat(file, ": added_tokens holds ", token.dump().substr(0, 80),
                            ", expected \"content\" and \"id\"."));
      const std::string content = token["content"].get<std::string>();
      if (!vocabulary.contains(content)) vocabulary[content] = token["id"];
    }
  std::string merges;
  for (const json& merge : model["merges"]) {
    if (merge.is_string()) {
      merges += merge.get<std::string>() + "\n";
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
    } else {
      throw UserError(cat(file, ": merges holds ", merge.dump().substr(0, 80), ", expected two tokens."));
    }
  }
  ClipTokenizer out(vocabulary, merges, folder);
  const json padding = whole.value("padding", json());
  const std::string pad = token_text(padding, "pad_token", file);
  if (!pad.empty()) out.set_padding(pad, file);
  return out;
}

ClipTokenizer ClipTokenizer::from_folder(const std::string& folder) {
  const auto at = [&folder](const char* name) { return (std::filesystem::path(folder) / name).string(); };
  const bool is_fast =
      std::filesystem::exists(at("tokenizer.json")) &&
      !(std::filesystem::exists(at("vocab.json")) && std::filesystem::exists(at("merges.txt")));
  const auto from_two_files = [&] {
    const json vocabulary =
        io::read_json_file(link_target(at("vocab.json")));  // before the merges, for messages
    return ClipTokenizer(vocabulary, read_text(link_target(at("merges.txt"))), folder);
  };
  ClipTokenizer out = is_fast ? from_fast_file(at("tokenizer.json"), folder) : from_two_files();
  // SD 2.x names "!" in the first file only; transformers lets that one win.
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!std::filesystem::exists(at(name))) continue;
    const json config = io::read_json_file(at(name));
    const std::string pad = token_text(config, "pad_token", at(name));
    if (!pad.empty()) out.set_padding(pad, at(name));
    // Some files hold 1e30 for "no bound": the text encoder's bound is then CLIP's own.
    const json length = config.is_object() ? config.value("model_max_length", json()) : json();
    if (length.is_number_integer() && length.get<int64_t>() >= kFewestTokens &&
        length.get<int64_t>() <= kMostPositions)
      out.max_length_ = length.get<int64_t>();
  }
  return out;
}

ClipTokenizer::ClipTokenizer(const json& vocabulary, std::string_view merges, const std::string& folder) {
  const std::string file = folder + "/vocab.json";
  if (!vocabulary.is_object() || vocabulary.empty())
    throw UserError(cat(file, ": expected one object that gives each token its number."));
  const auto n_tokens = static_cast<int64_t>(vocabulary.size());
  if (n_tokens > kMaxTokens)
    throw UserError(cat(file, ": ", n_tokens, " tokens; at most ", kMaxTokens, " are read."));
  tokens_.resize(vocabulary.size());
  std::vector<bool> seen(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= n_tokens ||
        seen[id.get<size_t>()])
      throw UserError(cat(file, ": token \"", token, "\" has the number ", id.dump(),
                          ", expected each of 0 to ", n_tokens - 1, " once."));
    seen[id.get<size_t>()] = true;
    tokens_[id.get<size_t>()] = token;
    id_of_[token] = id.get<int32_t>();
  }
  const auto must_have = [&](const std::string& token) {
    const auto found = id_of_.find(token);
    if (found == id_of_.end())
      throw UserError(cat(file, ": has no token \"", token, "\", so it is not CLIP's vocabulary."));
    return found->second;
  };
  start_id_ = must_have(kStart);
  end_id_ = pad_id_ = must_have(kEnd);
  const auto characters = byte_characters();
  for (int b = 0; b < 256; ++b) {
    std::string token;
    append_utf8(token, characters[b]);
    byte_id_[b] = must_have(token);
    last_id_[b] = must_have(token + kWordEnd);
    byte_of_[characters[b]] = static_cast<uint8_t>(b);
  }
  read_merges(merges, folder + "/merges.txt");
}

void ClipTokenizer::set_padding(const std::string& token, const std::string& file) {
  const auto found = id_of_.find(token);
  if (found == id_of_.end()) throw UserError(cat(file, ": pad_token \"", token, "\" is not in vocab.json."));
  pad_id_ = found->second;
}

void ClipTokenizer::read_merges(std::string_view merges, const std::string& file) {
  int32_t n_line = 0, rank = 0;
  for (size_t at = 0; at < merges.size();) {
    const size_t end = std::min(merges.find('\n', at), merges.size());
    std::string_view line = merges.substr(at, end - at);
    at = end + 1;
    ++n_line;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || (n_line == 1 && line.substr(0, 9) == "#version:")) continue;
    const size_t space = line.find(' ');
    const std::string left(line.substr(0, space));
    const std::string right(space == std::string_view::npos ? "" : line.substr(space + 1));
    const auto l = id_of_.find(left), r = id_of_.find(right), both = id_of_.find(left + right);
    if (l == id_of_.end() || r == id_of_.end() || both == id_of_.end())
      throw UserError(
          cat(file, ":", n_line, ": \"", line, "\" is not two tokens of vocab.json that join into a third."));
    merges_.emplace(pair_key(l->second, r->second), Merge{rank++, both->second});
  }
}

void ClipTokenizer::append_word(std::vector<int64_t>& ids, const std::string& word) const {
  struct Piece {
    int32_t id, previous, next;
  };
  struct Candidate {
    int32_t rank, left, left_id, right_id;
    bool operator<(const Candidate& other) const {  // lowest rank first, then leftmost
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto n = static_cast<int32_t>(word.size());
  std::vector<Piece> pieces;
  for (int32_t i = 0; i < n; ++i) {
    const auto byte = static_cast<uint8_t>(word[i]);
    pieces.push_back({i + 1 == n ? last_id_[byte] : byte_id_[byte], i - 1, i + 1 == n ? -1 : i + 1});
  }
  std::priority_queue<Candidate> queue;
  const auto offer = [&](int32_t left) {
    if (left < 0 || pieces[left].next < 0) return;
    const int32_t a = pieces[left].id, b = pieces[pieces[left].next].id;
    const auto found = merges_.find(pair_key(a, b));
    if (found != merges_.end()) queue.push({found->second.rank, left, a, b});
  };
  for (int32_t i = 0; i < n; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Piece& left = pieces[best.left];
    if (left.id != best.left_id || left.next < 0 || pieces[left.next].id != best.right_id) continue;
    const int32_t gone = left.next;
    left.id = merges_.at(pair_key(best.left_id, best.right_id)).id;
    left.next = pieces[gone].next;
    pieces[gone].id = -1;
    if (left.next >= 0) pieces[left.next].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
  for (int32_t i = 0; i >= 0 && i < n; i = pieces[i].next) ids.push_back(pieces[i].id);
}

std::vector<int64_t> ClipTokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxBytes)
    throw UserError(cat("the prompt has ", text.size(), " bytes; at most ", kMaxBytes, " are read."));
  const std::vector<std::u32string> specials = {decode_utf8(kStart, "start"), decode_utf8(kEnd, "end")};
  std::vector<int64_t> ids{start_id_};
  for (const auto& word : split_prompt(clean_prompt(text, cleaning_), specials)) {
    if (word == specials[0])
      ids.push_back(start_id_);
    else if (word == specials[1])
      ids.push_back(end_id_);
    else
      append_word(ids, encode_utf8(word));
  }
  ids.push_back(end_id_);
  return ids;
}

PromptTokens ClipTokenizer::encode_padded(std::string_view text) const {
  PromptTokens out;
  out.ids = encode(text);
  const auto length = static_cast<size_t>(max_length_);
  if (out.ids.size() > length) {
    out.cut = decode({out.ids.begin() + static_cast<int64_t>(length) - 1, out.ids.end() - 1});
    out.ids.resize(length);
    out.ids.back() = end_id_;
  }
  out.n_used = static_cast<int64_t>(out.ids.size());
  out.ids.resize(length, pad_id_);
  return out;
}

std::string ClipTokenizer::decode(const std::vector<int64_t>& ids) const {
  std::string out;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t id = ids[i];
    T3D_CHECK(id >= 0 && id < vocabulary_size(), "token ", id);
    if (id == end_id_ && i > 0) break;
    if (id == start_id_ || id == end_id_) continue;
    std::string token = tokens_[id];
    const bool ends_word = token.size() > 4 && token.compare(token.size() - 4, 4, kWordEnd) == 0;
    if (ends_word) token.resize(token.size() - 4);
    for (const char32_t c : decode_utf8(token, "a token")) {
      const auto byte = byte_of_.find(c);
      if (byte != byte_of_.end()) out.push_back(static_cast<char>(byte->second));
    }
    if (ends_word) out.push_back(' ');
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace t3d::diffusion
