#include "target/task_set.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace peerlane::target {
namespace {

using scsi::Status;
using enum TaskAttribute;
using Entrance = TaskSet::Entrance;

class TaskSetTest : public ::testing::Test {
 protected:
  /// Command `index` arrives.
  Entrance enter(unsigned index, TaskAttribute attribute, bool naca = false) {
    return set.enter(places[index], attribute, naca);
  }
  void end(unsigned index, Status status = Status::kGood) {
    EXPECT_EQ(places[index].leave(status), &set);
    set.advance();
  }
  /// The commands that wait, as a list of their numbers.
  std::string waiting() const {
    std::string text;
    for (unsigned i = 0; i < places.size(); ++i) {
      if (places[i].dormant()) text += std::to_string(i);
    }
    return text;
  }

  TaskSet set;
  std::array<TaskSet::Place, 8> places;
};

TEST_F(TaskSetTest, SimpleCommandsDoNotWaitForEachOther) {
  EXPECT_EQ(enter(0, kSimple), Entrance::kEnabled);
  EXPECT_EQ(enter(1, kUntagged), Entrance::kEnabled);
  EXPECT_EQ(enter(2, kSimple), Entrance::kEnabled);
}

TEST_F(TaskSetTest, OrderedWaitsForAllThatIsOlderAndHoldsBackAllThatIsYounger) {
  enter(0, kSimple);
  enter(1, kSimple);
  EXPECT_EQ(enter(2, kOrdered), Entrance::kDormant);
  EXPECT_EQ(enter(3, kSimple), Entrance::kDormant);
  EXPECT_EQ(enter(4, kOrdered), Entrance::kDormant);
  EXPECT_EQ(enter(5, kSimple), Entrance::kDormant);
  end(1);
  EXPECT_EQ(waiting(), "2345");
  end(0);
  EXPECT_EQ(waiting(), "345");
  end(2);
  EXPECT_EQ(waiting(), "45");
  end(3);
  EXPECT_EQ(waiting(), "5");
  end(4);
  EXPECT_EQ(waiting(), "");
}

TEST_F(TaskSetTest, OrderedStartsAtOnceInAnEmptySet) {
  EXPECT_EQ(enter(0, kOrdered), Entrance::kEnabled);
  EXPECT_EQ(enter(1, kOrdered), Entrance::kDormant);
  end(0);
  EXPECT_EQ(waiting(), "");
}

TEST_F(TaskSetTest, HeadOfQueuePassesWhatWaits) {
  enter(0, kOrdered);
  enter(1, kSimple);
  EXPECT_EQ(enter(2, kHeadOfQueue), Entrance::kEnabled);
  EXPECT_EQ(enter(3, kHeadOfQueue), Entrance::kEnabled);
  end(0);
  EXPECT_EQ(waiting(), "1") << "until the head of queue has ended";
  end(3);
  EXPECT_EQ(waiting(), "1");
  end(2);
  EXPECT_EQ(waiting(), "");
}

TEST_F(TaskSetTest, AbortedCommandsLeaveFromAnywhereInTheQueue) {
  enter(0, kOrdered);
  for (unsigned i = 1; i < 6; ++i) enter(i, i == 3 ? kOrdered : kSimple);
  EXPECT_EQ(places[5].leave(), &set);  // last
  EXPECT_EQ(places[1].leave(), &set);  // first
  EXPECT_EQ(places[3].leave(), &set);  // between
  EXPECT_EQ(enter(6, kSimple), Entrance::kDormant);
  EXPECT_EQ(waiting(), "246");
  EXPECT_EQ(places[3].leave(), nullptr) << "twice";
  places[0].leave();
  EXPECT_EQ(waiting(), "246") << "nothing starts before advance()";
  set.advance();
  EXPECT_EQ(waiting(), "");
  EXPECT_EQ(enter(7, kOrdered), Entrance::kDormant) << "2, 4 and 6 are being executed";
}

TEST_F(TaskSetTest, AFailureWithoutNacaChangesNothing) {
  enter(0, kSimple);
  end(0, Status::kCheckCondition);
  EXPECT_FALSE(set.aca());
  enter(1, kSimple, true);
  end(1, Status::kGood);
  enter(2, kSimple, true);
  end(2, Status::kBusy);
  enter(3, kSimple, true);
  places[3].leave();
  EXPECT_FALSE(set.aca());
}

TEST_F(TaskSetTest, AcaHoldsBackWhatWaitsAndRefusesWhatComes) {
  enter(0, kOrdered, true);
  enter(1, kSimple);
  end(0, Status::kCheckCondition);
  EXPECT_TRUE(set.aca());
  EXPECT_EQ(waiting(), "1");
  for (const TaskAttribute attribute : {kSimple, kOrdered, kHeadOfQueue, kUntagged}) {
    EXPECT_EQ(enter(2, attribute), Entrance::kAcaActive);
  }
  EXPECT_EQ(enter(2, kAca), Entrance::kEnabled);
  EXPECT_EQ(enter(3, kAca), Entrance::kAcaActive) << "one at a time";
  end(2);
  EXPECT_TRUE(set.aca()) << "a command that succeeds does not end it";
  EXPECT_EQ(enter(3, kAca), Entrance::kEnabled);
  set.clear_aca();
  set.advance();
  EXPECT_EQ(waiting(), "");
}

TEST_F(TaskSetTest, AnAcaCommandThatFailsEndsTheAcaAndMayEstablishAnother) {
  enter(0, kSimple, true);
  end(0, Status::kCheckCondition);
  enter(1, kAca, true);
  end(1, Status::kCheckCondition);
  EXPECT_TRUE(set.aca());
  enter(2, kAca, false);
  end(2, Status::kCheckCondition);
  EXPECT_FALSE(set.aca());
  EXPECT_EQ(enter(3, kAca), Entrance::kNoAca);
  EXPECT_EQ(enter(4, kSimple), Entrance::kEnabled);
}

}  // namespace
}  // namespace peerlane::target
