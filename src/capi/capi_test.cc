// What can be seen to be wrong without a target; tests/package/ uses the interface against one.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "capi/disk_options.h"
#include "capi/peerlane/peerlane.h"

namespace peerlane::capi {
namespace {

constexpr const char* kNobody = "iscsi://127.0.0.1:1/iqn.2026-11.dev.peerlane:absent/0";

peerlane_options options() {
  peerlane_options made = PEERLANE_OPTIONS_INIT;
  return made;
}

bool told(const char* part) {
  return std::strstr(peerlane_error_text(), part) != nullptr;
}

TEST(CInterface, RefusesToOpenNothing) {
  peerlane_disk* disk = nullptr;
  EXPECT_EQ(-EINVAL, peerlane_open(nullptr, nullptr, &disk));
  EXPECT_EQ(-EINVAL, peerlane_open(kNobody, nullptr, nullptr));
  int somewhere = 0;
  disk = reinterpret_cast<peerlane_disk*>(&somewhere);
  EXPECT_EQ(-EINVAL, peerlane_open("http://example.org/", nullptr, &disk));
  EXPECT_EQ(nullptr, disk) << "a failed open leaves no disk";
  EXPECT_TRUE(told("iscsi://")) << peerlane_error_text();
  EXPECT_EQ(-EINVAL, peerlane_open("iscsi://127.0.0.1", nullptr, &disk));
  EXPECT_TRUE(told("names no target")) << peerlane_error_text();
  EXPECT_EQ(-ECONNREFUSED, peerlane_open(kNobody, nullptr, &disk));
  EXPECT_TRUE(told("nothing listens there")) << peerlane_error_text();
}

TEST(CInterface, RefusesWhatHasNoDisk) {
  std::array<char, 512> buffer{};
  peerlane_info info{};
  info.struct_size = sizeof info;
  peerlane_extent extent{};
  EXPECT_EQ(0, peerlane_close(nullptr));
  EXPECT_EQ(-EINVAL, peerlane_get_info(nullptr, &info));
  EXPECT_EQ(-EINVAL, peerlane_size(nullptr));
  EXPECT_EQ(-EINVAL, peerlane_refresh_size(nullptr));
  EXPECT_EQ(-EINVAL, peerlane_pread(nullptr, buffer.data(), buffer.size(), 0));
  EXPECT_EQ(-EINVAL, peerlane_pwrite(nullptr, buffer.data(), buffer.size(), 0, 0));
  EXPECT_EQ(-EINVAL, peerlane_flush(nullptr));
  EXPECT_EQ(-EINVAL, peerlane_discard(nullptr, 0, 512));
  EXPECT_EQ(-EINVAL, peerlane_zero(nullptr, 0, 512, 0));
  EXPECT_EQ(-EINVAL, peerlane_extents(nullptr, 0, 512, &extent, 1));
  EXPECT_TRUE(told("NULL")) << peerlane_error_text();
}

TEST(CInterface, TextsOfThreadsAreTheirOwn) {
  EXPECT_EQ(-EINVAL, peerlane_flush(nullptr));
  const std::string before = peerlane_error_text();
  std::jthread([] {
    EXPECT_STREQ("", peerlane_error_text());
    peerlane_disk* disk = nullptr;
    EXPECT_EQ(-EINVAL, peerlane_open(nullptr, nullptr, &disk));
    EXPECT_TRUE(told("URL"));
  }).join();
  EXPECT_EQ(before, peerlane_error_text());
}

TEST(CInterface, TellsItsVersion) {
  EXPECT_NE(nullptr, std::strchr(peerlane_version(), '.'));
}

int code_of(const peerlane_options& wanted) {
  const auto made = disk_options(&wanted);
  return made ? 0 : made.error().code;
}

TEST(CDiskOptions, SayNothingByDefault) {
  const auto none = disk_options(nullptr);
  const peerlane_options empty = options();
  const auto usual = disk_options(&empty);
  for (const auto* made : {&none, &usual}) {
    ASSERT_TRUE(*made);
    EXPECT_FALSE((*made)->lun.read_only);
    EXPECT_EQ(limits::kReplacementTimeout, (*made)->session.replacement_timeout);
    EXPECT_EQ(limits::kInitiatorQueueDepth, (*made)->session.connection.depth);
    EXPECT_FALSE((*made)->session.login.account);
    EXPECT_EQ("", (*made)->session.login.initiator_name);
  }
}

TEST(CDiskOptions, AreTaken) {
  peerlane_options wanted = options();
  wanted.flags = PEERLANE_READ_ONLY;
  wanted.queue_depth = 7;
  wanted.replacement_timeout_ms = 1500;
  wanted.initiator_name = "iqn.2026-11.org.Example:me";
  wanted.chap_user = "alice";
  wanted.chap_secret = "alice's own secret";
  wanted.target_chap_user = "the target";
  wanted.target_chap_secret = "the target's secret";
  const auto made = disk_options(&wanted);
  ASSERT_TRUE(made) << made.error().text();
  const initiator::DiskOptions& disk = *made;
  EXPECT_TRUE(disk.lun.read_only);
  EXPECT_EQ(7u, disk.session.connection.depth);
  EXPECT_EQ(std::chrono::milliseconds(1500), disk.session.replacement_timeout);
  EXPECT_EQ("iqn.2026-11.org.example:me", disk.session.login.initiator_name);
  ASSERT_TRUE(disk.session.login.account);
  EXPECT_EQ("alice", disk.session.login.account->name);
  ASSERT_TRUE(disk.session.login.target_account);
  EXPECT_EQ("the target's secret", disk.session.login.target_account->secret);
}

TEST(CDiskOptions, RefusesWhatIsOutOfRange) {
  const auto with = [](auto change) {
    peerlane_options wanted = options();
    change(wanted);
    return code_of(wanted);
  };
  EXPECT_EQ(EINVAL, with([](auto& wanted) { wanted.flags = 0x80; }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) { wanted.queue_depth = 1025; }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) { wanted.initiator_name = "not a name"; }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) { wanted.chap_user = "alice"; }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) { wanted.chap_secret = "alice's own secret"; }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) {
              wanted.chap_user = "alice";
              wanted.chap_secret = "short";
            }));
  EXPECT_EQ(EINVAL, with([](auto& wanted) {
              wanted.target_chap_user = "the target";
              wanted.target_chap_secret = "the target's secret";
            }));
  EXPECT_EQ(0, with([](auto& wanted) { wanted.queue_depth = 1024; }));
}

TEST(CDiskOptions, OlderAndNewerProgramsAreUnderstood) {
  peerlane_options wanted = options();
  wanted.struct_size = 0;
  EXPECT_EQ(EINVAL, code_of(wanted));
  wanted.struct_size = 100000;
  EXPECT_EQ(EINVAL, code_of(wanted));
  // An older program's structure ends sooner; what follows in memory is not looked at.
  wanted.struct_size = offsetof(peerlane_options, replacement_timeout_ms);
  wanted.initiator_name = "not a name";
  EXPECT_EQ(0, code_of(wanted));
  // A newer one's is longer: zero is "as usual", anything else is something that we cannot do.
  struct Newer {
    peerlane_options options = PEERLANE_OPTIONS_INIT;
    std::uint64_t more = 0;
  } newer;
  newer.options.struct_size = sizeof newer;
  EXPECT_EQ(0, code_of(newer.options));
  newer.more = 1;
  EXPECT_EQ(EINVAL, code_of(newer.options));
}

}  // namespace
}  // namespace peerlane::capi
