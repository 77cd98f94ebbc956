#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Processes that train one model together, each on its part of the batch.
namespace t3d::distributed {

/// What a launcher tells a process, by the variables that torchrun and `t3d launch` set.
struct Rendezvous {
  int rank = 0, size = 1, local_rank = 0;
  std::string address = "127.0.0.1";  ///< of the host of rank 0
  uint16_t port = 29500;
  bool has_agent_store = false;  ///< a launcher's agent serves the port, not rank 0
};

/// From RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT and TORCHELASTIC_USE_AGENT_STORE; nothing when
/// WORLD_SIZE is not set. Throws UserError that names the variable.
std::optional<Rendezvous> rendezvous_from_environment();

/// The operations are collective: every process calls the same ones in the same order with the same shapes.
/// They throw SystemError when another process has ended.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool is_first() const { return rank() == 0; }

  /// Overwrites a contiguous floating-point tensor on the group's device by its mean over all processes, the
  /// same bits in each.
  virtual void average(const at::Tensor& tensor) = 0;
  /// Overwrites each tensor by that of rank 0, in one message. Tensors of one type on the group's device.
  virtual void broadcast(const std::vector<at::Tensor>& tensors) = 0;
  /// Returns once all processes have called it.
  virtual void barrier() = 0;
  /// A barrier, after which the group is only asked for its rank and size.
  virtual void close() = 0;
};

/// Does `work` in the first process, while the others wait.
template <class Work>
void in_first(ProcessGroup& group, const Work& work) {
  if (group.is_first()) work();
  group.barrier();
}

/// A group of one process, whose operations do nothing.
std::shared_ptr<ProcessGroup> single_process();

/// Waits until all processes are there: two minutes, then SystemError. NCCL for a CUDA device, Gloo for the
/// CPU. Throws UserError when this build lacks the one that is needed.
std::shared_ptr<ProcessGroup> connect(const Rendezvous& rendezvous, c10::Device device);

/// The device of a process: "cuda" means cuda:LOCAL_RANK.
c10::Device device_of(const std::string& name, const std::optional<Rendezvous>& rendezvous);

}  // namespace t3d::distributed
