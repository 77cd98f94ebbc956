#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "t3d/guidance/model.h"
#include "t3d/t3d.h"

namespace t3d {

/// The forms of a model that were loaded so far: one for each way of asking.
struct Model::Impl {
  std::string path;
  std::mutex mutex;
  std::vector<std::pair<guidance::ModelRequest, std::shared_ptr<const guidance::Model>>> loaded;
};

namespace api {

/// A complete model's place. Throws as Model's constructor does.
std::string find_complete_model(const std::string& name_or_path);

/// Opens models as guidance::open_model does, those at model's path once for all who ask for the same form.
guidance::ModelOpener opener_of(const Model& model);

}  // namespace api
}  // namespace t3d
