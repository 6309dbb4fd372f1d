// Task management with a disk that does not answer.
#include <algorithm>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "block/ram_device.h"
#include "io/testing.h"
#include "scsi/sense_codes.h"
#include "target/testing/loopback.h"

namespace peerlane::target {
namespace {

using testing::kRead10;
using testing::kWrite10;
using testing::Loopback;
using testing::StuckDevice;

std::vector<std::uint8_t> one_block() {
  return std::vector<std::uint8_t>(512, 0x5a);
}

class TaskManagementTest : public ::testing::Test {
 protected:
  TaskManagementTest() : reactor(std::move(*io::Reactor::create())) {}

  /// A disk whose tests find it in `disk`.
  std::unique_ptr<block::Device> stuck_disk() {
    auto owned = std::make_unique<StuckDevice>(std::move(*block::RamDevice::create(1u << 20, 512, false, "ram:1M")));
    disk = owned.get();
    return owned;
  }

  std::unique_ptr<io::Reactor> reactor;
  StuckDevice* disk = nullptr;
};

io::Task<void> abort_stuck_write(Loopback& loop, StuckDevice& disk) {
  const auto command = loop.initiator->command(kWrite10, 1, 0, 1);
  std::vector<std::uint8_t> payload = one_block();
  co_await loop.initiator->send(command, std::move(payload));
  const auto abort = loop.initiator->function(iscsi::TaskFunction::kAbortTask, 2, 1);
  co_await loop.initiator->send_bare(abort);
  bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kTaskManagementResponse);
  EXPECT_EQ(loop.initiator->as<iscsi::TaskManagementResponse>().response,
            iscsi::TaskFunctionResponse::kFunctionComplete);
  EXPECT_EQ(disk.waiting, 1u) << "answered although the disk still has the write";

  // The write may still reach the disk: nothing may overtake it.
  const auto after = loop.initiator->command(kRead10, 1, 0, 1);
  co_await loop.initiator->send(after);
  got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kScsiResponse);
  EXPECT_EQ(loop.initiator->as<iscsi::ScsiResponse>().status, static_cast<std::uint8_t>(scsi::Status::kBusy));

  disk.let_go.set();
  const auto again = loop.initiator->command(kRead10, 3, 0, 1);
  co_await loop.initiator->send(again);
  got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kDataIn);
  const std::vector<std::uint8_t> data(loop.initiator->data().begin(), loop.initiator->data().end());
  EXPECT_EQ(data, one_block());
  co_await loop.end();
}

TEST_F(TaskManagementTest, AnAbortIsAnsweredWhileTheDiskIsStuckAndNothingOvertakesTheWrite) {
  Loopback loop(*reactor, stuck_disk());
  loop.serve();
  io::testing::run(*reactor, abort_stuck_write(loop, *disk));
}

/// Has `command` aborted while the disk is stuck.
io::Task<void> abort_stuck(Loopback& loop, StuckDevice& disk, iscsi::ScsiCommand command, bool changes_the_medium) {
  co_await loop.initiator->send(command);
  co_await io::testing::until([&disk] { return disk.waiting == 1; });
  const auto abort = loop.initiator->function(iscsi::TaskFunction::kAbortTask, 2, command.initiator_task_tag);
  co_await loop.initiator->send_bare(abort);
  const bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kTaskManagementResponse);
  EXPECT_EQ(disk.waiting, 1u) << "answered although the disk still has it";
  EXPECT_EQ(loop.unit().has_orphans(), changes_the_medium);
  disk.let_go.set();
  co_await io::testing::until([&loop] { return !loop.unit().has_orphans(); });
  co_await loop.end();
}

TEST_F(TaskManagementTest, WhatTheDiskDoesNotLetGoOfIsInTheWayIfItChangesTheMedium) {
  Loopback zeroing(*reactor, stuck_disk());
  zeroing.serve();
  auto write_same = zeroing.initiator->command(kRead10, 1, 0, 0);
  write_same.read = false;
  write_same.cdb = {0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8};  // NDOB: no data tell that it writes
  io::testing::run(*reactor, abort_stuck(zeroing, *disk, write_same, true));

  Loopback reading(*reactor, stuck_disk());
  reading.serve();
  io::testing::run(*reactor, abort_stuck(reading, *disk, reading.initiator->command(kRead10, 1, 0, 1), false));
}

io::Task<void> let_go_later(StuckDevice& disk, io::Reactor& reactor) {
  co_await io::sleep(reactor, std::chrono::milliseconds(100));
  disk.let_go.set();
}

