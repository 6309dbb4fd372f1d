#include "target/file_state_store.h"

#include <filesystem>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/testing.h"

namespace peerlane::target {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

io::Task<void> keep(FileStateStore& store, std::string key, std::string value, Result<void>& result, bool& here) {
  const auto thread = std::this_thread::get_id();
  result = co_await store.save(std::move(key), std::move(value));
  here = thread == std::this_thread::get_id();
}

io::Task<void> save_many(FileStateStore& store, std::vector<std::string> values) {
  for (const std::string& value : values) {
    std::string key = "many";
    std::string text = value;
    auto saved = co_await store.save(std::move(key), std::move(text));
    EXPECT_TRUE(saved);
  }
}

class FileStateStoreTest : public ::testing::Test {
 protected:
  FileStateStoreTest() {
    std::string name = fs::temp_directory_path() / "peerlane-state-XXXXXX";
    scratch_ = ::mkdtemp(name.data());
    directory_ = scratch_ + "/a/b";
    auto reactor = io::Reactor::create();
    EXPECT_TRUE(reactor);
    reactor_ = std::move(*reactor);
  }
  ~FileStateStoreTest() override { fs::remove_all(scratch_); }

  std::unique_ptr<FileStateStore> open() {
    auto store = FileStateStore::open(directory_);
    EXPECT_TRUE(store) << store.error().text();
    return std::move(*store);
  }
  Result<void> save(FileStateStore& store, const std::string& key, const std::string& value) {
    Result<void> result;
    bool here = false;
    io::testing::run(*reactor_, keep(store, key, value, result, here));
    EXPECT_TRUE(here);
    return result;
  }
  std::string content(const std::string& key) const {
    std::ifstream file(directory_ + "/" + key, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& key, const std::string& text) const {
    std::ofstream(directory_ + "/" + key, std::ios::binary) << text;
  }

  std::string scratch_;
  std::string directory_;
  std::unique_ptr<io::Reactor> reactor_;
};

TEST_F(FileStateStoreTest, KeepsTheLastTextOfEachKeyAcrossStores) {
  const std::string binary("\0\n\xff text\n", 9);
  {
    const auto store = open();
    EXPECT_EQ(store->load("one").value(), std::nullopt);
    EXPECT_TRUE(save(*store, "one", "first"));
    EXPECT_TRUE(save(*store, "one", "second"));
    EXPECT_TRUE(save(*store, "two.x-y_Z9", binary));
    EXPECT_TRUE(save(*store, "three", ""));
    EXPECT_EQ(store->load("one").value(), "second");
  }
  const auto store = open();
  EXPECT_EQ(store->load("one").value(), "second");
  EXPECT_EQ(store->load("two.x-y_Z9").value(), binary);
  EXPECT_EQ(store->load("three").value(), "");
  EXPECT_EQ(store->load("four").value(), std::nullopt);
}

TEST_F(FileStateStoreTest, TheFormatIsAsDocumented) {
  const auto store = open();
  EXPECT_TRUE(save(*store, "key", "123456789"));
  EXPECT_EQ(content("key"), "peerlane-state 1 e3069283\n123456789");  // the check value of CRC32C
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "nothing but the file stays";
}

TEST_F(FileStateStoreTest, MakesItsDirectoryForThisUserAloneAndOnlyWhenNeeded) {
  const mode_t before = ::umask(0);
  const auto store = open();
  EXPECT_EQ(store->load("key").value(), std::nullopt);
  EXPECT_FALSE(fs::exists(scratch_ + "/a"));
  EXPECT_TRUE(save(*store, "key", "value"));
  ::umask(before);
  for (const std::string& path : {scratch_ + "/a", directory_}) {
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all) << path;
  }
  EXPECT_EQ(fs::status(directory_ + "/key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FileStateStoreTest, AFileThatIsNotWholeIsAnErrorThatSaysWhatToDo) {
  const auto store = open();
  ASSERT_TRUE(save(*store, "key", "some value"));
  const std::string good = content("key");
  // A bit of any byte is wrong; any tail is missing; something is added.
  std::vector<std::string> bad{good + "x", ""};
  for (std::size_t i = 0; i < good.size(); ++i) {
    bad.push_back(good);
    bad.back()[i] = static_cast<char>(bad.back()[i] ^ 0x10);
    bad.push_back(good.substr(0, i));
  }
  for (const std::string& text : bad) {
    put("key", text);
    const auto loaded = store->load("key");
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, EBADMSG);
    EXPECT_THAT(loaded.error().message, HasSubstr(directory_ + "/key"));
    EXPECT_THAT(loaded.error().message, HasSubstr("move it away"));
  }
  put("key", "peerlane-state 2 whatever will come in later versions");
  EXPECT_THAT(store->load("key").error().message, HasSubstr("version"));
  put("key", good);
  EXPECT_EQ(store->load("key").value(), "some value");
}

TEST_F(FileStateStoreTest, ACrashBeforeTheRenameLeavesTheOldText) {
  const auto store = open();
  ASSERT_TRUE(save(*store, "key", "old"));
  put("key.new", "peerlane-st");
  EXPECT_EQ(store->load("key").value(), "old");
  EXPECT_TRUE(save(*store, "key", "newer"));
  EXPECT_EQ(store->load("key").value(), "newer");
}

TEST_F(FileStateStoreTest, RefusesKeysThatWouldNameOtherFilesAndValuesThatAreTooLong) {
  const auto store = open();
  for (const char* key : {"", ".", "..", ".x", "a/b", "../a", "a b", "a\n", "key.new"}) {
    EXPECT_EQ(save(*store, key, "x").error().code, EINVAL) << key;
    EXPECT_EQ(store->load(key).error().code, EINVAL) << key;
  }
  EXPECT_EQ(save(*store, std::string(limits::kStateKeyBytes + 1, 'k'), "x").error().code, EINVAL);
  EXPECT_TRUE(save(*store, std::string(limits::kStateKeyBytes, 'k'), "x"));
  EXPECT_EQ(save(*store, "key", std::string(limits::kStateValueBytes + 1, 'v')).error().code, EFBIG);
  const std::string most(limits::kStateValueBytes, 'v');
  EXPECT_TRUE(save(*store, "key", most));
  EXPECT_EQ(store->load("key").value(), most);
}

TEST_F(FileStateStoreTest, AFailedSaveIsReportedAndKeepsTheOldText) {
  const auto store = open();
  ASSERT_TRUE(save(*store, "key", "old"));
  fs::create_directory(directory_ + "/key.new");  // nothing can be written there
  const auto saved = save(*store, "key", "new");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, EISDIR);
  EXPECT_EQ(store->load("key").value(), "old");
}

TEST_F(FileStateStoreTest, ManySavesFollowOneAnother) {
  const auto store = open();
  std::vector<std::string> values;
  for (int i = 0; i < 50; ++i) values.push_back(std::to_string(i));
  io::testing::run(*reactor_, save_many(*store, values));
  EXPECT_EQ(store->load("many").value(), "49");
}

TEST_F(FileStateStoreTest, ADirectoryThatCannotBeUsedIsRefused) {
  std::ofstream(scratch_ + "/file") << "x";
  for (const std::string& directory : {scratch_ + "/file", scratch_ + "/file/below"}) {
    const auto store = FileStateStore::open(directory);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ENOTDIR);
    EXPECT_THAT(store.error().message, HasSubstr(scratch_ + "/file"));
  }
}

TEST_F(FileStateStoreTest, KnowsWhereStateMayBe) {
  EXPECT_FALSE(FileStateStore::may_hold_state(directory_));
  fs::create_directories(directory_);
  EXPECT_FALSE(FileStateStore::may_hold_state(directory_));
  put("key", "x");
  EXPECT_TRUE(FileStateStore::may_hold_state(directory_));
  EXPECT_FALSE(FileStateStore::may_hold_state(directory_ + "/key/x"));
}

}  // namespace
}  // namespace peerlane::target
