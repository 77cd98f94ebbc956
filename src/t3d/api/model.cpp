#include "t3d/api/model.h"

#include "t3d/core/error.h"
#include "t3d/diffusion/model_store.h"

namespace t3d {
namespace {

bool is_same(const guidance::ModelRequest& a, const guidance::ModelRequest& b) {
  return a.name == b.name && a.half_precision == b.half_precision && a.cpu_bfloat16 == b.cpu_bfloat16 &&
         a.with_vae == b.with_vae && a.reads_weights == b.reads_weights && a.device == b.device;
}

}  // namespace

Model::Model(const std::string& name_or_path) : impl_(std::make_shared<Impl>()) {
  impl_->path = api::find_complete_model(name_or_path);
}

const std::string& Model::path() const {
  return impl_->path;
}

namespace api {

std::string find_complete_model(const std::string& name_or_path) {
  const std::string path = diffusion::find_model(name_or_path);
  const std::string missing = diffusion::inspect_model(path).missing();
  if (!missing.empty())
    throw SystemError(cat("model ", path, " is not complete: ", missing,
                          " is missing. See t3d models, or name another one."));
  return path;
}

guidance::ModelOpener opener_of(const Model& model) {
  return [impl = model.impl()](const guidance::ModelRequest& request) {
    if (request.name != impl->path) return guidance::open_model(request);
    const std::lock_guard<std::mutex> lock(impl->mutex);
    for (const auto& [form, loaded] : impl->loaded)
      if (is_same(form, request)) return loaded;
    impl->loaded.emplace_back(request, guidance::open_model(request));
    return impl->loaded.back().second;
  };
}

}  // namespace api
}  // namespace t3d
