#include "t3d/diffusion/weight_files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "t3d/core/text.h"
#include "t3d/core/text_ends.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStems[] = {"diffusion_pytorch_model", "pytorch_model", "model"};
constexpr const char* kEndings[] = {".safetensors", ".bin"};

constexpr int kMostShards = 1000;

bool is_variant(const std::string& text) {
  return !text.empty() && text.size() <= 40 && text.find_first_of("./-") == std::string::npos;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string::npos;
}

/// Takes "-00001-of-00002" off, from where it stands. False when something like it is there and is wrong.
bool take_shard(std::string& text, WeightFileName& out) {
  const size_t of = text.find("-of-");
  if (of == std::string::npos) return true;
  const size_t dash = of == 0 ? std::string::npos : text.rfind('-', of - 1);
  if (dash == std::string::npos) return false;
  const size_t end = std::min(text.find('.', of + 4), text.size());
  const std::string first = text.substr(dash + 1, of - dash - 1), last = text.substr(of + 4, end - of - 4);
  if (!is_number(first) || !is_number(last)) return false;
  out.shard = std::stoi(first), out.n_shards = std::stoi(last);
  text.erase(dash, end - dash);
  return out.shard >= 1 && out.shard <= out.n_shards && out.n_shards <= kMostShards;
}

/// Of a set: what its files have in common.
using Key = std::tuple<std::string, std::string, std::string, int>;  // stem, variant, ending, shards

int rank_of_variant(const std::string& variant) {
  if (variant.empty()) return 0;
  if (variant == "fp16") return 1;
  if (variant == "bf16") return 2;
  if (variant.find("ema") != std::string::npos) return 5;
  return starts_with(variant, "fp8") || starts_with(variant, "float8") ? 4 : 3;
}

auto order_of(const WeightSet& set) {
  return std::make_tuple(!set.missing.empty(), rank_of_variant(set.variant), set.variant,
                         set.ending != ".safetensors", set.is_sharded, set.path);
}

std::string shown(const WeightSet& set) {
  return fs::path(set.path).filename().string();
}

}  // namespace

bool parse_weight_file_name(const std::string& name, WeightFileName& out) {
  out = {};
  std::string rest = name;
  if (ends_with(rest, ".json")) {
    rest.resize(rest.size() - 5);
    const size_t index = rest.rfind(".index");
    if (index == std::string::npos) return false;
    const std::string behind = rest.substr(index + 6);  // "" or ".fp16"
    if (!behind.empty()) {
      if (behind[0] != '.' || !is_variant(behind.substr(1))) return false;
      out.variant = behind.substr(1);
    }
    rest.resize(index);
    out.is_index = true;
  }
  for (const char* ending : kEndings)
    if (ends_with(rest, ending)) out.ending = ending;
  if (out.ending.empty()) return false;
  rest.resize(rest.size() - out.ending.size());
  if (!take_shard(rest, out) || (out.is_index && out.shard > 0)) return false;
  for (const char* stem : kStems) {
    const std::string start = stem;
    if (rest == start) {
      out.stem = start;
      return true;
    }
    if (starts_with(rest, start + ".") && out.variant.empty() && is_variant(rest.substr(start.size() + 1))) {
      out.stem = start;
      out.variant = rest.substr(start.size() + 1);
      return true;
    }
  }
  return false;
}

std::string find_shard(const std::string& folder, const std::string& name) {
  std::error_code none;
  if (fs::is_regular_file(fs::path(folder) / name, none)) return name;
  WeightFileName wanted, found;
  if (!parse_weight_file_name(name, wanted) || wanted.shard == 0) return "";
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string other = entry.path().filename().string();
    if (parse_weight_file_name(other, found) && found.stem == wanted.stem && found.ending == wanted.ending &&
        found.shard == wanted.shard && found.n_shards == wanted.n_shards && found.variant == wanted.variant)
      return other;
  }
  return "";
}

std::vector<std::string> shards_of(const std::string& path, std::vector<std::string>& missing) {
  const std::string folder = fs::path(path).parent_path().string(), name = fs::path(path).filename().string();
  WeightFileName parts;
  std::vector<std::string> files;
  if (!parse_weight_file_name(name, parts) || parts.shard == 0) return files;
  for (int i = 1; i <= parts.n_shards; ++i) {
    std::string number = std::to_string(i);
    number = std::string(number.size() < 5 ? 5 - number.size() : 0, '0') + number;
    std::string other = name;
    const size_t at = name.find("-of-");
    const size_t dash = name.rfind('-', at - 1);
    other.replace(dash + 1, at - dash - 1, number);
    const std::string found = find_shard(folder.empty() ? "." : folder, other);
    if (found.empty())
      missing.push_back(other);
    else
      files.push_back((fs::path(folder) / found).string());
  }
  return files;
}

std::vector<WeightSet> weight_sets(const std::string& folder) {
  std::map<Key, WeightSet> sets;
  std::map<Key, std::string> indices;  // by stem, variant, ending; shards 0
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.is_regular_file(none)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  WeightFileName parts;
  for (const std::string& name : names) {
    if (!parse_weight_file_name(name, parts)) continue;
    const std::string path = (fs::path(folder) / name).string();
    if (parts.is_index) {
      indices[{parts.stem, parts.variant, parts.ending, 0}] = path;
      continue;
    }
    WeightSet& set = sets[{parts.stem, parts.variant, parts.ending, parts.n_shards}];
    set.variant = parts.variant, set.ending = parts.ending, set.is_sharded = parts.shard > 0;
    if (set.path.empty()) set.path = path;
    set.files.push_back(path);
  }
  std::vector<WeightSet> out;
  for (auto& [key, set] : sets) {
    if (set.is_sharded) {
      const auto index = indices.find({std::get<0>(key), set.variant, set.ending, 0});
      if (index != indices.end()) continue;  // below, with its index
      shards_of(set.path, set.missing);
    }
    out.push_back(set);
  }
  for (const auto& [key, path] : indices) {
    WeightSet set;
    set.variant = std::get<1>(key), set.ending = std::get<2>(key), set.path = path, set.is_sharded = true;
    set.files.push_back(path);
    std::set<std::string> shards;
    const auto index = io::read_json_file(path);
    if (index.is_object() && index.contains("weight_map") && index["weight_map"].is_object())
      for (const auto& file : index["weight_map"])
        if (file.is_string() && file.get<std::string>().find('/') == std::string::npos)
          shards.insert(file.get<std::string>());
    for (const std::string& shard : shards) {
      const std::string found = find_shard(folder, shard);
      if (found.empty())
        set.missing.push_back(shard);
      else
        set.files.push_back((fs::path(folder) / found).string());
    }
    out.push_back(set);
  }
  std::sort(out.begin(), out.end(),
            [](const WeightSet& a, const WeightSet& b) { return order_of(a) < order_of(b); });
  return out;
}

std::string choice_text(const std::vector<WeightSet>& sets, const std::string& folder) {
  if (sets.empty() || (sets.size() == 1 && sets[0].variant.empty())) return "";
  std::string others;
  for (size_t i = 1; i < sets.size(); ++i)
    others += cat(i == 1 ? "" : ", ", shown(sets[i]),
                  sets[i].missing.empty() ? "" : " (not all of its shards are there)");
  return cat(folder, ": reads ", shown(sets[0]), others.empty() ? ", a variant" : cat("; not ", others), ".");
}

}  // namespace t3d::diffusion
