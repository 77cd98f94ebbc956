// Types of a user's own that do what T3D_TEST_TYPES says: for the tests of --load.
#include <ATen/ATen.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "t3d/own_types.h"

namespace {

using namespace t3d;

class Grey : public shading::Background {
 public:
  struct Config {
    float brightness = 0.5f;
    template <class V>
    void visit(V& v) {
      v("brightness", brightness, config::in_range(0.0, 1.0), "of all three channels");
    }
  };
  Grey(const Config& config, const field::BuildContext&) : config_(config) {}
  at::Tensor operator()(const at::Tensor& directions, bool, Rng&) const override {
    return at::full_like(directions, config_.brightness);
  }

 private:
  Config config_;
};

std::string wish() {
  const char* named = std::getenv("T3D_TEST_TYPES");
  return named == nullptr ? "" : named;
}

/// Code that runs before there is anything to register.
const bool g_started = wish() != "throw-at-start" || (throw std::runtime_error("no licence"), true);

}  // namespace

T3D_OWN_TYPES(types) {
  if (wish() == "none" || !g_started) return;
  types.add<Grey>("grey", "one grey everywhere");
  if (wish() == "twice") types.add<Grey>("grey", "the same again");
  if (wish() == "taken") types.add<Grey>("solid-color-background", "in the way of t3d's own");
  if (wish() == "spaced") types.add<Grey>("dark grey", "a name that is none");
  if (wish() == "throw") throw std::runtime_error("no licence");
  if (wish() == "throw-number") throw 7;
}
