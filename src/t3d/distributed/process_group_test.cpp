#include "t3d/distributed/process_group.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <thread>

#include "t3d/core/error.h"

namespace t3d::distributed {
namespace {

using ::testing::HasSubstr;

uint16_t free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(s, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(s, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(s);
  return ntohs(address.sin_port);
}

/// Each rank in a thread of its own; the groups know nothing of that.
void with_ranks(int n, const std::function<void(ProcessGroup&)>& work) {
  Rendezvous r;
  r.size = n;
  r.port = free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < n; ++rank)
    threads.emplace_back([&, rank] {
      Rendezvous own = r;
      own.rank = own.local_rank = rank;
      work(*connect(own, c10::kCPU));
    });
  for (auto& t : threads) t.join();
}

#if defined(T3D_HAS_GLOO)
TEST(ProcessGroup, AveragesTensorsOfAllRanks) {
  with_ranks(3, [](ProcessGroup& group) {
    const auto mine = static_cast<double>(group.rank());
    const auto table = at::full({2, 3}, mine), scalar = at::full({}, 10 * mine, at::kDouble);
    group.average(table);
    group.average(scalar);
    EXPECT_TRUE(at::equal(table, at::ones({2, 3})));
    EXPECT_EQ(scalar.item<double>(), 10);
    group.close();
    EXPECT_EQ(group.size(), 3);
  });
}

TEST(ProcessGroup, BroadcastOverwritesByRankZero) {
  with_ranks(2, [](ProcessGroup& group) {
    auto counts = at::full({4}, group.rank() == 0 ? int64_t{1} << 53 : 7, at::kLong);
    auto strided = at::full({3, 2}, group.rank() == 0 ? 1.5 : 0.0).t();
    group.broadcast({counts});
    group.broadcast({strided, at::empty({0})});
    EXPECT_EQ(counts[3].item<int64_t>(), int64_t{1} << 53);
    EXPECT_TRUE(at::equal(strided, at::full({2, 3}, 1.5)));
    group.barrier();
  });
}

TEST(ProcessGroup, ARankThatLeavesIsASentenceForTheOthers) {
  with_ranks(2, [](ProcessGroup& group) {
    if (group.rank() == 1) return;  // its connections close
    try {
      for (int i = 0; i < 3; ++i) group.barrier();
      FAIL() << "a barrier passed without rank 1";
    } catch (const SystemError& e) {
      EXPECT_THAT(e.what(), HasSubstr("process 0 of 2 cannot reach the others"));
    }
  });
}
#else
TEST(ProcessGroup, SaysWhatTheBuildLacks) {
  Rendezvous r;
  r.size = 2;
  EXPECT_THROW(connect(r, c10::kCPU), UserError);
}
#endif

TEST(ProcessGroup, OfOneProcessDoesNothing) {
  Rendezvous r;
  const auto group = connect(r, c10::kCPU);
  const auto x = at::ones({2});
  group->average(x);
  EXPECT_TRUE(at::equal(x, at::ones({2})));
  EXPECT_TRUE(group->is_first());
  group->barrier();
}

struct RendezvousFromEnvironment : ::testing::Test {
  void set(const std::map<std::string, std::string>& variables) {
    for (const char* name :
         {"WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"})
      unsetenv(name);
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  }
  void TearDown() override { set({}); }
  std::map<std::string, std::string> good = {{"WORLD_SIZE", "4"},
                                             {"RANK", "3"},
                                             {"LOCAL_RANK", "1"},
                                             {"MASTER_ADDR", "localhost"},
                                             {"MASTER_PORT", "1234"}};
  std::string message() {
    try {
      rendezvous_from_environment();
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(RendezvousFromEnvironment, ReadsTheLaunchersVariables) {
  set({});
  EXPECT_FALSE(rendezvous_from_environment());
  set(good);
  const auto r = rendezvous_from_environment();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->rank, 3);
  EXPECT_EQ(r->port, 1234);
  EXPECT_EQ(r->address, "localhost");
  EXPECT_FALSE(r->has_agent_store);
  EXPECT_EQ(device_of("cuda", r), c10::Device(c10::kCUDA, 1));
  EXPECT_EQ(device_of("cpu", r), c10::Device(c10::kCPU));
  EXPECT_EQ(device_of("cuda", std::nullopt), c10::Device(c10::kCUDA));
}

TEST_F(RendezvousFromEnvironment, NamesTheVariableThatIsWrong) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"WORLD_SIZE", "0"}, {"RANK", "4"}, {"LOCAL_RANK", "one"}, {"MASTER_PORT", "70000"}}) {
    auto wrong = good;
    wrong[name] = value;
    set(wrong);
    EXPECT_THAT(message(), HasSubstr(name + " is \"" + value));
  }
  good.erase("MASTER_ADDR");
  set(good);
  EXPECT_THAT(message(), HasSubstr("MASTER_ADDR"));
}

}  // namespace
}  // namespace t3d::distributed