io::Task<void> abort_again(Loopback& loop, StuckDevice& disk, io::Reactor& reactor, iscsi::TaskFunction again) {
  const auto command = loop.initiator->command(kWrite10, 1, 0, 1);
  std::vector<std::uint8_t> payload = one_block();
  co_await loop.initiator->send(command, std::move(payload));
  const auto first = loop.initiator->function(iscsi::TaskFunction::kAbortTask, 2, 1);
  co_await loop.initiator->send_bare(first);
  const auto second = loop.initiator->function(again, 3, 1);
  co_await loop.initiator->send_bare(second);
  io::spawn(let_go_later(disk, reactor));
  for (int answers = 0; answers < 2; ++answers) {
    const bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kTaskManagementResponse);
    EXPECT_EQ(disk.waiting, 0u) << "an answer says that the write has ended";
  }
  co_await loop.end();
}

TEST_F(TaskManagementTest, NoAnswerOvertakesTheEndOfAnEarlierAbort) {
  for (const auto again : {iscsi::TaskFunction::kAbortTask, iscsi::TaskFunction::kAbortTaskSet,
                           iscsi::TaskFunction::kLogicalUnitReset, iscsi::TaskFunction::kItNexusReset}) {
    Loopback loop(*reactor, stuck_disk());
    loop.serve();
    io::testing::run(*reactor, abort_again(loop, *disk, *reactor, again));
  }
}

io::Task<void> terminate_while_ending(Loopback& loop, StuckDevice& disk, io::Reactor& reactor) {
  const auto command = loop.initiator->command(kWrite10, 1, 0, 1);
  std::vector<std::uint8_t> payload = one_block();
  co_await loop.initiator->send(command, std::move(payload));
  co_await io::testing::until([&disk] { return disk.waiting == 1; });
  loop.connection().close("the test cuts it");
  co_await io::sleep(reactor, std::chrono::milliseconds(20));
  io::spawn(let_go_later(disk, reactor));
  std::string why = "another login";
  co_await loop.session().terminate(std::move(why));
  EXPECT_EQ(disk.waiting, 0u) << "whoever logs in anew must not be overtaken by the old session's write";
  co_await loop.end();
}

TEST_F(TaskManagementTest, ASessionThatIsReplacedWhileItsConnectionEndsHasEndedItsTasks) {
  Loopback loop(*reactor, stuck_disk());
  loop.serve();
  io::testing::run(*reactor, terminate_while_ending(loop, *disk, *reactor));
}

io::Task<void> abort_all_kinds(Loopback& loop, StuckDevice& disk) {
  // One task that waits for data, one that waits for unsolicited data, one that waits for the disk.
  const auto solicited = loop.initiator->command(kWrite10, 1, 0, 2);
  co_await loop.initiator->send(solicited);
  bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kR2t);
  auto unsolicited = loop.initiator->command(kWrite10, 2, 0, 2);
  unsolicited.final = false;
  std::vector<std::uint8_t> payload = one_block();
  co_await loop.initiator->send(unsolicited, std::move(payload));
  const auto read = loop.initiator->command(kRead10, 3, 0, 1);
  co_await loop.initiator->send(read);

  disk.let_go
      .set();  // reads after this do not wait; the one under way completes before the function is answered, or not
  const auto reset = loop.initiator->function(iscsi::TaskFunction::kLogicalUnitReset, 4, iscsi::kReservedTag);
  co_await loop.initiator->send_bare(reset);
  do {
    got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
  } while (got && loop.initiator->opcode() == iscsi::Opcode::kDataIn);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kTaskManagementResponse);
  EXPECT_EQ(loop.initiator->as<iscsi::TaskManagementResponse>().response,
            iscsi::TaskFunctionResponse::kFunctionComplete);

  // Data that the initiator had under way for them are skipped, and the window is as wide as at first.
  iscsi::DataOut late;
  late.final = true;
  late.initiator_task_tag = 2;
  late.buffer_offset = 512;
  std::vector<std::uint8_t> rest = one_block();
  co_await loop.initiator->send(late, std::move(rest));
  const auto attention = loop.initiator->command(kRead10, 5, 0, 1);
  co_await loop.initiator->send(attention);
  got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  const auto response = loop.initiator->as<iscsi::ScsiResponse>();
  const auto sense = scsi::decode_sense(ByteView(loop.initiator->data()).subspan(2));
  EXPECT_TRUE(sense.has_value());
  EXPECT_EQ(sense.value_or(scsi::Sense{}).code, scsi::sense_codes::kBusDeviceReset);
  EXPECT_EQ(response.max_cmd_sn.steps_from(response.exp_cmd_sn), limits::kCommandWindow - 1);
  co_await loop.end();
}

