#include "copy/server_copy.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/limits.h"
#include "block/descriptor_device.h"
#include "block/filter_device.h"
#include "copy/storage.h"
#include "copy/testing/model_device.h"
#include "io/event.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kTrialBytes = 64u << 10;

/// A kernel whose file system has a server; what that does, and what this host does instead, is chosen.
class ModelKernel final : public FileCopier {
 public:
  std::uint64_t server_bytes = UINT64_MAX;  // the server copies so many, and this host what comes after them
  std::size_t most = SIZE_MAX;              // of one call
  int error = 0;
  bool counts = true;  // what this host writes
  bool tells = true;   // whether there are counters at all
  mutable std::atomic<unsigned> calls = 0;
  mutable std::atomic<std::uint64_t> copied = 0;  // by whomever

  ssize_t copy(int source, off_t from, int destination, off_t to, std::size_t length) const override {
    ++calls;
    this_thread().has_copied = true;
    if (error != 0) {
      errno = error;
      return -1;
    }
    std::vector<char> data(std::min(length, most));
    const ssize_t got = ::pread(source, data.data(), data.size(), from);
    if (got <= 0) return got;
    const auto count = static_cast<std::size_t>(got);
    EXPECT_EQ(::pwrite(destination, data.data(), count, to), got);
    if (copied.fetch_add(count) >= server_bytes) this_thread().written += count;
    return got;
  }

  std::optional<std::uint64_t> written() const override {
    if (!tells) return {};
    // Before a thread has anything copied, what it asks about is the block that it writes.
    if (counts && !this_thread().has_copied) this_thread().written += kBlock;
    return this_thread().written;
  }

 private:
  struct Thread {
    std::uint64_t written = 0;
    bool has_copied = false;
  };
  static Thread& this_thread() {
    static thread_local Thread thread;
    return thread;
  }
};

/// A disk that is a descriptor, for direct ways only.
class Disk final : public block::FilterDevice {
 public:
  Disk(const std::string& path, int flags)
      : FilterDevice(std::make_unique<testing::ModelDevice>(testing::ModelOptions{})),
        descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    EXPECT_GE(descriptor_.get(), 0) << path;
  }
  std::optional<block::Backing> backing() const override {
    return block::Backing{.descriptor = descriptor_.get(), .direct = false, .unit = 1};
  }

 private:
  const block::Descriptor descriptor_;
};

class ServerCopyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_);
    std::string content(4 * kMiB, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 4096);
    std::ofstream(source_path()) << content;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string source_path() const { return directory_ + "/source"; }
  static std::string content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void expect_same() const { EXPECT_TRUE(content(directory_ + "/destination") == content(source_path())); }

  /// Moves pieces of 1 MiB, all of them at the same time or one after the other.
  std::vector<Result<void>> move(const FileCopier& kernel, std::vector<std::uint64_t> offsets, bool together) {
    Disk source(source_path(), O_RDONLY);
    Disk destination(directory_ + "/destination", O_RDWR | O_CREAT);
    const End from = end_of(source);
    const End to = end_of(destination);
    io::BufferShare share(kMiB);
    ServerCopy mover(from, to, "NFS", kernel, MoverTools{account_, share});
    std::vector<Result<void>> results(offsets.size());
    io::testing::run(*reactor_, move_all(mover, offsets, results, together));
    return results;
  }

  static void expect_refused(const std::vector<Result<void>>& results, std::string_view reason) {
    for (const auto& result : results) {
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().code, ENOTSUP);
      EXPECT_NE(result.error().message.find(reason), std::string::npos) << result.error().message;
    }
  }
  void expect_nothing_moved() const {
    EXPECT_EQ(account_.of(Way::kServerCopy), 0u);
    EXPECT_EQ(account_.of(Way::kHostMemory), 0u);
    EXPECT_EQ(account_.memory_bytes, 0u);
  }

  const std::string directory_ = fmt::format("{}/peerlane-server-copy-{}", ::testing::TempDir(), getpid());
  const std::vector<std::uint64_t> everything_{0, kMiB, 2 * kMiB, 3 * kMiB};
  Account account_;

 private:
  static End end_of(block::Device& device) {
    End end;
    end.device = &device;
    end.name = "a file";
    end.size = 4 * kMiB;
    return end;
  }
  static io::Task<void> move_one(ServerCopy& mover, std::uint64_t offset, Result<void>& result, io::Gate& gate) {
    const io::Gate::Pass inside(gate);
    const Piece piece{.source = offset, .destination = offset, .length = kMiB, .way = Way::kServerCopy, .zero = false};
    result = co_await mover.move(piece);
  }
  static io::Task<void> move_all(ServerCopy& mover, const std::vector<std::uint64_t>& offsets,
                                 std::vector<Result<void>>& results, bool together) {
    io::Gate gate;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      io::spawn(move_one(mover, offsets[i], results[i], gate));
      if (!together) co_await gate.drained();
    }
    co_await gate.drained();
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
};

TEST_F(ServerCopyTest, MovesEverythingAndReadsABlockOnly) {
  const ModelKernel kernel;
  for (const auto& result : move(kernel, everything_, true)) EXPECT_TRUE(result) << result.error().text();
  expect_same();
  EXPECT_EQ(account_.of(Way::kServerCopy), 4 * kMiB);
  EXPECT_EQ(account_.of(Way::kHostMemory), 0u);
  EXPECT_EQ(account_.memory_bytes, 0u);
  // Pieces that are under way at the same time find out by themselves.
  EXPECT_GE(account_.probe_bytes, kBlock);
  EXPECT_LE(account_.probe_bytes, 4 * kBlock);
}

