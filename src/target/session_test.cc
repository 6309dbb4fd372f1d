// Sessions: task attributes and ACA as an initiator sees them.
#include "target/session.h"

#include <chrono>

#include <gtest/gtest.h>

#include "block/ram_device.h"
#include "io/testing.h"
#include "scsi/sense_codes.h"
#include "target/testing/loopback.h"

namespace peerlane::target {
namespace {

using iscsi::TaskFunction;
using testing::kRead10;
using testing::Loopback;
using testing::StuckDevice;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : reactor(std::move(*io::Reactor::create())) {
    auto owned = std::make_unique<StuckDevice>(std::move(*block::RamDevice::create(1u << 20, 512, false, "ram:1M")));
    disk = owned.get();
    loop = std::make_unique<Loopback>(*reactor, std::move(owned));
    loop->serve();
  }

  /// Sends a READ(10) of one block.
  io::Task<void> read(std::uint32_t tag, iscsi::Attribute attribute) {
    auto command = loop->initiator->command(kRead10, tag, 0, 1);
    command.attribute = attribute;
    co_await loop->initiator->send(command);
  }

  /// Sends a READ(10) past the end of the medium.
  io::Task<void> read_out_of_range(std::uint32_t tag, iscsi::Attribute attribute, bool naca) {
    auto command = loop->initiator->command(kRead10, tag, 0x7fffffff, 1);
    command.attribute = attribute;
    command.cdb[9] = naca ? 0x04 : 0;
    co_await loop->initiator->send(command);
  }

  /// The status of the next command that ends, which must be that of `tag`.
  io::Task<scsi::Status> status_of(std::uint32_t tag) {
    const bool got = co_await loop->initiator->receive();
    EXPECT_TRUE(got);
    if (loop->initiator->opcode() == iscsi::Opcode::kDataIn) {
      const auto data = loop->initiator->as<iscsi::DataIn>();
      EXPECT_EQ(data.initiator_task_tag, tag);
      EXPECT_TRUE(data.status_present);
      co_return static_cast<scsi::Status>(data.status);
    }
    const auto response = loop->initiator->as<iscsi::ScsiResponse>();
    EXPECT_EQ(response.initiator_task_tag, tag);
    co_return static_cast<scsi::Status>(response.status);
  }

  io::Task<iscsi::TaskFunctionResponse> function(TaskFunction function, std::uint32_t tag, std::uint32_t referenced) {
    const auto request = loop->initiator->function(function, tag, referenced);
    co_await loop->initiator->send_bare(request);
    const bool got = co_await loop->initiator->receive();
    EXPECT_TRUE(got && loop->initiator->opcode() == iscsi::Opcode::kTaskManagementResponse);
    co_return loop->initiator->as<iscsi::TaskManagementResponse>().response;
  }

  /// Waits until so many commands are with the disk, and a while for those that must not come.
  io::Task<void> settle(unsigned at_the_disk) {
    const bool came = co_await io::testing::until([this, at_the_disk] { return disk->waiting == at_the_disk; });
    EXPECT_TRUE(came);
    co_await io::sleep(*reactor, std::chrono::milliseconds(20));
    EXPECT_EQ(disk->waiting, at_the_disk);
  }

  io::Task<void> ordered_between_simple();
  io::Task<void> abort_while_dormant();
  io::Task<void> aca_until_cleared();

