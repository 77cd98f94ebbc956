#include "t3d/core/json_text.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"

namespace t3d {
namespace {

using nlohmann::json;

constexpr const char* kNan = "NaN";
constexpr const char* kInfinity = "Infinity";
constexpr const char* kMinusInfinity = "-Infinity";

/// A text whose bare NaN, Infinity and -Infinity stand in quotes, and where its bytes were in the original.
class QuotedNumbers {
 public:
  explicit QuotedNumbers(std::string_view text) : text_(text) {
    bool is_inside = false;  // of a string
    size_t copied = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (is_inside) {
        if (c == '\\') ++i;
        is_inside = c != '"';
      } else if (c == '"') {
        is_inside = true;
      } else if (c == 'N' || c == 'I' || c == '-') {
        const size_t length = word_at(i);
        if (length == 0) continue;
        copy_.append(text.substr(copied, i - copied))
            .append("\"")
            .append(text.substr(i, length))
            .append("\"");
        quotes_.push_back(copy_.size() - length - 2);
        quotes_.push_back(copy_.size() - 1);
        copied = i + length;
        i = copied - 1;
      }
    }
    if (!quotes_.empty()) text_ = copy_.append(text.substr(copied));
  }
  QuotedNumbers(const QuotedNumbers&) = delete;
  QuotedNumbers& operator=(const QuotedNumbers&) = delete;

  std::string_view text() const { return text_; }
  size_t original(size_t offset) const {
    return offset -
           static_cast<size_t>(std::lower_bound(quotes_.begin(), quotes_.end(), offset) - quotes_.begin());
  }

 private:
  size_t word_at(size_t i) const {
    for (const char* word : {kNan, kInfinity, kMinusInfinity})
      if (text_.compare(i, std::strlen(word), word) == 0) return std::strlen(word);
    return 0;
  }

  std::string_view text_;
  std::string copy_;
  std::vector<size_t> quotes_;  // places in copy_
};

/// Counts the characters that the parser has taken, so that our own checks know where they are.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

/// Builds the value while the parser reads, and refuses what the limits or the rules forbid.
class Builder : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view original, const QuotedNumbers& read, const std::string& name, int max_depth)
      : original_(original), read_(read), furthest_(read.text().data()), name_(name), max_depth_(max_depth) {}

  const char** furthest() { return &furthest_; }
  json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    if (open_.back()->contains(value))
      fail(offset(), cat("the key \"", value,
                         "\" is there twice in one object, expected once. Remove one of the two."));
    key_ = std::move(value);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& failure) override {
    std::string reason = failure.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": ours says where.
    const auto colon = reason.find(": ");
    const auto bracket = reason.find("] ");
    if (colon != std::string::npos)
      reason = reason.substr(colon + 2);
    else if (bracket != std::string::npos)
      reason = reason.substr(bracket + 2);
    refuse_placeholder(original_, name_, "JSON");
    const std::string hint = file_kind_hint(original_);
    fail(position > 0 ? position - 1 : 0,
         cat(reason, ".", hint.empty() ? " Correct the file; it may have been cut off." : hint));
  }

 private:
  [[noreturn]] void fail(size_t offset, const std::string& reason) const {
    throw UserError(cat(name_, line_and_column(original_, read_.original(offset)), ": ", reason));
  }

  size_t offset() const { return static_cast<size_t>(furthest_ - read_.text().data()); }

  template <class T>
  json* add(T&& value) {
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::forward<T>(value));
      return &open_.back()->back();
    }
    return &((*open_.back())[key_] = std::forward<T>(value));
  }

  template <class T>
  bool put(T&& value) {
    add(std::forward<T>(value));
    return true;
  }

  bool open(json value) {
    if (static_cast<int>(open_.size()) >= max_depth_)
      fail(offset(), cat("more than ", max_depth_,
                         " arrays and objects inside each other, expected at most that. Flatten the file."));
    open_.push_back(add(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view original_;
  const QuotedNumbers& read_;
  const char* furthest_;
  std::string name_, key_;
  int max_depth_;
  json root_;
  std::vector<json*> open_;
};

bool holds_non_finite(const json& value) {
  if (value.is_number_float()) return !std::isfinite(value.get<double>());
  if (value.is_structured())
    for (const auto& child : value)
      if (holds_non_finite(child)) return true;
  return false;
}

void name_non_finite(json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    const double number = value.get<double>();
    value = std::isnan(number) ? kNan : number > 0 ? kInfinity : kMinusInfinity;
  } else if (value.is_structured()) {
    for (auto& child : value) name_non_finite(child);
  }
}

}  // namespace

json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw UserError(cat(name, ": holds ", text.size(), " bytes of JSON, expected at most ", limits.max_bytes,
                        ". It is not the kind of file that belongs here."));
  // The parser takes a zero byte for the end of its input.
  const auto zero = text.find('\0');
  if (zero != std::string_view::npos) {
    refuse_placeholder(text, name, "JSON");
    const std::string hint = file_kind_hint(text);
    throw UserError(cat(name, line_and_column(text, zero), ": found a zero byte, expected JSON text.",
                        hint.empty() ? " Correct the file; it may be damaged." : hint));
  }
  const QuotedNumbers quoted(text);
  const std::string_view read = quoted.text();
  Builder builder(text, quoted, name, limits.max_depth);
  CountingIterator begin(read.data(), builder.furthest());
  const char* ignored = nullptr;
  const CountingIterator end(read.data() + read.size(), &ignored);
  json::sax_parse(begin, end, &builder);
  return builder.take();
}

std::string json_text(const json& value) {
  if (!holds_non_finite(value)) return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  json named = value;
  name_non_finite(named);
  return named.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

double json_number(const json& value, const std::string& place) {
  if (value.is_number()) return value.get<double>();
  if (value == kNan) return std::numeric_limits<double>::quiet_NaN();
  if (value == kInfinity) return std::numeric_limits<double>::infinity();
  if (value == kMinusInfinity) return -std::numeric_limits<double>::infinity();
  throw UserError(cat(place, ": found ", value.type_name(), ", expected a number. Correct the file."));
}

std::string line_and_column(std::string_view text, size_t offset) {
  size_t line = 1, start = 0;
  offset = offset < text.size() ? offset : text.size();
  for (size_t i = 0; i < offset; ++i) {
    if (text[i] != '\n') continue;
    ++line;
    start = i + 1;
  }
  return cat(":", line, ":", offset - start + 1);
}

}  // namespace t3d
