#include "io/socket_stream.h"

#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/listener.h"
#include "io/testing.h"

namespace peerlane::io {
namespace {

using namespace std::chrono_literals;

std::vector<std::uint8_t> pattern(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  return bytes;
}

void send_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

/// A reactor with one connection to itself: `stream` is the reactor's end, `peer` a plain blocking socket.
class SocketStreamTest : public ::testing::TestWithParam<Features> {
 protected:
  SocketStreamTest() {
    auto created = Reactor::create(GetParam());
    EXPECT_TRUE(created.has_value());
    reactor = std::move(*created);
    const auto listening = listen_on("127.0.0.1", 0);
    EXPECT_TRUE(listening.has_value());
    sockaddr_in address{};
    socklen_t length = sizeof address;
    getsockname(*listening, reinterpret_cast<sockaddr*>(&address), &length);
    peer = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(peer, reinterpret_cast<sockaddr*>(&address), length), 0);
    stream = std::make_unique<SocketStream>(*reactor, accept(*listening, nullptr, nullptr));
    close(*listening);
  }
  ~SocketStreamTest() override {
    testing::run(*reactor, stream->close());
    stream.reset();
    close(peer);
  }

  std::unique_ptr<Reactor> reactor;
  std::unique_ptr<SocketStream> stream;
  int peer = -1;
};

/// Reads messages as iSCSI does: a header of 8 bytes that says how long the data after it is.
Task<void> read_messages(Stream& stream, std::size_t count, std::vector<std::uint8_t>& all) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto header = co_await stream.wait_for(8);
    if (!header) co_return;
    const std::size_t length = get_be64(stream.buffered(), 0);
    stream.consume(8);
    std::vector<std::uint8_t> data(length);
    const auto body = co_await stream.receive(data);
    if (!body) co_return;
    all.insert(all.end(), data.begin(), data.end());
  }
}

