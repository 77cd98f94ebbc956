// fit_from_cpp "a red mushroom" [FOLDER [KEY=VALUE ...]]: from text to a mesh by t3d as a library.
#include <t3d/t3d.h>

#include <cstdio>

int main(int argc, char** argv) {
  t3d::tune_process(argv);
  if (argc < 2) {
    std::fprintf(stderr, "usage: fit_from_cpp PROMPT [FOLDER [KEY=VALUE ...]]\n");
    return 2;
  }
  try {
    t3d::Recipe recipe;  // "toybox", which comes with its own small diffusion model
    recipe.prompt = argv[1];
    recipe.folder = argc > 2 ? argv[2] : "out/fit_from_cpp";
    recipe.overrides.assign(argv + (argc > 3 ? 3 : argc), argv + argc);

    t3d::Fit fit(recipe);
    t3d::FitCallbacks callbacks;
    callbacks.on_step = [](const t3d::StepReport& at) {
      if (at.step % 50 == 0 || at.step == at.steps)
        std::printf("step %ld of %ld, loss %g\n", static_cast<long>(at.step), static_cast<long>(at.steps),
                    at.metrics.count("train/loss") != 0 ? at.metrics.at("train/loss") : 0.0);
    };
    fit.run(callbacks);
    for (const std::string& path : fit.export_mesh(recipe.folder)) std::printf("%s\n", path.c_str());
    return 0;
  } catch (const t3d::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
