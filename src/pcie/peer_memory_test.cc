#include "pcie/peer_memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pcie/probe.h"

namespace peerlane::pcie {
namespace {

namespace fs = std::filesystem;

/// A device whose memory is a file: what Linux shows of one.
class PeerMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    function_.path = "sys/devices/pci0000:00/0000:00:03.0";
    function_.address = *parse_address("0000:00:03.0");
    fs::create_directories(directory());
    std::ofstream(directory() / "available") << "8192\n";
    std::ofstream(memory()) << std::string(3 * 4096, 'x');
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path directory() const { return root_ / function_.path / "p2pmem"; }
  fs::path memory() const { return directory() / "allocate"; }
  std::string content() const {
    std::ifstream file(memory());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<PeerMemoryProvider> provider() const { return open_provider(Sysfs(root_.string()), function_); }

  const fs::path root_ = fs::path(::testing::TempDir()) / fmt::format("peerlane-peer-memory-{}", getpid());
  Function function_;
};

TEST_F(PeerMemoryTest, IsWipedBeforeItsFirstUseAndWhenItIsGivenBack) {
  const auto provider = this->provider();
  EXPECT_EQ(provider->name(), "0000:00:03.0");
  EXPECT_EQ(provider->available(), 8192u);
  {
    const auto range = provider->allocate(8192);
    ASSERT_TRUE(range) << range.error().text();
    ASSERT_EQ((*range)->bytes().size(), 8192u);
    EXPECT_TRUE(std::ranges::all_of((*range)->bytes(), [](std::uint8_t byte) { return byte == 0; }));
    EXPECT_EQ(content().find('x'), 8192u);
    std::ranges::fill((*range)->bytes(), std::uint8_t{'s'});
    EXPECT_EQ(content().front(), 's');
  }
  EXPECT_EQ(content(), std::string(8192, '\0') + std::string(4096, 'x'));
}

TEST_F(PeerMemoryTest, SaysWhyThereIsNone) {
  fs::remove(memory());
  const auto range = provider()->allocate(4096);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error().code, ENODEV);
  EXPECT_NE(range.error().text().find("0000:00:03.0"), std::string::npos);
}

TEST_F(PeerMemoryTest, SurvivesADeviceThatGoes) {
  const auto provider = this->provider();
  auto range = provider->allocate(8192);
  ASSERT_TRUE(range) << range.error().text();
  // What lies behind the end of a file that has become shorter faults as memory of a device does that is gone.
  fs::resize_file(memory(), 0);
  const auto scrambled = scramble((*range)->bytes());
  ASSERT_FALSE(scrambled);
  EXPECT_EQ(scrambled.error().code, EFAULT);
  range->reset();
  const auto again = provider->allocate(8192);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ENODEV);
}

TEST_F(PeerMemoryTest, AProbeFindsWhatTheDiskHas) {
  const fs::path disk = root_ / "disk";
  std::ofstream(disk) << std::string(4096, 'd');
  const auto provider = this->provider();
  const auto tried = probe(*provider, disk.string());
  EXPECT_TRUE(tried) << tried.error().text();
  EXPECT_EQ(content(), std::string(4096, '\0') + std::string(8192, 'x'));
  const auto short_disk = root_ / "short";
  std::ofstream(short_disk) << "less than a block";
  EXPECT_FALSE(probe(*provider, short_disk.string()));
  EXPECT_EQ(probe(*provider, (root_ / "missing").string()).error().code, ENOENT);
  fs::remove(memory());
  EXPECT_EQ(probe(*provider, disk.string()).error().code, ENODEV);
}

TEST(PeerMemory, ScramblesSoThatNothingIsLeft) {
  std::vector<std::uint8_t> bytes(4096);
  ASSERT_TRUE(scramble(bytes));
  EXPECT_GT(std::ranges::count_if(bytes, [](std::uint8_t byte) { return byte != 0; }), 4000);
  ASSERT_TRUE(wipe(bytes));
  EXPECT_EQ(std::ranges::count(bytes, 0), 4096);
}

}  // namespace
}  // namespace peerlane::pcie
