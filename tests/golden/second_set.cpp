#include "tests/golden/second_set.h"

#include <filesystem>
#include <fstream>

#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"

namespace t3d::testing {

namespace fs = std::filesystem;

void SecondSet::link(const std::string& name) const {
  const fs::path to = target(name);
  fs::create_directories(to.parent_path());
  fs::remove(to);
  const fs::path from = fs::canonical(source(name));
  if (fs::is_directory(from))
    fs::create_directory_symlink(from, to);
  else
    fs::create_symlink(from, to);
}

nlohmann::json SecondSet::recorded_options(const std::string& file) const {
  return io::read_json_file(source("options.json")).at(file);
}

void SecondSet::add(const std::string& file, Tensors tensors, const nlohmann::json& options) {
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.detach();
    if (tensor.scalar_type() == at::kDouble) tensor = tensor.to(at::kFloat);
    tensor = tensor.contiguous();
  }
  fs::create_directories(fs::path(target(file)).parent_path());
  io::write_safetensors(target(file), tensors);
  set_options(file, options);
}

void SecondSet::finish() const {
  std::ofstream(target("options.json")) << options_.dump(1) << "\n";
}

}  // namespace t3d::testing
