#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

using Kind = SchedulerConfig::Kind;
using Spacing = SchedulerConfig::Spacing;

Kind kind_of(const std::string& name, const std::string& where) {
  static const std::map<std::string, Kind> kKinds = {{"DDPMScheduler", Kind::Ddpm},
                                                     {"ddpm", Kind::Ddpm},
                                                     {"DDIMScheduler", Kind::Ddim},
                                                     {"ddim", Kind::Ddim},
                                                     {"EulerDiscreteScheduler", Kind::Euler},
                                                     {"euler", Kind::Euler},
                                                     {"DPMSolverMultistepScheduler", Kind::DpmSolver},
                                                     {"dpm", Kind::DpmSolver},
                                                     {"PNDMScheduler", Kind::Pndm},
                                                     {"pndm", Kind::Pndm}};
  const auto found = kKinds.find(name);
  if (found != kKinds.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [word, kind] : kKinds) known.push_back(word);
  throw UserError(cat(where, ": unknown scheduler \"", name, "\"", end_or_suggestion(name, known),
                      " There are ddpm, ddim, euler, dpm and pndm."));
}

NoiseScheduleConfig noise_schedule_of(const nlohmann::json& config, const JsonReader& read) {
  NoiseScheduleConfig out;
  out.n_steps = read.whole("num_train_timesteps", 1000, 2, 1000000);
  out.beta_start = read.number("beta_start", 0.0001);
  out.beta_end = read.number("beta_end", 0.02);
  out.beta_schedule = read.text("beta_schedule", "linear");
  out.zero_terminal_snr = read.truth("rescale_betas_zero_snr", false);
  const auto betas = config.value("trained_betas", nlohmann::json());
  if (betas.is_null()) return out;
  if (!betas.is_array() || betas.size() < 2)
    throw UserError(cat(read.where(), ": trained_betas is no list of numbers."));
  for (const auto& beta : betas) {
    if (!beta.is_number()) throw UserError(cat(read.where(), ": trained_betas holds ", beta.dump(), "."));
    out.trained_betas.push_back(beta.get<double>());
  }
  return out;
}

}  // namespace

SchedulerConfig SchedulerConfig::from_json(const nlohmann::json& config, const std::string& where,
                                           const std::string& class_name) {
  const JsonReader read(config, where);
  SchedulerConfig out;
  out.kind = kind_of(class_name.empty() ? read.text("_class_name", "") : class_name, where);
  const bool in_sigma = out.kind == Kind::Euler || out.kind == Kind::DpmSolver;
  const bool clips = out.kind == Kind::Ddpm || out.kind == Kind::Ddim;
  out.schedule = noise_schedule_of(config, read);
  out.prediction = prediction_of(read.text("prediction_type", "epsilon"), where);
  read.expect("timestep_spacing", {"leading", "linspace", "trailing"});
  const std::string spacing = read.text("timestep_spacing", in_sigma ? "linspace" : "leading");
  out.spacing = spacing == "leading"    ? Spacing::Leading
                : spacing == "linspace" ? Spacing::Linspace
                                        : Spacing::Trailing;
  out.steps_offset = read.whole("steps_offset", 0, 0, out.schedule.n_steps - 1);
  out.clip_sample = clips && read.truth("clip_sample", true);
  out.clip_range = read.number("clip_sample_range", 1);
  out.set_alpha_to_one = read.truth("set_alpha_to_one", out.kind == Kind::Ddim);
  out.karras_sigmas = in_sigma && read.truth("use_karras_sigmas", false);
  if (in_sigma) {
    read.expect("final_sigmas_type", {"zero", "sigma_min"});
    out.final_sigma_zero = read.text("final_sigmas_type", "zero") == "zero";
    for (const char* key : {"use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas", "use_lu_lambdas"})
      read.expect_absent(key);
  }
  if (out.kind == Kind::Euler) {
    read.expect("interpolation_type", {"linear"});
    read.expect("timestep_type", {"discrete"});
  }
  if (out.kind == Kind::DpmSolver) {
    read.expect("algorithm_type", {"dpmsolver++"});
    read.expect("solver_type", {"midpoint", "heun", "bh1", "bh2", "logrho"});
    out.order = read.whole("solver_order", 2, 1, 2);
    out.heun = read.text("solver_type", "midpoint") == "heun";
    out.lower_order_final = read.truth("lower_order_final", true);
    out.euler_at_final = read.truth("euler_at_final", false);
  }
  if (out.kind == Kind::Ddpm) {
    read.expect("variance_type", {"fixed_small", "fixed_small_log", "fixed_large"});
    out.large_variance = read.text("variance_type", "fixed_small") == "fixed_large";
  }
  // With a short name the config is another sampler's: its own class says whether the start is Runge-Kutta's.
  if (out.kind == Kind::Pndm && class_name != "pndm" && !read.truth("skip_prk_steps", false))
    throw UserError(cat(where,
                        ": skip_prk_steps is false; only PNDM without Runge-Kutta steps is there. Set it "
                        "to true, as Stable Diffusion does."));
  if (in_sigma || clips) read.expect_absent("thresholding");
  return out;
}

SchedulerConfig SchedulerConfig::for_training(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  const std::string name = read.text("_class_name", "");
  const auto refuse = [&](const char* what) {
    throw UserError(cat(where, ": ", name.empty() ? "the scheduler" : name, what,
                        ", which has no betas, so that this model cannot guide here. Use a model of Stable "
                        "Diffusion 1 or 2, or of MVDream."));
  };
  if (name.find("FlowMatch") != std::string::npos || read.truth("use_flow_sigmas", false) ||
      read.text("prediction_type", "epsilon") == "flow_prediction")
    refuse(" is of flow matching");
  for (const char* other :
       {"EDM", "ScoreSdeVe", "KarrasVe", "VQDiffusion", "CosineDPM", "SCM", "Consistency"})
    if (name.find(other) != std::string::npos) refuse(" adds noise in another way than by betas");
  SchedulerConfig out;
  out.schedule = noise_schedule_of(config, read);
  out.prediction = prediction_of(read.text("prediction_type", "epsilon"), where);
  return out;
}

SchedulerConfig SchedulerConfig::from_file(const std::string& path, const std::string& class_name) {
  return from_json(io::read_json_file(path), path, class_name);
}

}  // namespace t3d::diffusion
