#include "t3d/prior/training_loop.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/train/checkpoint.h"

namespace t3d::prior {
namespace {

/// A line through points that each draw decides.
at::Tensor loss_of_draw(const at::Tensor& w, int64_t draw) {
  const auto x = at::arange(1, 5, at::kFloat) * static_cast<double>(draw % 7 + 1) / 7;  // [4]
  return (w[0] * x + w[1] - (x.sin() + static_cast<double>(draw % 3))).square().mean();
}

struct Learner {
  at::Tensor w = at::tensor({0.3f, -0.2f});
  optim::AveragedAdamW adam{{{"w", w}}, {}};
};

struct TrainingLoop : ::testing::Test {
  std::string folder = ::testing::TempDir() + "training_loop";
  LoopConfig config;

  void SetUp() override {
    remove_tree(folder);
    std::filesystem::create_directories(folder);
    config.steps = 20;
    config.batch = 8;
    config.warmup = 0;
    config.learning_rate = 0.1f;
  }
  void TearDown() override { remove_tree(folder); }
};

#if defined(T3D_HAS_GLOO)
uint16_t free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(s, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(s, reinterpret_cast<sockaddr*>(&address), &size);
  close(s);
  return ntohs(address.sin_port);
}

/// Two ranks in two threads of this process, with a learner each.
void with_two_ranks(const std::string& folder, const std::function<void(TrainingRun&, Learner&)>& work) {
  const uint16_t port = free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([&, rank] {
      distributed::Rendezvous r;
      r.rank = r.local_rank = rank;
      r.size = 2;
      r.port = port;
      TrainingRun run;
      run.folder = folder;
      run.group = distributed::connect(r, c10::kCPU);
      Learner own;
      if (rank == 1) own.w.detach().fill_(7);  // rank 0's weights count
      work(run, own);
    });
  for (auto& t : threads) t.join();
}

TEST_F(TrainingLoop, TwoProcessesDoTheStepsOfOneWithBothHalves) {
  Learner whole;
  TrainingRun run;
  run.folder = folder + "/one";
  run_training("line", "", config, run, whole.adam, [&](int64_t step) {
    return (loss_of_draw(whole.w, 2 * step) + loss_of_draw(whole.w, 2 * step + 1)) / 2;
  });
  std::vector<at::Tensor> ends(2);
  with_two_ranks(folder + "/two", [&](TrainingRun& r, Learner& own) {
    const auto report = run_training("line", "", config, r, own.adam,
                                     [&](int64_t draw) { return loss_of_draw(own.w, draw); });
    EXPECT_TRUE(report.finished);
    EXPECT_EQ(batch_share(config, r), 4);
    ends[static_cast<size_t>(r.group->rank())] = own.w.detach().clone();
  });
  EXPECT_TRUE(at::equal(ends[0], ends[1]));
  EXPECT_LT((ends[0] - whole.w.detach()).abs().max().item<double>(), 1e-6);
  EXPECT_GT((ends[0] - at::tensor({0.3f, -0.2f})).norm().item<double>(), 0.1);
}

TEST_F(TrainingLoop, TwoProcessesResumeToTheBit) {
  std::vector<at::Tensor> ends(2);
  const auto train = [&](const std::string& name, bool resume, size_t end) {
    with_two_ranks(folder + name, [&](TrainingRun& r, Learner& own) {
      r.resume = resume;
      run_training("line", "", config, r, own.adam, [&](int64_t draw) { return loss_of_draw(own.w, draw); });
      if (r.group->is_first()) ends[end] = own.w.detach().clone();
    });
  };
  config.checkpoint_every = 7;
  train("/whole", false, 0);
  train("/parts", false, 1);
  remove_tree(train::find_checkpoint(folder + "/parts/ckpts").path);  // as if killed
  ends[1] = at::Tensor();
  train("/parts", true, 1);
  EXPECT_TRUE(at::equal(ends[0], ends[1]));
}

TEST_F(TrainingLoop, ABadGradientOfOneProcessIsSkippedByBoth) {
  with_two_ranks(folder + "/two", [&](TrainingRun& r, Learner& own) {
    int n_bad = 0;
    run_training("line", "", config, r, own.adam, [&](int64_t draw) {
      if (draw == 9) ++n_bad;  // step 4 of rank 1, and never again
      return loss_of_draw(own.w, draw) * (draw == 9 ? NAN : 1);
    });
    EXPECT_EQ(n_bad, r.group->rank());
    EXPECT_TRUE(at::isfinite(own.w).all().item<bool>());
    EXPECT_EQ(own.adam.n_steps(), config.steps);
  });
}

TEST_F(TrainingLoop, TheFirstProcessDecidesWhenTheTimeIsUp) {
  config.steps = 100000;
  config.checkpoint_every = 100000;
  std::vector<int64_t> steps(2);
  with_two_ranks(folder + "/two", [&](TrainingRun& r, Learner& own) {
    r.time_limit = r.group->is_first() ? 0.2 : 1e-9;
    const auto report = run_training("line", "", config, r, own.adam,
                                     [&](int64_t draw) { return loss_of_draw(own.w, draw); });
    EXPECT_FALSE(report.finished);
    steps[static_cast<size_t>(r.group->rank())] = report.steps;
  });
  EXPECT_GT(steps[0], 0);
  EXPECT_EQ(steps[0], steps[1]);
  EXPECT_EQ(train::find_checkpoint(folder + "/two/ckpts").step, steps[0]);
}

TEST_F(TrainingLoop, ABatchThatCannotBeDividedIsRefused) {
  config.batch = 7;
  with_two_ranks(folder + "/two",
                 [&](TrainingRun& r, Learner&) { EXPECT_THROW(batch_share(config, r), UserError); });
}
#endif

/// The column "step" of the run's table.
std::vector<int64_t> logged_steps(const std::string& folder) {
  std::ifstream file(folder + "/csv_logs/version_0/metrics.csv");
  std::string line, cell;
  std::getline(file, line);
  size_t column = 0;
  std::istringstream header(line);
  for (size_t i = 0; std::getline(header, cell, ','); ++i)
    if (cell == "step") column = i;
  std::vector<int64_t> steps;
  while (std::getline(file, line)) {
    std::istringstream row(line);
    for (size_t i = 0; i <= column; ++i) std::getline(row, cell, ',');
    steps.push_back(std::stoll(cell));
  }
  return steps;
}

TEST_F(TrainingLoop, TheFirstStepEveryFiftiethAndTheLastHaveARow) {
  const auto train = [&](int steps, bool resume) {
    Learner own;
    TrainingRun r;
    r.folder = folder;
    r.resume = resume;
    config.steps = steps;
    run_training("line", "", config, r, own.adam, [&](int64_t draw) { return loss_of_draw(own.w, draw); });
  };
  train(12, false);
  EXPECT_EQ(logged_steps(folder), (std::vector<int64_t>{1, 12}));
  train(103, true);
  EXPECT_EQ(logged_steps(folder), (std::vector<int64_t>{1, 12, 50, 100, 103}));
}

TEST_F(TrainingLoop, OneProcessTakesTheWholeBatch) {
  EXPECT_EQ(batch_share(config, TrainingRun{}), 8);
}

}  // namespace
}  // namespace t3d::prior
