#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/override_words.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/ops/device_memory.h"
#include "t3d/ops/startup.h"

namespace t3d::cli {
namespace {

constexpr const char* kAbout =
    "t3d: text-to-3D and radiance fields in C++\n"
    "exit codes: 0 done and verified, 1 the answer is no, 2 wrong input, 3 the machine said no (a file that "
    "is "
    "not there, a full disk, too little memory), 4 a defect in t3d, 130 interrupted";

void add_commands(CLI::App& app, Run& run) {
  add_generate_command(app, run);
  add_chain_command(app, run);
  add_train_commands(app, run);
  add_check_command(app, run);
  add_render_command(app, run);
  add_mesh_command(app, run);
  add_reconstruct_command(app, run);
  add_list_command(app, run);
  add_models_command(app, run);
  add_convert_command(app, run);
  add_forward_command(app, run);
  add_sample_command(app, run);
  add_distill2d_command(app, run);
  add_toybox_command(app, run);
  add_prior_command(app, run);
  add_launch_command(app, run);
  add_evaluate_command(app, run);
  add_doctor_command(app, run);
  add_test_command(app, run);
}

/// The argument of a command that is a text of several words, if it has one.
const CLI::Option* text_argument(const CLI::App& command) {
  for (const char* name : {"PROMPT", "prompt", "caption"})
    if (const CLI::Option* found = command.get_option_no_throw(name)) return found;
  return nullptr;
}

/// CLI11 words an unknown option as "The following argument was not expected: --x", and not at all where
/// something required is missing too; we name it, and the nearest known one.
std::string explain(const CLI::App& app, const CLI::ParseError& failure) {
  const std::string message = failure.what();
  const CLI::App* chosen = &app;
  std::string words;  // "toybox mesh "
  while (!chosen->get_subcommands().empty()) {
    chosen = chosen->get_subcommands().back();
    words += chosen->get_name() + " ";
  }
  const std::string help = cat(" See t3d ", words, "--help.");
  const std::vector<std::string> extra = app.remaining(/*recurse=*/true);
  const bool is_about_them = dynamic_cast<const CLI::ExtrasError*>(&failure) != nullptr ||
                             dynamic_cast<const CLI::RequiredError*>(&failure) != nullptr;
  if (!is_about_them || extra.empty()) return with_full_stop(message) + help;
  if (const CLI::Option* text = text_argument(*chosen);
      text != nullptr && text->count() > 0 && extra.front().rfind('-', 0) != 0)
    return cat("unknown argument ", extra.front(), ". A text of several words needs quotes: ",
               with_quotes(*chosen, text->results().front(), extra), ".");
  const std::string word = extra.front().substr(0, extra.front().find('='));
  std::vector<std::string> known;
  for (const auto* option : chosen->get_options())
    for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  for (const auto* sub : chosen->get_subcommands(nullptr)) known.push_back(sub->get_name());
  const bool is_option = word.rfind("-", 0) == 0;
  return cat("unknown ",
             is_option                                  ? "option "
             : chosen->get_subcommands(nullptr).empty() ? "argument "
                                                        : "command ",
             word, end_or_suggestion(word, known), help);
}

int fail(int code, const std::string& message) {
  log::error(message);
  return code;
}

int run_program(int argc, char** argv) {
  CLI::App app(kAbout, "t3d");
  app.set_version_flag("--version", T3D_VERSION);
  app.require_subcommand(0, 1);
  Run run;
  add_commands(app, run);
  try {
    remember_command(argc, argv);
    std::vector<std::string> given(argv + 1, argv + argc);
    if (!given.empty() && given.front() == "help") {  // help COMMAND
      given.erase(given.begin());
      given.emplace_back("--help");
    }
    auto words = translate_launch(given);
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& failure) {
    return fail(2, explain(app, failure));
  } catch (const UserError& failure) {
    return fail(2, failure.what());
  }
  if (!run) {
    std::cout << app.help();
    return 2;
  }
  try {
    const int code = run();
    std::cout.flush();
    if (!std::cout)
      throw SystemError(
          cat("standard output could not be written", errno_text(), ". Redirect it elsewhere."));
    return code;
  } catch (const Interrupted& stop) {
    log::info(cat("interrupted: ", stop.what(), ".", how_to_go_on()));
    return stop.exit_code();
  } catch (const Error& failure) {
    return fail(failure.exit_code(), failure.what());
  } catch (const std::filesystem::filesystem_error& failure) {
    return fail(3, cat(failure.path1().string(), ": ", failure.code().message(),
                       ". Check the path, its permissions and the disk."));
  } catch (const std::exception& failure) {
    if (ops::is_out_of_memory(failure))
      return fail(3, "out of memory. Use a smaller size, or close other programs.");
    return fail(4, cat("unexpected: ", failure.what(), ". This is a defect in t3d; please report it."));
  }
}

}  // namespace
}  // namespace t3d::cli

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  // A limit on file sizes is then an error of the call, as a full disk is, and not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  return t3d::cli::run_program(argc, argv);
}