TEST_F(TaskManagementTest, AResetEndsTasksWhateverTheyWaitFor) {
  Loopback loop(*reactor, stuck_disk());
  loop.parameters.initial_r2t = false;
  loop.serve();
  io::testing::run(*reactor, abort_all_kinds(loop, *disk));
}

// --- Several sessions ---

io::Task<void> write_to_stuck_disk(Loopback& loop) {
  const auto command = loop.initiator->command(kWrite10, 1, 0, 1);
  std::vector<std::uint8_t> payload = one_block();
  co_await loop.initiator->send(command, std::move(payload));
}

io::Task<void> reset_all(std::vector<std::unique_ptr<Loopback>>& loops, StuckDevice& disk,
                         iscsi::TaskFunction function) {
  for (const auto& loop : loops) co_await write_to_stuck_disk(*loop);
  co_await io::testing::until([&] { return disk.waiting == loops.size(); });
  const auto reset = loops.front()->initiator->function(function, 2, iscsi::kReservedTag);
  co_await loops.front()->initiator->send_bare(reset);
  const auto has_task = [](const auto& loop) { return loop->session().tasks().find(1) != nullptr; };
  const bool all_aborted = co_await io::testing::until([&] { return std::ranges::none_of(loops, has_task); });
  EXPECT_TRUE(all_aborted);
  EXPECT_FALSE(loops.front()->unit().has_orphans()) << "one session was waited for before others had their turn";
  disk.let_go.set();
  const bool got = co_await loops.front()->initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loops.front()->initiator->opcode(), iscsi::Opcode::kTaskManagementResponse);
  EXPECT_EQ(disk.waiting, 0u) << "an answer says that the writes have ended";
  for (const auto& loop : loops) co_await loop->end();
}

TEST_F(TaskManagementTest, AResetWaitsForAllSessionsAtOnce) {
  for (const auto function : {iscsi::TaskFunction::kLogicalUnitReset, iscsi::TaskFunction::kTargetWarmReset,
                              iscsi::TaskFunction::kTargetColdReset}) {
    std::vector<std::unique_ptr<Loopback>> loops;
    loops.push_back(std::make_unique<Loopback>(*reactor, stuck_disk()));
    for (int further = 0; further < 3; ++further) {
      loops.push_back(std::make_unique<Loopback>(*reactor, *loops.front()));
    }
    for (const auto& loop : loops) loop->serve();
    io::testing::run(*reactor, reset_all(loops, *disk, function));
  }
}

/// The answer to a cold reset stays in the queue, behind data that the initiator does not take, while another one logs
/// in.
io::Task<void> log_in_after_cold_reset(Loopback& old, Loopback& later) {
  const auto read = old.initiator->command(kRead10, 1, 0, 2048);
  co_await old.initiator->send(read);
  co_await io::testing::until([&old] { return old.session().tasks().find(1) == nullptr; });
  const auto reset = old.initiator->function(iscsi::TaskFunction::kTargetColdReset, 2, iscsi::kReservedTag);
  co_await old.initiator->send_bare(reset);
  const bool done = co_await io::testing::until([&old] { return old.unit().resets() == 1; });
  EXPECT_TRUE(done);
  later.serve();
  bool got = true;
  do {
    got = co_await old.initiator->receive();
  } while (got && old.initiator->opcode() == iscsi::Opcode::kDataIn);
  EXPECT_TRUE(got && old.initiator->opcode() == iscsi::Opcode::kTaskManagementResponse);
  co_await io::testing::until([&old] { return old.served(); });
  const auto command = later.initiator->command(kRead10, 1, 0, 1);
  co_await later.initiator->send(command);
  got = co_await later.initiator->receive();
  EXPECT_TRUE(got) << "a session that began after the reset was answered was ended by it";
  co_await old.end();
  co_await later.end();
}

TEST_F(TaskManagementTest, AColdResetSparesSessionsThatBeginAfterItsAnswer) {
  Loopback old(*reactor, stuck_disk());
  disk->let_go.set();
  Loopback later(*reactor, old);
  old.serve();
  io::testing::run(*reactor, log_in_after_cold_reset(old, later));
}

}  // namespace
}  // namespace peerlane::target
