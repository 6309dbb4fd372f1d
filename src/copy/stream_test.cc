#include "copy/stream.h"

#include <array>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "copy/job.h"
#include "copy/testing/model_device.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;
using testing::ModelDevice;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kEndless = std::uint64_t{1} << 62;

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(0, pipe2(pipe_.data(), O_CLOEXEC)); }
  void TearDown() override {
    close_end(0);
    close_end(1);
  }
  void close_end(std::size_t end) {
    if (pipe_[end] >= 0) close(std::exchange(pipe_[end], -1));
  }

  /// A thread that writes so many bytes, in odd portions, and closes its end.
  std::thread feeder(std::size_t bytes) {
    return std::thread([this, bytes] {
      std::size_t at = 0;
      std::array<std::uint8_t, 7777> portion{};
      while (at < bytes) {
        const std::size_t count = std::min(portion.size(), bytes - at);
        for (std::size_t i = 0; i < count; ++i) portion[i] = byte_at(at + i);
        const ssize_t put = write(pipe_[1], portion.data(), count);
        if (put <= 0) break;
        at += static_cast<std::size_t>(put);
      }
      close_end(1);
    });
  }
  static std::uint8_t byte_at(std::size_t at) { return static_cast<std::uint8_t>(at * 31 + at / 4096 + 1); }

  static io::Task<void> run(Result<void>& result, End from, End to, PlanOptions options, JobOptions job_options,
                            std::optional<io::Duration> cancel_after) {
    auto planned = co_await plan(std::move(from), std::move(to), options);
    if (!planned) {
      result = std::unexpected(planned.error());
      co_return;
    }
    Job job(std::move(*planned), std::move(job_options));
    io::Timer timer(io::Reactor::current(), [&job] { job.cancel(); });
    if (cancel_after) timer.arm_after(*cancel_after);
    result = co_await job.run();
  }
  Result<void> copy(const End& from, const End& to, const PlanOptions& options = {},
                    std::optional<io::Duration> cancel_after = {}) {
    Result<void> result;
    io::testing::run(*reactor_, run(result, from, to, options, {}, cancel_after));
    return result;
  }

  End source(StreamSource& stream) {
    End end;
    end.device = &stream;
    end.stream = &stream;
    end.size = kEndless;
    end.name = "standard input";
    return end;
  }
  static End disk(ModelDevice& device, std::uint64_t size) {
    End end;
    end.device = &device;
    end.size = size;
    end.name = "disk";
    return end;
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
  std::array<int, 2> pipe_{-1, -1};
};

TEST_F(StreamTest, ComesInOrderAndEndsAnywhere) {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, 2 * kMiB, 3 * kMiB + 12345}) {
    SCOPED_TRACE(bytes);
    close_end(0);
    close_end(1);
    SetUp();
    ModelDevice destination({.size = 4 * kMiB, .block = 4096});
    destination.fill_with(0x55);
    StreamSource stream(pipe_[0]);
    std::thread thread = feeder(bytes);
    const PlanOptions options{.length = {}, .destination_offset = 1000};
    const Result<void> result = copy(source(stream), disk(destination, 4 * kMiB), options);
    thread.join();
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ(bytes, stream.end());
    for (std::size_t at = 0; at < 4 * kMiB; ++at) {
      const bool inside = at >= 1000 && at < 1000 + bytes;
      ASSERT_EQ(inside ? byte_at(at - 1000) : 0x55, destination.bytes()[at]) << at;
    }
  }
}

TEST_F(StreamTest, SaysWhenTheDestinationIsTooSmallForIt) {
  ModelDevice destination({.size = kMiB});
  StreamSource stream(pipe_[0]);
  std::thread thread = feeder(kMiB + 1);
  const Result<void> result = copy(source(stream), disk(destination, kMiB));
  close_end(0);
  thread.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(ENOSPC, result.error().code);
}

TEST_F(StreamTest, FillsTheDestinationToTheLastByte) {
  ModelDevice destination({.size = kMiB});
  StreamSource stream(pipe_[0]);
  std::thread thread = feeder(kMiB);
  const Result<void> result = copy(source(stream), disk(destination, kMiB));
  thread.join();
  EXPECT_TRUE(result) << result.error().text();
}

TEST_F(StreamTest, IsInterruptedWhileNobodyWrites) {
  ModelDevice destination({.size = 4 * kMiB});
  StreamSource stream(pipe_[0]);
  const auto started = io::Clock::now();
  const Result<void> result = copy(source(stream), disk(destination, 4 * kMiB), {}, 100ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(ECANCELED, result.error().code);
  EXPECT_LT(io::Clock::now() - started, 5s);
}

TEST_F(StreamTest, WaitsForADescriptorThatDoesNotBlock) {
  ASSERT_EQ(0, fcntl(pipe_[0], F_SETFL, O_NONBLOCK));
  ModelDevice destination({.size = kMiB});
  StreamSource stream(pipe_[0]);
  std::thread late([this] {
    std::this_thread::sleep_for(50ms);
    feeder(100'000).join();
  });
  const Result<void> result = copy(source(stream), disk(destination, kMiB));
  late.join();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(100'000U, stream.end());
}

class SinkTest : public StreamTest {
 protected:
  End sink_end(StreamSink& sink) {
    End end;
    end.device = &sink;
    end.sink = &sink;
    end.size = kEndless;
    end.name = "standard output";
    return end;
  }
};

TEST_F(SinkTest, WritesInOrderAndNoPadding) {
  constexpr std::uint64_t kBytes = 3 * kMiB + 77;
  ModelDevice from({.size = kBytes, .block = 4096});
  from.fill(100'000);
  StreamSink sink(pipe_[1], kBytes);
  std::vector<std::uint8_t> got;
  std::thread reader([&] {
    std::array<std::uint8_t, 5000> portion{};
    ssize_t count = 0;
    while ((count = read(pipe_[0], portion.data(), portion.size())) > 0) {
      got.insert(got.end(), portion.begin(), portion.begin() + count);
    }
  });
  const Result<void> result = copy(disk(from, kBytes), sink_end(sink));
  close_end(1);
  reader.join();
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(kBytes, got.size());
  EXPECT_EQ(0, std::memcmp(got.data(), from.bytes().data(), kBytes));
}

TEST_F(SinkTest, IsInterruptedWhileNobodyReads) {
  ModelDevice from({.size = 4 * kMiB, .map = false});
  StreamSink sink(pipe_[1], 4 * kMiB);
  const Result<void> result = copy(disk(from, 4 * kMiB), sink_end(sink), {}, 100ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(ECANCELED, result.error().code);
}

TEST_F(SinkTest, AFailingSourceEndsThoseWhoWaitForTheirTurn) {
  ModelDevice from({.size = 8 * kMiB, .map = false});
  from.fail_at(ModelDevice::Operation::kRead, 1);
  StreamSink sink(pipe_[1], 8 * kMiB);
  const Result<void> result = copy(disk(from, 8 * kMiB), sink_end(sink));
  ASSERT_FALSE(result);
  EXPECT_EQ(EIO, result.error().code);
}

}  // namespace
}  // namespace peerlane::copy
