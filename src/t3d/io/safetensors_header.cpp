#include "t3d/io/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/json_text.h"

namespace t3d::io {
namespace {

using nlohmann::json;

constexpr size_t kMaxRank = 64;  // LibTorch's own limit

struct TypeBits {
  const char* name;
  int bits;
};
constexpr TypeBits kTypes[] = {
    {"BOOL", 8},        {"U8", 8},      {"I8", 8},      {"U16", 16},    {"I16", 16},    {"U32", 32},
    {"I32", 32},        {"U64", 64},    {"I64", 64},    {"F16", 16},    {"BF16", 16},   {"F32", 32},
    {"F64", 64},        {"C64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};

/// Reads the header's JSON straight into entries: no tree of values is built, so that a header of 100 MB
/// costs what its tensors cost. Depth 1 is the file's object, 2 a tensor or the metadata, 3 a list of
/// numbers.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  HeaderReader(const std::string& path, SafetensorsHeader& header) : path_(path), header_(header) {}

  bool null() override { fail_value("null"); }
  bool boolean(bool) override { fail_value("a truth value"); }
  bool number_integer(number_integer_t value) override {
    fail_value(cat("the number ", value));  // only negative ones arrive here
  }
  bool number_float(number_float_t, const string_t& text) override { fail_value("the number " + text); }
  bool binary(binary_t&) override { fail_value("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (field_ == Field::Shape && depth_ == 3) {
      if (value > static_cast<uint64_t>(INT64_MAX)) fail_value(cat("the number ", value));
      if (entry_.shape.size() == kMaxRank)
        fail(cat(quoted(), " has more than ", kMaxRank, " dimensions, expected at most that"));
      entry_.shape.push_back(static_cast<int64_t>(value));
    } else if (field_ == Field::Offsets && depth_ == 3) {
      if (n_offsets_ == 2) fail(cat(quoted(), " has more than two data_offsets, expected begin and end"));
      (n_offsets_ == 0 ? entry_.begin : entry_.end) = value;
      ++n_offsets_;
    } else {
      fail_value(cat("the number ", value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      if (!header_.metadata.emplace(key_, value).second)
        fail(cat("__metadata__ has the key \"", key_, "\" twice, expected once"));
    } else if (field_ == Field::Type && depth_ == 2) {
      if (safetensors_bits(value) == 0)
        fail(cat(quoted(), " has dtype \"", value.substr(0, 32),
                 "\", expected one of the format's types such as F32, F16, BF16, I64"));
      entry_.dtype = std::move(value);
    } else {
      fail_value("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 1) {
      entry_ = {};
      entry_.name = key_;
      n_offsets_ = 0;
      has_[0] = has_[1] = has_[2] = false;
      field_ = Field::None;
      in_metadata_ = key_ == "__metadata__";
    } else if (depth_ != 0) {
      fail_value("an object");
    }
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) {
      constexpr const char* kNames[] = {"dtype", "shape", "data_offsets"};
      for (int i = 0; i < 3; ++i)
        if (!has_[i]) fail(cat(quoted(), " has no ", kNames[i], ", expected dtype, shape and data_offsets"));
      if (n_offsets_ != 2) fail(cat(quoted(), " has ", n_offsets_, " data_offsets, expected begin and end"));
      header_.entries.push_back(std::move(entry_));
    }
    field_ = Field::None;
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || (field_ != Field::Shape && field_ != Field::Offsets)) fail_value("a list");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      if (!names_.insert(value).second)
        fail(cat("tensor \"", shown(value), "\" is there twice, expected once"));
    } else if (!in_metadata_) {
      field_ = value == "dtype"          ? Field::Type
               : value == "shape"        ? Field::Shape
               : value == "data_offsets" ? Field::Offsets
                                         : Field::None;
      if (field_ == Field::None)
        fail(cat(quoted(), " has the field \"", shown(value),
                 "\", expected dtype, shape and data_offsets only"));
      bool& seen = has_[static_cast<int>(field_)];
      if (seen) fail(cat(quoted(), " has ", value, " twice, expected once"));
      seen = true;
    }
    key_ = std::move(value);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& failure) override {
    std::string reason = failure.what();
    const auto colon = reason.find(": ");
    if (colon != std::string::npos) reason = reason.substr(colon + 2);
    fail(cat("the header is not JSON at byte ", 8 + (position > 0 ? position - 1 : 0), ": ",
             reason.substr(0, 300)));
  }

 private:
  enum class Field { Type = 0, Shape = 1, Offsets = 2, None };

  static std::string shown(const std::string& name) {
    return name.size() <= 120 ? name : name.substr(0, 120) + "...";
  }
  std::string quoted() const { return cat("tensor \"", shown(entry_.name), "\""); }

  [[noreturn]] void fail(const std::string& reason) const {
    throw UserError(cat(path_, ": ", reason, ". Get the file again, or write it anew."));
  }

  [[noreturn]] void fail_value(const std::string& found) const {
    if (depth_ == 0) fail(cat("the header is ", found, ", expected an object of tensors"));
    if (depth_ == 1) fail(cat("the header's entry \"", shown(key_), "\" is ", found, ", expected an object"));
    if (in_metadata_)
      fail(cat("__metadata__ has ", found, " under \"", shown(key_), "\", expected strings only"));
    const char* expected = field_ == Field::Type    ? "dtype, expected a type's name"
                           : field_ == Field::Shape ? "shape, expected a list of sizes that are 0 or more"
                                                    : "data_offsets, expected two byte positions";
    fail(cat(quoted(), " has ", found, " in its ", expected));
  }

  const std::string& path_;
  SafetensorsHeader& header_;
  SafetensorsEntry entry_;
  std::unordered_set<std::string> names_;
  std::string key_;
  int depth_ = 0, n_offsets_ = 0;
  bool has_[3] = {}, in_metadata_ = false;
  Field field_ = Field::None;
};

/// Elements times bits in bytes; fails when the product does not fit or ends inside a byte.
uint64_t byte_count(const SafetensorsEntry& entry, const std::string& path) {
  uint64_t n = 1;
  bool overflows = false, is_empty = false;
  for (const int64_t size : entry.shape) {
    if (size == 0) is_empty = true;
    overflows |= __builtin_mul_overflow(n, static_cast<uint64_t>(size), &n);
    if (n == 0) n = 1;  // the sizes behind a zero must fit as well
  }
  const uint64_t bits = static_cast<uint64_t>(safetensors_bits(entry.dtype));
  overflows |= __builtin_mul_overflow(n, bits, &n);
  if (overflows || n > static_cast<uint64_t>(INT64_MAX))
    throw UserError(cat(
        path, ": tensor \"", entry.name,
        "\" has a shape whose size in bytes does not fit 63 bits. Get the file again, or write it anew."));
  if (is_empty) return 0;
  if (n % 8 != 0)
    throw UserError(cat(path, ": tensor \"", entry.name, "\" of type ", entry.dtype, " has ", n,
                        " bits, expected a multiple of 8. Get the file again, or write it anew."));
  return n / 8;
}

/// Every tensor inside the data, as long as its shape says, and together covering every byte once.
void check_layout(const SafetensorsHeader& header, uint64_t n_data, const std::string& path) {
  constexpr const char* kRemedy = ". The file is damaged or was cut off; get it again.";
  std::vector<const SafetensorsEntry*> order;
  order.reserve(header.entries.size());
  for (const auto& entry : header.entries) {
    if (entry.begin > entry.end || entry.end > n_data)
      throw UserError(cat(path, ": tensor \"", entry.name, "\" has data_offsets [", entry.begin, ", ",
                          entry.end, "], expected begin <= end <= ", n_data, ", the bytes behind the header",
                          kRemedy));
    const uint64_t expected = byte_count(entry, path);
    if (entry.end - entry.begin != expected)
      throw UserError(cat(path, ": tensor \"", entry.name, "\" takes ", entry.end - entry.begin,
                          " bytes, expected ", expected, " for its shape and dtype ", entry.dtype, kRemedy));
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  uint64_t covered = 0;
  for (const auto* entry : order) {
    if (entry->begin != covered)
      throw UserError(
          cat(path, ": tensor \"", entry->name, "\" begins at byte ", entry->begin, ", expected ", covered,
              entry->begin < covered ? ": it overlaps the tensor before" : ": there is a hole before it",
              kRemedy));
    covered = entry->end;
  }
  if (covered != n_data)
    throw UserError(cat(path, ": the tensors end at byte ", covered, " of the data, expected ", n_data,
                        ", the file's last byte", kRemedy));
}

}  // namespace

int safetensors_bits(std::string_view dtype) {
  for (const auto& type : kTypes)
    if (dtype == type.name) return type.bits;
  return 0;
}

SafetensorsHeader parse_safetensors_header(std::string_view start, uint64_t n_bytes,
                                           const std::string& path) {
  constexpr const char* kOurs = "a safetensors file";
  const auto or_hint = [&start](const char* remedy) {
    const std::string hint = file_kind_hint(start, "safetensors");
    return hint.empty() ? std::string(remedy) : hint;
  };
  if (n_bytes < 8 || start.size() < 8) {
    refuse_placeholder(start, path, kOurs);
    throw UserError(
        cat(path, ": holds ", n_bytes,
            " bytes, expected at least the 8 bytes of the header's length. It is not a safetensors file."));
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(start[static_cast<size_t>(i)]);
  const uint64_t most = std::min(kMaxSafetensorsHeader, n_bytes - 8);
  if (length > most || length > start.size() - 8) {
    refuse_placeholder(start, path, kOurs);
    throw UserError(cat(path, ": its first 8 bytes say that the header has ", length,
                        " bytes, expected at most ", most,
                        most == kMaxSafetensorsHeader ? ", the format's limit." : ", what the file holds.",
                        or_hint(" It is not a safetensors file, or was cut off.")));
  }
  const std::string_view text = start.substr(8, length);
  if (text.empty() || text[0] != '{') {
    refuse_placeholder(start, path, kOurs);
    throw UserError(cat(path, ": the header does not begin with '{' at byte 8.",
                        or_hint(" It is not a safetensors file.")));
  }
  // The JSON parser takes a zero byte for the end of its input.
  const auto zero = text.find('\0');
  if (zero != std::string_view::npos)
    throw UserError(cat(path, ": the header is not JSON at byte ", 8 + zero,
                        ": found a zero byte. Get the file again, or write it anew."));
  SafetensorsHeader header;
  header.data_start = 8 + length;
  HeaderReader reader(path, header);
  json::sax_parse(text.begin(), text.end(), &reader);
  check_layout(header, n_bytes - header.data_start, path);
  std::sort(header.entries.begin(), header.entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return header;
}

}  // namespace t3d::io
