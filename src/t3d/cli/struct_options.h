#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "t3d/core/config/struct_io.h"

namespace t3d::cli {

/// `time_budget` becomes `--time-budget`.
std::string option_name(const std::string& field);
/// "Seconds for loading and training [float; 1 to 1e+07; default: 60.0]"
std::string option_help(const config::FieldInfo& field);

/// One option whose text is handed to `take`; what `take` throws becomes CLI11's error, so that main reports
/// it as any other wrong option. Lists take several values.
void add_text_option(CLI::App& app, const config::FieldInfo& field, bool is_list,
                     std::function<void(const config::Node&)> take);
/// `--name` for a field that is false by default, `--no-name` for one that is true.
void add_flag_option(CLI::App& app, const config::FieldInfo& field, bool& value);

namespace detail {

template <class T>
struct is_list : std::false_type {};
template <class T>
struct is_list<std::vector<T>> : std::true_type {};
template <class T, size_t N>
struct is_list<std::array<T, N>> : std::true_type {};

struct OptionMaker {
  CLI::App& app;
  std::string prefix;

  template <class T>
  void operator()(const char* name, T& value, const config::Range& range, const char* help) {
    const std::string full = prefix + name;
    if constexpr (config::detail::has_visit<T>::value) {
      OptionMaker inner{app, full + "_"};
      value.visit(inner);
    } else if constexpr (!std::is_same_v<T, config::Node>) {
      config::detail::Describer describer;
      describer(full.c_str(), value, range, help);
      const config::FieldInfo& field = describer.fields.front();
      if constexpr (std::is_same_v<T, bool>) {
        add_flag_option(app, field, value);
      } else {
        const auto take = [&value, range, flag = option_name(full)](const config::Node& node) {
          value = config::Codec<T>::read(node, flag, range);
        };
        add_text_option(app, field, is_list<T>::value, take);
      }
    }
  }
};

}  // namespace detail

/// Options for every field of `options`, with the field's help, default and range, and the same check as in a
/// configuration file. What is not given keeps the value that `options` has now. A field of a nested block is
/// `--block-field`; `Node` fields get no option. `options` must outlive the parse.
template <class T>
void add_struct_options(CLI::App& app, T& options) {
  detail::OptionMaker maker{app, ""};
  options.visit(maker);
}

}  // namespace t3d::cli
