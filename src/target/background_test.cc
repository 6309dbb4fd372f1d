#include "target/background.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "target/unit_condition.h"

namespace peerlane::target {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST(Background, StopWaitsForWhatGoesOn) {
  Background background;
  auto pass = background.enter();
  ASSERT_TRUE(pass);
  EXPECT_FALSE(pass->stopping());
  EXPECT_FALSE(background.stop(steady_clock::now() + 1ms));
  EXPECT_TRUE(pass->stopping());
  std::jthread worker([work = std::move(*pass)] { std::this_thread::sleep_for(5ms); });
  pass.reset();
  EXPECT_FALSE(background.enter());
  // The pass that the thread has taken over goes with the thread's function.
  EXPECT_FALSE(background.stop(steady_clock::now()));
  worker = {};
  EXPECT_TRUE(background.stop(steady_clock::now()));
}

TEST(Background, NothingToWaitFor) {
  Background background;
  {
    const auto pass = background.enter();
  }
  EXPECT_TRUE(background.stop(steady_clock::now()));
}

// --- What makes a unit answer otherwise ---

TEST(UnitCondition, SanitizeOperationsFollowEachOther) {
  UnitCondition condition;
  EXPECT_FALSE(condition.any());
  EXPECT_FALSE(condition.sanitize_sense());
  ASSERT_TRUE(condition.begin_sanitize(false));
  EXPECT_FALSE(condition.begin_sanitize(false));
  condition.set_progress(0x1234);
  EXPECT_EQ(condition.sanitize_sense()->progress, 0x1234);
  EXPECT_EQ(condition.sanitize_sense()->key, scsi::SenseKey::kNotReady);
  condition.forget_sanitize_failure();  // none yet: nothing happens
  EXPECT_TRUE(condition.sanitizing());
  condition.end_sanitize(true);
  EXPECT_FALSE(condition.any());
}

TEST(UnitCondition, AFailureRemembersItsMode) {
  UnitCondition condition;
  for (const bool unrestricted : {false, true}) {
    ASSERT_TRUE(condition.begin_sanitize(unrestricted));
    condition.end_sanitize(false);
    EXPECT_TRUE(condition.sanitize_failed());
    EXPECT_FALSE(condition.sanitizing());
    EXPECT_EQ(condition.failure_unrestricted(), unrestricted);
    EXPECT_EQ(condition.sanitize_sense()->code, scsi::sense_codes::kSanitizeCommandFailed);
    EXPECT_FALSE(condition.sanitize_sense()->progress);
  }
  condition.forget_sanitize_failure();
  EXPECT_FALSE(condition.any());
}

TEST(UnitCondition, ADeferredErrorIsToldOnceAndOutlastsASanitizeOperation) {
  UnitCondition condition;
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kMediumError;
  condition.defer(sense);
  EXPECT_TRUE(condition.any());
  ASSERT_TRUE(condition.begin_sanitize(true));
  condition.end_sanitize(true);
  const auto taken = condition.take_deferred();
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->deferred);
  EXPECT_EQ(taken->key, scsi::SenseKey::kMediumError);
  EXPECT_FALSE(condition.take_deferred());
  EXPECT_FALSE(condition.any());
}

}  // namespace
}  // namespace peerlane::target
