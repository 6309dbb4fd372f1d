#include "target/unit_attention.h"

#include <thread>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

TEST(UnitAttentionQueue, OldestFirstAndNoneTwice) {
  UnitAttentionQueue queue;
  EXPECT_FALSE(queue.pending());
  EXPECT_FALSE(queue.take());
  queue.establish(codes::kCapacityChanged);
  queue.establish(codes::kReportedLunsChanged);
  queue.establish(codes::kCapacityChanged);
  EXPECT_TRUE(queue.pending());
  const auto first = queue.take();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->key, scsi::SenseKey::kUnitAttention);
  EXPECT_EQ(first->code, codes::kCapacityChanged);
  EXPECT_EQ(queue.take()->code, codes::kReportedLunsChanged);
  EXPECT_FALSE(queue.pending());
  EXPECT_FALSE(queue.take());
}

TEST(UnitAttentionQueue, ResetTakesThePlaceOfAllElse) {
  UnitAttentionQueue queue;
  queue.establish(codes::kPowerOnOrReset);
  queue.establish(codes::kCapacityChanged);
  queue.establish(codes::kBusDeviceReset);
  EXPECT_EQ(queue.take()->code, codes::kBusDeviceReset);
  EXPECT_FALSE(queue.take());
}

TEST(UnitAttentionQueue, OverflowTellsTheInitiatorToLookAtEverything) {
  UnitAttentionQueue queue;
  for (unsigned i = 0; i < limits::kUnitAttentions; ++i)
    queue.establish(codes::code(0x3f, static_cast<std::uint8_t>(i)));
  queue.establish(codes::kCapacityChanged);
  EXPECT_EQ(queue.take()->code, codes::kPowerOnOrReset);
  EXPECT_FALSE(queue.take());
}

TEST(UnitAttentionQueue, ClearTakesOutOneAndKeepsTheOrder) {
  UnitAttentionQueue queue;
  queue.clear(codes::kCapacityChanged);
  queue.establish(codes::kCapacityChanged);
  queue.establish(codes::kReportedLunsChanged);
  queue.establish(codes::kModeParametersChanged);
  queue.clear(codes::kReportedLunsChanged);
  EXPECT_EQ(queue.take()->code, codes::kCapacityChanged);
  EXPECT_EQ(queue.take()->code, codes::kModeParametersChanged);
  EXPECT_FALSE(queue.pending());
}

TEST(UnitAttentionQueue, ManyThreadsEstablishWhileOneTakes) {
  UnitAttentionQueue queue;
  std::thread other([&queue] {
    for (int i = 0; i < 20000; ++i) queue.establish(i % 2 == 0 ? codes::kCapacityChanged : codes::kReportedLunsChanged);
  });
  unsigned taken = 0;
  for (int i = 0; i < 20000; ++i) {
    if (queue.pending() && queue.take()) ++taken;
  }
  other.join();
  while (queue.take()) ++taken;
  EXPECT_GE(taken, 2u);
  EXPECT_FALSE(queue.pending());
}

TEST(UnitAttentionQueue, ResetsCanBeTakenBeforeOthers) {
  UnitAttentionQueue queue;
  EXPECT_FALSE(queue.take_reset());
  queue.establish(codes::kNexusLoss);
  queue.establish(codes::kReservationsReleased);
  const auto reset = queue.take_reset();
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->code, codes::kNexusLoss);
  EXPECT_EQ(reset->key, scsi::SenseKey::kUnitAttention);
  EXPECT_FALSE(queue.take_reset());
  EXPECT_EQ(queue.take()->code, codes::kReservationsReleased);
}

}  // namespace
}  // namespace peerlane::target
