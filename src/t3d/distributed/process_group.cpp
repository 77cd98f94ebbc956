#include "t3d/distributed/process_group.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "t3d/core/error.h"

namespace t3d::distributed {
namespace {

/// A whole number in [low, high] from the environment.
int number_from(const char* variable, int low, int high) {
  const char* text = std::getenv(variable);
  if (text == nullptr)
    throw UserError(cat("WORLD_SIZE is set but ", variable, " is not. Start the processes with t3d launch."));
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, code] = std::from_chars(text, end, value);
  if (code != std::errc() || stop != end || value < low || value > high)
    throw UserError(cat(variable, " is \"", text, "\", expected a number from ", low, " to ", high,
                        ". Start the processes with t3d launch."));
  return value;
}

class SingleProcess : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void average(const at::Tensor&) override {}
  void broadcast(const std::vector<at::Tensor>&) override {}
  void barrier() override {}
  void close() override {}
};

}  // namespace

std::optional<Rendezvous> rendezvous_from_environment() {
  constexpr int kMostProcesses = 4096;
  if (std::getenv("WORLD_SIZE") == nullptr) return std::nullopt;
  Rendezvous r;
  r.size = number_from("WORLD_SIZE", 1, kMostProcesses);
  r.rank = number_from("RANK", 0, r.size - 1);
  r.local_rank = number_from("LOCAL_RANK", 0, r.size - 1);
  r.port = static_cast<uint16_t>(number_from("MASTER_PORT", 1, 65535));
  const char* address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0')
    throw UserError("WORLD_SIZE is set but MASTER_ADDR is not. Start the processes with t3d launch.");
  r.address = address;
  const char* agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  r.has_agent_store = agent != nullptr && std::strcmp(agent, "True") == 0;
  return r;
}

std::shared_ptr<ProcessGroup> single_process() {
  return std::make_shared<SingleProcess>();
}

c10::Device device_of(const std::string& name, const std::optional<Rendezvous>& rendezvous) {
  const c10::Device device(name);
  if (!device.is_cuda() || device.has_index() || !rendezvous) return device;
  return c10::Device(device.type(), static_cast<c10::DeviceIndex>(rendezvous->local_rank));
}

}  // namespace t3d::distributed
