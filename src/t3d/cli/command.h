#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace t3d::cli {

/// Each command lives in one file, `cli/<name>.cpp`, and offers one function
///
///   void add_<name>_command(CLI::App& app, Run& run);
///
/// which declares the subcommand's options on `app` and, in the subcommand's callback, sets `run` to what is
/// to be done. `run` returns the exit code (0: the file asked for is there, was read back and is valid);
/// errors are thrown as t3d::Error and printed by main. Options keep their values in a shared_ptr captured by
/// the callback:
///
///   auto options = std::make_shared<RenderOptions>();
///   auto* command = app.add_subcommand("render", "Render a mesh to posed images");
///   command->add_option("mesh", options->mesh, "...")->required();
///   command->callback([options, &run] { run = [options] { return render(*options); }; });
using Run = std::function<int()>;

void add_generate_command(CLI::App& app, Run& run);
void add_chain_command(CLI::App& app, Run& run);
void add_train_commands(CLI::App& app, Run& run);
void add_check_command(CLI::App& app, Run& run);
void add_reconstruct_command(CLI::App& app, Run& run);
void add_render_command(CLI::App& app, Run& run);
void add_mesh_command(CLI::App& app, Run& run);
void add_list_command(CLI::App& app, Run& run);
void add_models_command(CLI::App& app, Run& run);
void add_convert_command(CLI::App& app, Run& run);
void add_forward_command(CLI::App& app, Run& run);
void add_sample_command(CLI::App& app, Run& run);
void add_distill2d_command(CLI::App& app, Run& run);
void add_toybox_command(CLI::App& app, Run& run);
void add_prior_command(CLI::App& app, Run& run);
void add_launch_command(CLI::App& app, Run& run);
void add_evaluate_command(CLI::App& app, Run& run);
void add_doctor_command(CLI::App& app, Run& run);
void add_test_command(CLI::App& app, Run& run);

}  // namespace t3d::cli
