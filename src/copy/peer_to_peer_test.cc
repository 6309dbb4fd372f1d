#include "copy/peer_to_peer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/limits.h"
#include "block/descriptor_device.h"
#include "block/filter_device.h"
#include "copy/testing/model_device.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

/// What peer memory has in these tests, and who has it.
struct Memory {
  explicit Memory(std::size_t bytes) : all(bytes) {}
  std::vector<std::uint8_t> all;
  std::size_t taken = 0;
  unsigned ranges = 0;
};

class FakeRange final : public pcie::PeerRange {
 public:
  FakeRange(Memory& memory, std::size_t bytes) : memory_(memory), bytes_(memory.all.data(), bytes) {
    memory_.taken += bytes;
    ++memory_.ranges;
  }
  FakeRange(const FakeRange&) = delete;
  FakeRange& operator=(const FakeRange&) = delete;
  ~FakeRange() override { memory_.taken -= bytes_.size(); }
  ByteSpan bytes() const override { return bytes_; }

 private:
  Memory& memory_;
  const ByteSpan bytes_;
};

class FakeProvider final : public pcie::PeerMemoryProvider {
 public:
  /// Gives ranges of at most `most` bytes.
  FakeProvider(Memory& memory, std::string name, std::size_t most = SIZE_MAX)
      : memory_(memory), name_(std::move(name)), most_(most) {}
  const std::string& name() const override { return name_; }
  std::uint64_t available() const override { return memory_.all.size() - memory_.taken; }
  Result<std::unique_ptr<pcie::PeerRange>> allocate(std::size_t bytes) override {
    if (bytes > available() || bytes > most_) return fail(ENOMEM, "no memory left");
    return std::make_unique<FakeRange>(memory_, bytes);
  }

 private:
  Memory& memory_;
  const std::string name_;
  const std::size_t most_;
};

/// A disk that is a descriptor, for direct ways only.
class Disk final : public block::FilterDevice {
 public:
  Disk(const std::string& path, int flags)
      : FilterDevice(std::make_unique<testing::ModelDevice>(testing::ModelOptions{})),
        descriptor_(::open(path.c_str(), flags, 0600)) {
    EXPECT_GE(descriptor_.get(), 0) << path;
  }
  std::optional<block::Backing> backing() const override {
    return block::Backing{.descriptor = descriptor_.get(), .direct = true, .unit = 512};
  }

 private:
  const block::Descriptor descriptor_;
};

class PeerToPeerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_);
    fill(source_path(), [](std::size_t i) { return static_cast<char>(i * 7 + i / 4096); });
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string source_path() const { return directory_ + "/source"; }
  std::string destination_path() const { return directory_ + "/destination"; }

  template <typename Byte>
  void fill(const std::string& path, Byte byte) {
    std::string content(4 * kMiB, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = byte(i);
    std::ofstream(path) << content;
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static End end_of(block::Device& device, const char* name) {
    End end;
    end.device = &device;
    end.name = name;
    end.size = 4 * kMiB;
    return end;
  }

  /// Moves pieces of 1 MiB, four at a time under way.
  std::vector<Result<void>> move(block::Device& source, block::Device& destination, PeerToPeer::Providers providers,
                                 std::vector<std::uint64_t> offsets) {
    const End from = end_of(source, "from");
    const End to = end_of(destination, "to");
    std::vector<Result<void>> results(offsets.size());
    io::BufferShare share(64 * kMiB);
    PeerToPeer mover(from, to, std::move(providers), MoverTools{account_, share});
    io::testing::run(*reactor_, move_all(mover, offsets, results));
    through_ = mover.through();
    return results;
  }

  PeerToPeer::Providers one(std::size_t most = SIZE_MAX) {
    PeerToPeer::Providers providers;
    providers.push_back(std::make_unique<FakeProvider>(memory_, "0000:03:00.0", most));
    return providers;
  }

  static bool all_done(const std::vector<Result<void>>& results) {
    return std::ranges::all_of(results, [](const auto& result) { return result.has_value(); });
  }

  const std::string directory_ = fmt::format("{}/peerlane-peer-to-peer-{}", ::testing::TempDir(), getpid());
  const std::vector<std::uint64_t> everything_{0, kMiB, 2 * kMiB, 3 * kMiB};
  Memory memory_{16 * kMiB};
  Account account_;
  std::string through_;

 private:
  static io::Task<void> move_one(PeerToPeer& mover, std::uint64_t offset, Result<void>& result, io::Gate& gate) {
    const io::Gate::Pass inside(gate);
    const Piece piece{.source = offset, .destination = offset, .length = kMiB, .way = Way::kPeerToPeer, .zero = false};
    result = co_await mover.move(piece);
  }
  static io::Task<void> move_all(PeerToPeer& mover, const std::vector<std::uint64_t>& offsets,
                                 std::vector<Result<void>>& results) {
    io::Gate gate;
    for (std::size_t i = 0; i < offsets.size(); ++i) io::spawn(move_one(mover, offsets[i], results[i], gate));
    co_await gate.drained();
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
};

TEST_F(PeerToPeerTest, MovesEverythingAndLooksAtTheFirstTransferOnly) {
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  EXPECT_TRUE(all_done(move(source, destination, one(), everything_)));
  EXPECT_EQ(content(destination_path()), content(source_path()));
  EXPECT_EQ(account_.of(Way::kPeerToPeer), 4 * kMiB);
  EXPECT_EQ(account_.memory_bytes, 0u);
  EXPECT_EQ(account_.probe_bytes, 2 * limits::kPeerProbeBytes);
  EXPECT_EQ(through_, "through the memory of 0000:03:00.0");
  EXPECT_EQ(memory_.taken, 0u);
}

TEST_F(PeerToPeerTest, LooksUntilATransferTells) {
  // Bytes that are all the same prove nothing; the last MiB has others.
  fill(source_path(), [](std::size_t i) { return i < 3 * kMiB ? '\0' : static_cast<char>(i * 7); });
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  EXPECT_TRUE(all_done(move(source, destination, one(), everything_)));
  EXPECT_EQ(content(destination_path()), content(source_path()));
  EXPECT_GT(account_.probe_bytes, 3 * kMiB);
}

TEST_F(PeerToPeerTest, WrongBytesEndItForGood) {
  // A source that has other bytes each time, and a bus that changes them on the way, look the same.
  Disk source("/dev/urandom", O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  const auto results = move(source, destination, one(), everything_);
  for (const auto& result : results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ENOTSUP);
    EXPECT_NE(result.error().message.find("wrong bytes"), std::string::npos) << result.error().message;
  }
  // Nothing else was written to find out, and what was there is what the source was last seen to have.
  EXPECT_EQ(content(destination_path()).size(), limits::kPeerProbeBytes);
  EXPECT_EQ(account_.of(Way::kPeerToPeer), 0u);
}

TEST_F(PeerToPeerTest, ErrorsOfTheFirstTransferEndIt) {
  Disk source(source_path(), O_RDONLY);
  Disk destination(source_path(), O_RDONLY);
  const auto results = move(source, destination, one(), everything_);
  for (const auto& result : results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ENOTSUP);
    EXPECT_NE(result.error().message.find("writing to at offset"), std::string::npos) << result.error().message;
  }
}

TEST_F(PeerToPeerTest, ALaterErrorIsOfItsPieceOnly) {
  // The source ends inside the third MiB, behind the first part of it.
  constexpr std::uint64_t kPart = limits::kPeerRequestBytes;
  std::filesystem::resize_file(source_path(), 2 * kMiB + kPart + 8192);
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  const auto results = move(source, destination, one(), {0, 2 * kMiB, kMiB});
  EXPECT_TRUE(results[0] && results[2]);
  ASSERT_FALSE(results[1]);
  EXPECT_EQ(results[1].error().code, ENOTSUP);
  const std::string place = fmt::format("reading from at offset {}", 2 * kMiB + kPart);
  EXPECT_NE(results[1].error().message.find(place), std::string::npos) << results[1].error().message;
  EXPECT_EQ(account_.of(Way::kPeerToPeer), 2 * kMiB);
}

TEST_F(PeerToPeerTest, TakesWhatMemoryThereIsAndHalfOfItAtMost) {
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  Memory little(3 * limits::kLeastPeerRequestBytes);
  PeerToPeer::Providers providers = one(limits::kLeastPeerRequestBytes - 1);
  providers.push_back(std::make_unique<FakeProvider>(little, "0000:04:00.0"));
  EXPECT_TRUE(all_done(move(source, destination, std::move(providers), everything_)));
  EXPECT_EQ(content(destination_path()), content(source_path()));
  EXPECT_EQ(through_, "through the memory of 0000:04:00.0");
  EXPECT_EQ(memory_.ranges, 0u);
  EXPECT_EQ(little.ranges, 1u);
}

TEST_F(PeerToPeerTest, WithoutMemoryItSaysSo) {
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  for (const auto& result : move(source, destination, one(4096), everything_)) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ENOTSUP);
    EXPECT_EQ(result.error().message, "no memory left");
  }
}

TEST_F(PeerToPeerTest, TakesWholePagesOnly) {
  Disk source(source_path(), O_RDONLY);
  Disk destination(destination_path(), O_RDWR | O_CREAT);
  const auto results = move(source, destination, one(), {512});
  ASSERT_FALSE(results[0]);
  EXPECT_EQ(results[0].error().code, ENOTSUP);
  EXPECT_EQ(content(destination_path()), "");
}

}  // namespace
}  // namespace peerlane::copy
