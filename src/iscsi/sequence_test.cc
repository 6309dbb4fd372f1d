#include "iscsi/sequence.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

using Arrival = CommandWindow::Arrival;

TEST(Serial, ComparesAcrossTheWrap) {
  EXPECT_LT(CmdSn(0xffffffff), CmdSn(0));
  EXPECT_GT(CmdSn(5), CmdSn(0xfffffff0));
  EXPECT_LT(CmdSn(0), CmdSn(0x7fffffff));
  EXPECT_FALSE(CmdSn(7) < CmdSn(7));
  EXPECT_LE(CmdSn(7), CmdSn(7));
  EXPECT_EQ(CmdSn(0xffffffff) + 2, CmdSn(1));
  EXPECT_EQ(CmdSn(1) - 2, CmdSn(0xffffffff));
  EXPECT_EQ(CmdSn(1).steps_from(CmdSn(0xffffffff)), 2u);
}

TEST(Serial, HalfTheCircleApartIsNoOrder) {
  EXPECT_FALSE(CmdSn(0) < CmdSn(0x80000000));
  EXPECT_FALSE(CmdSn(0x80000000) < CmdSn(0));
}

TEST(CommandWindow, OpensByOneForEachCompletedCommand) {
  CommandWindow window(CmdSn(10), 4);
  EXPECT_EQ(window.exp_cmd_sn(), CmdSn(10));
  EXPECT_EQ(window.max_cmd_sn(), CmdSn(13));
  for (std::uint32_t sn = 10; sn < 14; ++sn) EXPECT_EQ(window.arrive(CmdSn(sn)), Arrival::kDeliver);
  // Closed: MaxCmdSN is ExpCmdSN - 1 (RFC 7143 §4.2.2.1).
  EXPECT_EQ(window.max_cmd_sn(), window.exp_cmd_sn() - 1);
  EXPECT_EQ(window.arrive(CmdSn(14)), Arrival::kIgnore);
  window.complete();
  EXPECT_EQ(window.max_cmd_sn(), CmdSn(14));
  EXPECT_EQ(window.arrive(CmdSn(14)), Arrival::kDeliver);
}

TEST(CommandWindow, IgnoresDuplicatesAndWhatIsOutside) {
  CommandWindow window(CmdSn(10), 4);
  EXPECT_EQ(window.arrive(CmdSn(10)), Arrival::kDeliver);
  EXPECT_EQ(window.arrive(CmdSn(10)), Arrival::kIgnore);
  EXPECT_EQ(window.arrive(CmdSn(9)), Arrival::kIgnore);
  EXPECT_EQ(window.arrive(CmdSn(14)), Arrival::kIgnore);
  EXPECT_EQ(window.arrive(CmdSn(10 + 0x80000000u)), Arrival::kIgnore);
  EXPECT_EQ(window.exp_cmd_sn(), CmdSn(11));
}

TEST(CommandWindow, HoldsWhatComesEarlyAndReleasesItInOrder) {
  CommandWindow window(CmdSn(0xfffffffe), 8);
  EXPECT_EQ(window.arrive(CmdSn(0xffffffff)), Arrival::kHold);
  EXPECT_EQ(window.arrive(CmdSn(2)), Arrival::kHold);
  EXPECT_EQ(window.arrive(CmdSn(0)), Arrival::kHold);
  EXPECT_EQ(window.arrive(CmdSn(0)), Arrival::kIgnore) << "a held command came twice";
  EXPECT_EQ(window.exp_cmd_sn(), CmdSn(0xfffffffe));
  EXPECT_EQ(window.release(), std::nullopt);

  EXPECT_EQ(window.arrive(CmdSn(0xfffffffe)), Arrival::kDeliver);
  EXPECT_EQ(window.release(), CmdSn(0xffffffff));
  EXPECT_EQ(window.release(), CmdSn(0));
  EXPECT_EQ(window.release(), std::nullopt);
  EXPECT_EQ(window.exp_cmd_sn(), CmdSn(1));

  EXPECT_EQ(window.arrive(CmdSn(1)), Arrival::kDeliver);
  EXPECT_EQ(window.release(), CmdSn(2));
  EXPECT_EQ(window.exp_cmd_sn(), CmdSn(3));
}

// Many rounds with commands that arrive in any order within the window, against a plain model.
TEST(CommandWindow, NumbersManyCommandsInAnyOrder) {
  const std::uint32_t size = limits::kCommandWindow;
  CommandWindow window(CmdSn(0xffffff00), size);
  std::uint32_t next = 0xffffff00;
  std::uint64_t random = 88172645463325252u;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < size; ++i) numbers.push_back(next + i);
    for (std::size_t i = numbers.size() - 1; i > 0; --i) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      std::swap(numbers[i], numbers[random % (i + 1)]);
    }
    for (const std::uint32_t number : numbers) {
      const CmdSn max = window.max_cmd_sn();
      const Arrival arrival = window.arrive(CmdSn(number));
      ASSERT_EQ(arrival, number == next ? Arrival::kDeliver : Arrival::kHold);
      if (arrival != Arrival::kDeliver) continue;
      ++next;
      while (const auto released = window.release()) ASSERT_EQ(released, CmdSn(next++));
      ASSERT_EQ(window.exp_cmd_sn(), CmdSn(next));
      ASSERT_EQ(window.max_cmd_sn(), max);
    }
    for (std::uint32_t i = 0; i < size; ++i) window.complete();
  }
  EXPECT_EQ(window.max_cmd_sn().steps_from(window.exp_cmd_sn()) + 1, size);
}

}  // namespace
}  // namespace peerlane::iscsi