  std::unique_ptr<io::Reactor> reactor;
  StuckDevice* disk = nullptr;
  std::unique_ptr<Loopback> loop;
};

io::Task<void> SessionTest::ordered_between_simple() {
  co_await read(1, iscsi::Attribute::kSimple);
  co_await read(2, iscsi::Attribute::kOrdered);
  co_await read(3, iscsi::Attribute::kSimple);
  co_await read(4, iscsi::Attribute::kHeadOfQueue);
  co_await settle(2);       // the simple one and the head of the queue
  disk->let_go.wake_all();  // these two; what starts now waits for the next time
  EXPECT_EQ(co_await status_of(1), scsi::Status::kGood);
  EXPECT_EQ(co_await status_of(4), scsi::Status::kGood);
  co_await settle(1);
  disk->let_go.wake_all();
  EXPECT_EQ(co_await status_of(2), scsi::Status::kGood);
  co_await settle(1);
  disk->let_go.wake_all();
  EXPECT_EQ(co_await status_of(3), scsi::Status::kGood);
  co_await loop->end();
}

TEST_F(SessionTest, AnOrderedCommandIsExecutedAlone) {
  io::testing::run(*reactor, ordered_between_simple());
}

io::Task<void> SessionTest::abort_while_dormant() {
  co_await read(1, iscsi::Attribute::kSimple);
  for (std::uint32_t tag = 2; tag < 6; ++tag) co_await read(tag, iscsi::Attribute::kOrdered);
  co_await settle(1);
  EXPECT_EQ(co_await function(TaskFunction::kAbortTask, 10, 3), iscsi::TaskFunctionResponse::kFunctionComplete);
  EXPECT_EQ(co_await function(TaskFunction::kQueryTask, 11, 3), iscsi::TaskFunctionResponse::kFunctionComplete);
  EXPECT_EQ(co_await function(TaskFunction::kQueryTask, 12, 4), iscsi::TaskFunctionResponse::kFunctionSucceeded);
  disk->let_go.set();
  for (const std::uint32_t tag : {1u, 2u, 4u, 5u}) EXPECT_EQ(co_await status_of(tag), scsi::Status::kGood);
  disk->let_go.reset();

  for (std::uint32_t tag = 20; tag < 26; ++tag) co_await read(tag, iscsi::Attribute::kOrdered);
  co_await settle(1);
  io::spawn([](StuckDevice& stuck, io::Reactor& on) -> io::Task<void> {
    co_await io::sleep(on, std::chrono::milliseconds(50));
    stuck.let_go.set();
  }(*disk, *reactor));
  EXPECT_EQ(co_await function(TaskFunction::kAbortTaskSet, 30, 0xffffffff),
            iscsi::TaskFunctionResponse::kFunctionComplete);
  co_await read(31, iscsi::Attribute::kOrdered);
  EXPECT_EQ(co_await status_of(31), scsi::Status::kGood);
  co_await loop->end();
}

TEST_F(SessionTest, CommandsThatWaitForTheirTurnCanBeAborted) {
  io::testing::run(*reactor, abort_while_dormant());
}

io::Task<void> SessionTest::aca_until_cleared() {
  disk->let_go.set();
  co_await read_out_of_range(1, iscsi::Attribute::kSimple, false);
  EXPECT_EQ(co_await status_of(1), scsi::Status::kCheckCondition);
  co_await read(2, iscsi::Attribute::kSimple);
  EXPECT_EQ(co_await status_of(2), scsi::Status::kGood) << "no NACA, no ACA";
  co_await read(3, iscsi::Attribute::kAca);
  EXPECT_EQ(co_await status_of(3), scsi::Status::kCheckCondition) << "there is no ACA";

  co_await read_out_of_range(4, iscsi::Attribute::kSimple, true);
  EXPECT_EQ(co_await status_of(4), scsi::Status::kCheckCondition);
  co_await read(5, iscsi::Attribute::kHeadOfQueue);
  EXPECT_EQ(co_await status_of(5), scsi::Status::kAcaActive);
  co_await read(6, iscsi::Attribute::kAca);
  EXPECT_EQ(co_await status_of(6), scsi::Status::kGood);
  EXPECT_EQ(co_await function(TaskFunction::kClearAca, 7, 0xffffffff), iscsi::TaskFunctionResponse::kFunctionComplete);
  co_await read(8, iscsi::Attribute::kSimple);
  EXPECT_EQ(co_await status_of(8), scsi::Status::kGood);

  co_await read_out_of_range(9, iscsi::Attribute::kSimple, true);
  EXPECT_EQ(co_await status_of(9), scsi::Status::kCheckCondition);
  EXPECT_EQ(co_await function(TaskFunction::kLogicalUnitReset, 10, 0xffffffff),
            iscsi::TaskFunctionResponse::kFunctionComplete);
  co_await read(11, iscsi::Attribute::kSimple);
  EXPECT_EQ(co_await status_of(11), scsi::Status::kCheckCondition) << "the reset's unit attention, and no ACA ACTIVE";
  co_await read(12, iscsi::Attribute::kSimple);
  EXPECT_EQ(co_await status_of(12), scsi::Status::kGood);
  co_await loop->end();
}

TEST_F(SessionTest, AcaLastsUntilItIsCleared) {
  io::testing::run(*reactor, aca_until_cleared());
}

}  // namespace
}  // namespace peerlane::target
