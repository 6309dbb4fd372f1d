#include "copy/journal.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace peerlane::copy {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string path_ = fmt::format("{}/peerlane-journal-test-{}", ::testing::TempDir(), getpid());
  const Journal journal_{path_};
  const JournalEntry entry_{.source = "a",
                            .source_identity = "file 1",
                            .source_offset = 1,
                            .destination = "b",
                            .destination_identity = "file 2",
                            .destination_offset = 2,
                            .length = 100,
                            .done = 50};
};

TEST_F(JournalTest, GivesBackWhatWasWritten) {
  EXPECT_FALSE(journal_.read()->has_value());
  ASSERT_TRUE(journal_.write(entry_));
  const auto read = journal_.read();
  ASSERT_TRUE(read && *read);
  EXPECT_EQ("", mismatch(**read, entry_));
  EXPECT_EQ(50U, (*read)->done);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
  ASSERT_TRUE(journal_.remove());
  EXPECT_FALSE(journal_.read()->has_value());
  EXPECT_TRUE(journal_.remove());
}

TEST_F(JournalTest, IsNotReadWhenABitOfItHasChanged) {
  ASSERT_TRUE(journal_.write(entry_));
  std::ifstream file(path_);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path_) << damaged;
    ASSERT_FALSE(journal_.read()) << at;
  }
  for (std::size_t size = 0; size < text.size(); ++size) {
    std::ofstream(path_) << text.substr(0, size);
    ASSERT_FALSE(journal_.read()) << size;
  }
}

TEST_F(JournalTest, IsOneLineOfErrorWhereItCannotBeWritten) {
  const Journal nowhere("/nonexistent/journal");
  EXPECT_EQ(ENOENT, nowhere.write(entry_).error().code);
  EXPECT_FALSE(nowhere.read()->has_value());
}

TEST_F(JournalTest, FitsOnlyItsOwnCopy) {
  const auto differs = [this](auto change) {
    JournalEntry other = entry_;
    change(other);
    return !mismatch(entry_, other).empty();
  };
  EXPECT_TRUE(differs([](JournalEntry& e) { e.source_identity = "x"; }));
  EXPECT_TRUE(differs([](JournalEntry& e) { e.source_offset = 9; }));
  EXPECT_TRUE(differs([](JournalEntry& e) { e.destination_identity = "x"; }));
  EXPECT_TRUE(differs([](JournalEntry& e) { e.destination_offset = 9; }));
  EXPECT_TRUE(differs([](JournalEntry& e) { e.length = 9; }));
  EXPECT_FALSE(differs([](JournalEntry& e) { e.done = 9; }));
}

}  // namespace
}  // namespace peerlane::copy
