#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "t3d/core/error.h"
#include "t3d/distributed/process_group.h"
#if defined(T3D_HAS_GLOO)
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#if defined(T3D_HAS_NCCL)
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace t3d::distributed {
namespace {

constexpr std::chrono::minutes kMeetingTime{2};

/// The first line of LibTorch's message, without its stack.
std::string first_line(const std::exception& failure) {
  const std::string text = failure.what();
  return text.substr(0, text.find('\n'));
}

/// c10d's groups have one base class in LibTorch 1.13 and another in 2; the calls are the same.
template <class Backend>
class C10dGroup : public ProcessGroup {
 public:
  C10dGroup(c10::intrusive_ptr<Backend> backend, c10::Device device)
      : backend_(std::move(backend)), device_(device) {}

  int rank() const override { return backend_->getRank(); }
  int size() const override { return backend_->getSize(); }

  void average(const at::Tensor& tensor) override {
    T3D_CHECK(tensor.is_contiguous(), "a tensor that is averaged has gaps");
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors = {tensor.detach()};
    run([&] { backend_->allreduce(tensors)->wait(); });
    tensors[0].div_(size());
  }

  void broadcast(const std::vector<at::Tensor>& tensors) override {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> rows;
    for (const at::Tensor& t : tensors) {
      T3D_CHECK(t.scalar_type() == tensors[0].scalar_type(), "tensors of several types");
      rows.push_back(t.detach().reshape({-1}));
    }
    std::vector<at::Tensor> buffer = {at::cat(rows)};
    run([&] { backend_->broadcast(buffer)->wait(); });
    int64_t place = 0;
    for (const at::Tensor& t : tensors) {
      t.copy_(buffer[0].narrow(0, place, t.numel()).view(t.sizes()));
      place += t.numel();
    }
  }

  /// Reading the sum waits for the device too, and so for the other processes.
  void barrier() override {
    const auto one = at::ones({1}, at::TensorOptions(at::kFloat).device(device_));
    average(one);
    run([&] { one.cpu(); });
  }

  void close() override {
    barrier();
    shut_down(*backend_);
  }

 private:
  template <class Work>
  void run(const Work& work) const {
    try {
      work();
    } catch (const std::exception& failure) {
      throw SystemError(cat("process ", rank(), " of ", size(), " cannot reach the others (",
                            first_line(failure),
                            "). One of them has ended: see its message, then --resume."));
    }
  }

  // Without it LibTorch 2 warns when the program ends. Gloo has no such call.
#if defined(T3D_HAS_NCCL)
  static void shut_down(c10d::ProcessGroupNCCL& group) {
    group.shutdown();
  }
#endif
#if defined(T3D_HAS_GLOO)
  static void shut_down(c10d::ProcessGroupGloo&) {}
#endif

  c10::intrusive_ptr<Backend> backend_;
  c10::Device device_;
};

c10::intrusive_ptr<c10d::Store> meet(const Rendezvous& r) {
  c10d::TCPStoreOptions options;
  options.port = r.port;
  options.isServer = r.rank == 0 && !r.has_agent_store;
  options.numWorkers = static_cast<size_t>(r.size);
  options.timeout = kMeetingTime;
  try {
    c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(r.address, options);
    // A restarted job meets under another name at the same agent.
    const char* attempt = std::getenv("TORCHELASTIC_RESTART_COUNT");
    return c10::make_intrusive<c10d::PrefixStore>(cat("t3d/", attempt != nullptr ? attempt : "0"), store);
  } catch (const std::exception& failure) {
    throw SystemError(cat("process ", r.rank, " of ", r.size, " did not meet the others at ", r.address, ":",
                          r.port, " (", first_line(failure),
                          "). Check MASTER_ADDR and MASTER_PORT, and that every process was started."));
  }
}

}  // namespace

std::shared_ptr<ProcessGroup> connect(const Rendezvous& r, c10::Device device) {
  if (r.size == 1) return single_process();
  if (device.is_cuda()) {
#if defined(T3D_HAS_NCCL)
    const c10::impl::VirtualGuardImpl cuda(device.type());
    if (device.index() >= cuda.deviceCount())
      throw UserError(cat("process ", r.rank, " is to use ", device.str(), ", but this machine has ",
                          static_cast<int>(cuda.deviceCount()),
                          " GPUs. Start at most one process for each."));
    cuda.setDevice(device);
    return std::make_shared<C10dGroup<c10d::ProcessGroupNCCL>>(
        c10::make_intrusive<c10d::ProcessGroupNCCL>(meet(r), r.rank, r.size), device);
#else
    throw UserError(
        "this t3d was built without NCCL, which several GPUs need. Use a LibTorch with CUDA that has nccl.h "
        "beside it, and build again.");
#endif
  }
#if defined(T3D_HAS_GLOO)
  const auto store = meet(r);
  try {
    auto options = c10d::ProcessGroupGloo::Options::create();
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface != nullptr
                                   ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                   : c10d::ProcessGroupGloo::createDeviceForHostname(r.address));
    return std::make_shared<C10dGroup<c10d::ProcessGroupGloo>>(
        c10::make_intrusive<c10d::ProcessGroupGloo>(store, r.rank, r.size, options), device);
  } catch (const std::exception& failure) {
    throw SystemError(cat("process ", r.rank, " of ", r.size, " cannot talk to the others (",
                          first_line(failure), "). On several hosts set GLOO_SOCKET_IFNAME."));
  }
#else
  throw UserError(
      "this t3d was built without Gloo, which several processes on the CPU need: apt-get install "
      "libgloo-dev and build again with LibTorch 1.13, or pass --device cuda.");
#endif
}

}  // namespace t3d::distributed
