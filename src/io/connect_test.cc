#include "io/connect.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/listener.h"
#include "io/testing.h"

namespace peerlane::io {
namespace {

using namespace std::chrono_literals;

Task<void> keep(Reactor& reactor, std::string host, std::uint16_t port, Duration limit, Result<int>& result,
                Interrupt* interrupt = nullptr) {
  auto connecting = connect(reactor, std::move(host), port, limit, interrupt);
  result = co_await std::move(connecting);
}

/// A listener whose queue is full: it does not answer.
struct SilentHost {
  SilentHost() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(full, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(full, 0), 0);
    EXPECT_EQ(getsockname(full, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::connect(first, reinterpret_cast<sockaddr*>(&address), length), 0);
    port = ntohs(address.sin_port);
  }
  ~SilentHost() {
    close(first);
    close(full);
  }
  SilentHost(const SilentHost&) = delete;
  SilentHost& operator=(const SilentHost&) = delete;

  const int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;
};

class ConnectTest : public ::testing::Test {
 protected:
  ConnectTest() {
    auto created = Reactor::create();
    EXPECT_TRUE(created.has_value());
    reactor = std::move(*created);
    listening = listen_on("127.0.0.1", 0).value_or(-1);
    const std::string address = local_address(listening);
    port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  ~ConnectTest() override { close(listening); }

  Result<int> try_to(const std::string& host, std::uint16_t to, Duration limit = 5s) {
    Result<int> result = fail(EINVAL);
    testing::run(*reactor, keep(*reactor, host, to, limit, result));
    if (result) close(*result);
    return result;
  }

  std::unique_ptr<Reactor> reactor;
  int listening = -1;
  std::uint16_t port = 0;
};

TEST_F(ConnectTest, ToAnAddressAndToAName) {
  EXPECT_TRUE(try_to("127.0.0.1", port));
  EXPECT_TRUE(try_to("localhost", port));  // whose first address may be another one: the others are tried as well
}

TEST_F(ConnectTest, SaysWhatIsWrong) {
  close(std::exchange(listening, -1));
  const auto refused = try_to("127.0.0.1", port);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ECONNREFUSED);
  EXPECT_NE(refused.error().text().find("nothing listens there"), std::string::npos);
  const auto unknown = try_to("no-such-host.invalid", port);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().text().find("no-such-host.invalid"), std::string::npos);
}

TEST_F(ConnectTest, EndsInTime) {
  const SilentHost host;
  const auto began = Clock::now();
  const auto late = try_to("127.0.0.1", host.port, 100ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ETIMEDOUT);
  EXPECT_LT(Clock::now() - began, 3s);
}

TEST_F(ConnectTest, CanBeInterrupted) {
  const SilentHost host;
  Interrupt interrupt;
  Timer timer(*reactor, [&interrupt] { interrupt.raise(); });
  timer.arm_after(50ms);
  const auto began = Clock::now();
  for (int i = 0; i < 2; ++i) {  // amid a connect, and before one begins
    Result<int> result = fail(EINVAL);
    testing::run(*reactor, keep(*reactor, "127.0.0.1", host.port, 20s, result, &interrupt));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ECANCELED);
  }
  EXPECT_LT(Clock::now() - began, 5s);
}

}  // namespace
}  // namespace peerlane::io
