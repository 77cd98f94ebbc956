#include "t3d/field/component.h"

namespace t3d::field {

BuildContext BuildContext::part(const std::string& name) const {
  uint64_t h = seed ^ 1469598103934665603ull;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return {h, device, control};
}

void Component::collect(const std::string&, NamedTensors&, NamedTensors&) const {}
void Component::update_step(int64_t) {}

NamedTensors Component::parameters() const {
  NamedTensors parameters, buffers;
  collect("", parameters, buffers);
  return parameters;
}

at::Tensor learned(at::Tensor t) {
  t.requires_grad_(true);
  return t;
}

}  // namespace t3d::field
