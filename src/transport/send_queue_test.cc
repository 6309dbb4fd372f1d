#include "transport/send_queue.h"

#include <memory>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "io/reactor.h"
#include "io/socket_stream.h"
#include "io/testing.h"

namespace peerlane::transport {
namespace {

class SendQueueTest : public ::testing::Test {
 protected:
  SendQueueTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    stream_ = std::make_unique<io::SocketStream>(*reactor_, ends[0]);
    peer_ = std::make_unique<io::SocketStream>(*reactor_, ends[1]);
    queue_ = std::make_unique<SendQueue>(*reactor_, *stream_);
  }
  ~SendQueueTest() override {
    queue_.reset();
    io::testing::run(*reactor_, stream_->close());
    io::testing::run(*reactor_, peer_->close());
  }

  static io::Task<void> note_end(io::Task<void> waiting, bool& ended) {
    co_await std::move(waiting);
    ended = true;
  }

  /// Abandons a queue of so many PDUs, of which none has been sent, while somebody waits; whether he goes on then.
  bool goes_on(std::size_t pdus, io::Task<void> (SendQueue::*wait)()) {
    bool ended = false;
    bool held = false;
    const auto script = [&]() -> io::Task<void> {
      for (std::size_t i = 0; i < pdus; ++i) queue_->push({});
      io::spawn(note_end(((*queue_).*wait)(), ended));
      EXPECT_FALSE(ended);
      queue_->abandon();
      EXPECT_FALSE(ended) << "not from within the call";
      stream_->shutdown();
      held = co_await io::testing::until([&ended] { return ended; });
    };
    io::testing::run(*reactor_, script());
    return held;
  }

  std::unique_ptr<io::Reactor> reactor_ = std::move(*io::Reactor::create());
  std::unique_ptr<io::SocketStream> stream_, peer_;
  std::unique_ptr<SendQueue> queue_;
};

TEST_F(SendQueueTest, WhoWaitsForAllToBeSentGoesOnWhenItIsAbandonedBefore) {
  EXPECT_TRUE(goes_on(1, &SendQueue::drain));
}

TEST_F(SendQueueTest, WhoWaitsForRoomGoesOnWhenItIsAbandonedBefore) {
  EXPECT_TRUE(goes_on(limits::kSendQueuePdus + 1, &SendQueue::wait_for_room));
}

}  // namespace
}  // namespace peerlane::transport
