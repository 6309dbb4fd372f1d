#include "target/token_store.h"

#include <chrono>
#include <set>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

using namespace std::chrono_literals;
namespace codes = scsi::sense_codes;
using Clock = TokenStore::Clock;

class TokenStoreTest : public testing::UnitTest {
 protected:
  void SetUp() override { start(); }

  std::unique_ptr<Rod> rod(std::vector<ByteRange> ranges, const std::string& initiator = "iqn.2026-11.test:a") {
    auto made = std::make_unique<Rod>();
    made->unit = unit.get();
    made->resets = unit->resets();
    made->watched = std::make_unique<ChangeWatch::Watched>(unit->changes(), ranges);
    made->ranges = std::move(ranges);
    made->bytes = 4096;
    made->initiator = initiator;
    made->inactivity_timeout = 30s;
    return made;
  }
  scsi::RodTokenBytes add(std::unique_ptr<Rod> made) {
    const auto token = store.add(std::move(made), looks(), now);
    EXPECT_TRUE(token);
    return token.value_or(scsi::RodTokenBytes{});
  }
  static scsi::RodToken looks() {
    scsi::RodToken token;
    token.type = scsi::RodType::kPointInTimeVulnerable;
    token.bytes = 4096;
    return token;
  }
  void write(std::uint64_t offset) {
    const std::vector<std::uint8_t> data(512);
    ASSERT_TRUE(testing::run(unit->device().write(offset, data, block::WriteFlags::kNone)));
  }
  void expect_refused(const scsi::RodTokenBytes& token, scsi::SenseCode code) {
    const auto found = store.find(token, now);
    ASSERT_FALSE(found);
    EXPECT_EQ(static_cast<unsigned>(found.error()), static_cast<unsigned>(code));
  }

  Clock::time_point now = Clock::now();
  TokenStore store;
};

TEST_F(TokenStoreTest, IsFoundByAllOfItsBytesOnly) {
  const auto token = add(rod({{0, 4096}}));
  const auto found = store.find(token, now);
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->ranges, (std::vector<ByteRange>{{0, 4096}}));
  for (std::size_t at = 8; at < token.size(); ++at) {
    auto guess = token;
    guess[at] ^= 0x80;
    expect_refused(guess, codes::kTokenUnknown);
  }
  auto other = token;
  other[0] = 0x12;
  expect_refused(other, codes::kUnsupportedTokenType);
  other = token;
  other[7] -= 1;
  expect_refused(other, codes::kInvalidTokenLength);
}

TEST_F(TokenStoreTest, IsFoundByItsKey) {
  add(rod({{8192, 4096}}));
  const auto token = add(rod({{0, 4096}}));
  auto key = scsi::token_key(token);
  {
    const auto found = store.find(key, now);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->token, token);
    EXPECT_EQ(found->rod->ranges, (std::vector<ByteRange>{{0, 4096}}));
  }
  key.back() ^= 1;
  EXPECT_FALSE(store.find(key, now));
  key.back() ^= 1;
  now += 31s;
  const auto late = store.find(key, now);
  ASSERT_FALSE(late);
  EXPECT_EQ(static_cast<unsigned>(late.error()), static_cast<unsigned>(codes::kTokenExpired));
}

TEST_F(TokenStoreTest, TellsWhereItsBytesLie) {
  const auto made = rod({{65536, 4096}, {0, 512}, {8192, 1024}});
  EXPECT_EQ(made->place(0), (ByteRange{65536, 4096}));
  EXPECT_EQ(made->place(4095), (ByteRange{65536 + 4095, 1}));
  EXPECT_EQ(made->place(4096), (ByteRange{0, 512}));
  EXPECT_EQ(made->place(4096 + 512 + 1000), (ByteRange{8192 + 1000, 24}));
}

TEST_F(TokenStoreTest, NoTwoAreAlike) {
  std::set<std::vector<std::uint8_t>> tails;
  for (std::size_t i = 0; i < limits::kInitiatorTokens; ++i) {
    const auto token = add(rod({{0, 4096}}));
    tails.insert({token.end() - scsi::kRodTokenTailBytes, token.end()});
  }
  EXPECT_EQ(tails.size(), limits::kInitiatorTokens);
}

TEST_F(TokenStoreTest, EndsByTime) {
  const auto used = add(rod({{0, 4096}}));
  const auto unused = add(rod({{0, 4096}}));
  for (int i = 0; i < 3; ++i) {
    now += 20s;
    EXPECT_TRUE(store.find(used, now));
  }
  expect_refused(unused, codes::kTokenExpired);
  {
    const auto held = store.find(used, now);
    now += 5min;
    store.purge(now);
    EXPECT_TRUE(store.find(used, now));
  }
  now += 31s;
  store.purge(now);
  expect_refused(used, codes::kTokenExpired);
  now += limits::kTokenMemory + 1s;
  store.purge(now);
  expect_refused(used, codes::kTokenUnknown);
}

TEST_F(TokenStoreTest, HasALifetimeHoweverMuchItIsUsed) {
  const auto token = add(rod({{0, 4096}}));
  for (auto age = 0s; age < limits::kTokenLifetime; age += 20s) {
    EXPECT_TRUE(store.find(token, now));
    now += 20s;
  }
  now += 1s;
  expect_refused(token, codes::kTokenExpired);
}

TEST_F(TokenStoreTest, EndsWithItsData) {
  const auto first = add(rod({{0, 4096}, {65536, 4096}}));
  const auto second = add(rod({{4096, 4096}}));
  write(8192);
  write(65536 - 512);
  EXPECT_TRUE(store.find(first, now));
  write(65536 + 4096 - 512);
  expect_refused(first, codes::kTokenRevoked);
  EXPECT_TRUE(store.find(second, now));
  EXPECT_EQ(store.list(now).size(), 1u);
}

TEST_F(TokenStoreTest, EndsWithAResetOfItsUnit) {
  const auto token = add(rod({{0, 4096}}));
  io::spawn(unit->reset(codes::kBusDeviceReset, nullptr));
  testing::executor().run_all();
  expect_refused(token, codes::kTokenRevoked);
}

TEST_F(TokenStoreTest, WhatIsInUseOutlivesItsDeletion) {
  const auto token = add(rod({{0, 4096}}));
  const auto held = store.find(token, now);
  store.remove(token);
  expect_refused(token, codes::kTokenUnknown);
  EXPECT_FALSE((*held)->ended());
  write(0);
  EXPECT_TRUE((*held)->ended());
}

TEST_F(TokenStoreTest, NobodyHasAllOfThem) {
  for (std::size_t i = 0; i < limits::kInitiatorTokens; ++i) add(rod({{0, 4096}}));
  EXPECT_FALSE(store.add(rod({{0, 4096}}), looks(), now));
  for (std::size_t i = limits::kInitiatorTokens; i < limits::kTokens; ++i) {
    add(rod({{0, 4096}}, "iqn.2026-11.test:" + std::to_string(i)));
  }
  EXPECT_FALSE(store.add(rod({{0, 4096}}, "iqn.2026-11.test:b"), looks(), now));
  now += 31s;
  EXPECT_TRUE(store.add(rod({{0, 4096}}, "iqn.2026-11.test:b"), looks(), now));
  EXPECT_EQ(store.list(now).size(), 1u);
}

}  // namespace
}  // namespace peerlane::target
