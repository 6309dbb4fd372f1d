#include "io/listener.h"

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace peerlane::io {
namespace {

std::uint16_t port_of(int fd) {
  const std::string address = local_address(fd);
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

TEST(ListenOn, RefusesWhatIsNoAddressAndNamesIt) {
  const auto fd = listen_on("localhost", 0);
  ASSERT_FALSE(fd.has_value());
  EXPECT_EQ(fd.error().code, EINVAL);
  EXPECT_NE(fd.error().text().find("localhost"), std::string::npos);
}

TEST(ListenOn, NamesAPortThatIsTaken) {
  const auto taken = listen_on("127.0.0.1", 0);
  ASSERT_TRUE(taken.has_value());
  const auto fd = listen_on("127.0.0.1", port_of(*taken));
  ASSERT_FALSE(fd.has_value());
  EXPECT_EQ(fd.error().code, EADDRINUSE);
  EXPECT_NE(fd.error().text().find(std::to_string(port_of(*taken))), std::string::npos);
  close_socket(*taken);
}

TEST(ListenOn, OutlastsAPredecessorThatIsAboutToBeGone) {
  const auto predecessor = listen_on("127.0.0.1", 0);
  ASSERT_TRUE(predecessor.has_value());
  const std::uint16_t port = port_of(*predecessor);
  std::jthread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    close_socket(*predecessor);
  });
  const auto fd = listen_on("127.0.0.1", port);
  ASSERT_TRUE(fd.has_value()) << fd.error().text();
  EXPECT_EQ(port_of(*fd), port);
  close_socket(*fd);
}

}  // namespace
}  // namespace peerlane::io