TEST_F(ServerCopyTest, AsksAgainForWhatIsLeft) {
  ModelKernel kernel;
  kernel.most = 300001;
  for (const auto& result : move(kernel, everything_, false)) EXPECT_TRUE(result) << result.error().text();
  expect_same();
  EXPECT_EQ(account_.of(Way::kServerCopy), 4 * kMiB);
  EXPECT_EQ(account_.probe_bytes, kBlock);
}

TEST_F(ServerCopyTest, WhatThisHostCopiesInsteadIsSeenAtOnce) {
  ModelKernel kernel;
  kernel.server_bytes = 0;
  expect_refused(move(kernel, everything_, false), "through this host's memory");
  expect_nothing_moved();
  EXPECT_EQ(kernel.copied, kTrialBytes);
  EXPECT_EQ(account_.probe_bytes, kBlock + kTrialBytes);
}

TEST_F(ServerCopyTest, WhatThisHostCopiesLaterIsCountedAsThat) {
  ModelKernel kernel;
  kernel.server_bytes = 2 * kMiB;
  const auto results = move(kernel, everything_, false);
  EXPECT_TRUE(results[0] && results[1] && results[2]);
  expect_refused({results[3]}, "through this host's memory");
  EXPECT_EQ(account_.of(Way::kServerCopy), 2 * kMiB);
  EXPECT_EQ(account_.of(Way::kHostMemory), kMiB);
  EXPECT_EQ(account_.memory_bytes, kMiB);
  EXPECT_EQ(kernel.copied, 3 * kMiB);
}

TEST_F(ServerCopyTest, WhereNothingIsCountedItIsNotTaken) {
  ModelKernel silent;
  silent.counts = false;
  expect_refused(move(silent, everything_, true), "does not count what is written to these files of NFS");
  EXPECT_EQ(silent.calls, 0u);
  ModelKernel without;
  without.tells = false;
  expect_refused(move(without, everything_, true), "does not count");
  EXPECT_EQ(without.calls, 0u);
  expect_nothing_moved();
}

TEST_F(ServerCopyTest, ARefusalOfTheFirstCallEndsIt) {
  ModelKernel kernel;
  kernel.error = EOPNOTSUPP;
  expect_refused(move(kernel, everything_, false), "Operation not supported");
  EXPECT_EQ(kernel.calls, 1u);
  expect_nothing_moved();
}

TEST_F(ServerCopyTest, ALaterErrorIsOfItsPieceOnly) {
  std::filesystem::resize_file(source_path(), 2 * kMiB + 8192);
  const ModelKernel kernel;
  const auto results = move(kernel, {0, 2 * kMiB, kMiB}, false);
  EXPECT_TRUE(results[0] && results[2]);
  expect_refused({results[1]}, "the source ends there");
  EXPECT_EQ(account_.of(Way::kServerCopy), 2 * kMiB);
}

TEST_F(ServerCopyTest, LinuxCopiesFilesOfThisHostThroughItsMemory) {
  struct statfs file_system{};
  ASSERT_EQ(statfs(directory_.c_str(), &file_system), 0);
  constexpr long kXfs = 0x58465342;
  if (file_system.f_type == kXfs || file_system.f_type == BTRFS_SUPER_MAGIC) GTEST_SKIP() << "these share blocks";
  const FileCopier kernel;
  const auto results = move(kernel, everything_, false);
  // Nothing is counted in memory that is nobody's cache.
  expect_refused(results, file_system.f_type == TMPFS_MAGIC ? "does not count" : "through this host's memory");
  expect_nothing_moved();
}

// --- Between which ends ---

Storage file_on(long file_system, dev_t device = 1) {
  Storage storage;
  storage.kind = Storage::Kind::kFile;
  storage.name = "a file";
  storage.device = device;
  storage.file_system = static_cast<std::uint64_t>(file_system);
  return storage;
}

TEST(ConsiderServerCopy, IsForFilesOfOneServer) {
  for (const long open :
       {long{NFS_SUPER_MAGIC}, long{CIFS_SUPER_MAGIC}, long{SMB2_SUPER_MAGIC}, long{CEPH_SUPER_MAGIC}}) {
    const auto way = consider_server_copy(file_on(open), file_on(open));
    ASSERT_TRUE(way) << way.error().text();
    EXPECT_EQ(way->way, Way::kServerCopy);
    EXPECT_EQ(way->most % way->unit, 0u);
  }
  const auto reason = [](const Storage& source, const Storage& destination) {
    const auto way = consider_server_copy(source, destination);
    return way ? std::string() : way.error().message;
  };
  const Storage nfs = file_on(NFS_SUPER_MAGIC);
  EXPECT_NE(reason(nfs, file_on(NFS_SUPER_MAGIC, 2)).find("different file systems"), std::string::npos);
  EXPECT_EQ(reason(nfs, file_on(EXT4_SUPER_MAGIC)), "ext4 has no server");
  EXPECT_EQ(reason(file_on(FUSE_SUPER_MAGIC), file_on(FUSE_SUPER_MAGIC)),
            "the server of FUSE is a process of this host (it holds a file)");
  Storage disk = nfs;
  disk.kind = Storage::Kind::kBlockDevice;
  EXPECT_EQ(reason(disk, nfs), "a file is no file");
}

}  // namespace
}  // namespace peerlane::copy