std::vector<std::uint8_t> message(ByteView data) {
  std::vector<std::uint8_t> bytes(8);
  put_be64(bytes, 0, data.size());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

TEST_P(SocketStreamTest, DeliversEveryByteInOrderWhateverTheSizes) {
  const std::vector<std::size_t> sizes{0,    1,      5000,      70'000, 3,  300'000, 0, 0, 8191, 8192,
                                       8193, 65'536, 1'000'000, 12,     40, 1,       1, 1, 200,  2,
                                       3,    64,     4088,      4096,   9,  131'072, 1, 1};
  std::vector<std::uint8_t> wire;
  std::vector<std::uint8_t> expected;
  std::size_t count = 0;
  for (int round = 0; round < 4; ++round) {
    for (const std::size_t size : sizes) {
      const auto data = pattern(size);
      const auto bytes = message(data);
      wire.insert(wire.end(), bytes.begin(), bytes.end());
      expected.insert(expected.end(), data.begin(), data.end());
      ++count;
    }
    for (int i = 0; i < 40; ++i, ++count) {
      const auto bytes = message({});
      wire.insert(wire.end(), bytes.begin(), bytes.end());
    }
  }
  for (const std::size_t piece : {std::size_t{1'000'003}, std::size_t{1461}, std::size_t{65'537}}) {
    std::jthread sender([&] {
      for (std::size_t at = 0; at < wire.size(); at += piece) {
        send_all(peer, ByteView(wire).subspan(at, std::min(piece, wire.size() - at)));
      }
    });
    std::vector<std::uint8_t> all;
    testing::run(*reactor, read_messages(*stream, count, all));
    ASSERT_EQ(all, expected) << "sent in pieces of " << piece;
  }
}

Task<void> wait_and_hold(Reactor& reactor, Stream& stream, std::vector<std::uint8_t>& all, std::size_t total) {
  const auto some = co_await stream.wait_for(1);
  EXPECT_TRUE(some.has_value());
  co_await sleep(reactor,
                 50ms);  // the sender goes on meanwhile: what we hold must stay bounded, and none of it be lost
  all.resize(total);
  const auto rest = co_await stream.receive(all);
  EXPECT_TRUE(rest.has_value());
}

TEST_P(SocketStreamTest, AReaderThatPausesLosesNothing) {
  const auto bytes = pattern(16u << 20);
  std::jthread sender([&] {
    for (std::size_t at = 0; at < bytes.size(); at += 4096) send_all(peer, ByteView(bytes).subspan(at, 4096));
  });
  std::vector<std::uint8_t> warm_up;
  std::vector<std::uint8_t> all;
  testing::run(*reactor, wait_and_hold(*reactor, *stream, all, bytes.size()));
  EXPECT_EQ(all, bytes);
}

Task<void> expect_error(Stream& stream, int code, std::size_t left) {
  const auto result = co_await stream.wait_for(48);
  EXPECT_EQ(result.has_value() ? 0 : result.error().code, code);
  EXPECT_EQ(stream.buffered().size(), left);
}

TEST_P(SocketStreamTest, SaysThatThePeerClosed) {
  send_all(peer, pattern(20));
  ::shutdown(peer, SHUT_WR);
  testing::run(*reactor, expect_error(*stream, ENODATA, 20));
}

Task<void> shut_down_soon(Reactor& reactor, Stream& stream) {
  co_await sleep(reactor, 5ms);
  stream.shutdown();
}

Task<void> expect_end_of_wait(Reactor& reactor, Stream& stream) {
  spawn(shut_down_soon(reactor, stream));
  const auto result = co_await stream.wait_for(48);
  EXPECT_FALSE(result.has_value());
}

TEST_P(SocketStreamTest, ShutdownEndsAWait) {
  testing::run(*reactor, expect_end_of_wait(*reactor, *stream));
}

Task<void> send_vectors(Stream& stream, const std::vector<iovec>& vectors) {
  const auto sent = co_await stream.send(vectors);
  EXPECT_TRUE(sent.has_value());
}

TEST_P(SocketStreamTest, SendsAllVectorsToASlowReader) {
  auto bytes = pattern(8u << 20);
  std::vector<iovec> vectors;
  for (std::size_t at = 0; at < bytes.size(); at += 40'000) {
    vectors.push_back({bytes.data() + at, std::min<std::size_t>(40'000, bytes.size() - at)});
  }
  ASSERT_LE(vectors.size(), limits::kSendVectors);
  std::vector<std::uint8_t> all;
  std::jthread reader([&] {
    std::vector<std::uint8_t> piece(100'000);
    while (all.size() < bytes.size()) {
      const ssize_t got = recv(peer, piece.data(), piece.size(), 0);
      if (got <= 0) return;
      all.insert(all.end(), piece.begin(), piece.begin() + got);
      std::this_thread::sleep_for(100us);
    }
  });
  testing::run(*reactor, send_vectors(*stream, vectors));
  reader.join();
  EXPECT_EQ(all, bytes);
}

std::string features_name(const ::testing::TestParamInfo<Features>& info) {
  if (info.param.multishot) return "All";
  return info.param.receive_ring ? "NoMultishot" : "Plain";
}

INSTANTIATE_TEST_SUITE_P(Features, SocketStreamTest,
                         ::testing::Values(Features{}, Features{true, true, true, true, false},
                                           Features{false, false, false, false, false}),
                         features_name);

Task<void> accept_two(Listener& listener, int& accepted) {
  for (int i = 0; i < 2; ++i) {
    const auto fd = co_await listener.accept();
    if (!fd) co_return;
    ++accepted;
    ::close(*fd);
  }
  co_await listener.close();
}

TEST(Listener, AcceptsAndClosesOnIPv4AndIPv6) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    auto reactor = Reactor::create();
    ASSERT_TRUE(reactor.has_value());
    const auto fd = listen_on(host, 0);
    ASSERT_TRUE(fd.has_value()) << fd.error().text();
    Listener listener(**reactor, *fd);
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    getsockname(*fd, reinterpret_cast<sockaddr*>(&address), &length);
    int clients[2];
    for (int& client : clients) {
      client = socket(address.ss_family, SOCK_STREAM, 0);
      ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
    }
    int accepted = 0;
    testing::run(**reactor, accept_two(listener, accepted));
    EXPECT_EQ(accepted, 2);
    for (const int client : clients) close(client);
  }
}

TEST(Listener, SaysWhyItCannotListen) {
  EXPECT_FALSE(listen_on("localhost", 0).has_value());
  const auto refused = listen_on("192.0.2.1", 0);  // TEST-NET-1: no host has it
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text().find("no such address"), std::string::npos);
}

}  // namespace
}  // namespace peerlane::io
