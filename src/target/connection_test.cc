#include "target/connection.h"

#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "block/ram_device.h"
#include "io/testing.h"
#include "scsi/sense.h"
#include "target/testing/loopback.h"

namespace peerlane::target {
namespace {

using testing::kRead10;
using testing::kWrite10;
using testing::Loopback;
using testing::StuckDevice;

std::unique_ptr<block::Device> ram_disk() {
  return std::move(*block::RamDevice::create(64u << 20, 512, false, "ram:64M"));
}

std::vector<std::uint8_t> pattern(std::size_t size, unsigned seed) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 13 + (i >> 9) + seed);
  return bytes;
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() : reactor(std::move(*io::Reactor::create())) {}
  std::unique_ptr<io::Reactor> reactor;
};

// --- Data transfer ---

/// Sends what the target asks for, PDUs of at most `segment` bytes, until the response comes.
io::Task<void> serve_r2ts(Loopback& loop, const std::vector<std::uint8_t>& data, std::uint32_t segment,
                          std::vector<iscsi::R2t>& r2ts, iscsi::ScsiResponse& response) {
  for (;;) {
    const bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    if (!got || loop.initiator->opcode() == iscsi::Opcode::kScsiResponse) break;
    const auto r2t = loop.initiator->as<iscsi::R2t>();
    r2ts.push_back(r2t);
    std::uint32_t at = r2t.buffer_offset;
    const std::uint32_t end = at + r2t.desired_data_transfer_length;
    for (std::uint32_t sn = 0; at < end; ++sn) {
      const std::uint32_t size = std::min(segment, end - at);
      iscsi::DataOut pdu;
      pdu.final = at + size == end;
      pdu.initiator_task_tag = r2t.initiator_task_tag;
      pdu.target_transfer_tag = r2t.target_transfer_tag;
      pdu.data_sn = sn;
      pdu.buffer_offset = at;
      std::vector<std::uint8_t> part(data.begin() + at, data.begin() + at + size);
      co_await loop.initiator->send(pdu, std::move(part));
      at += size;
    }
  }
  response = loop.initiator->as<iscsi::ScsiResponse>();
}

/// Reads everything back, checking the order and the flags of the Data-In PDUs.
io::Task<void> read_back(Loopback& loop, std::uint32_t tag, std::uint16_t blocks, std::vector<std::uint8_t>& data) {
  const auto command = loop.initiator->command(kRead10, tag, 0, blocks);
  co_await loop.initiator->send(command);
  for (std::uint32_t sn = 0;; ++sn) {
    const bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    if (!got) co_return;
    const auto pdu = loop.initiator->as<iscsi::DataIn>();
    EXPECT_EQ(pdu.data_sn, sn);
    EXPECT_EQ(pdu.buffer_offset, data.size());
    EXPECT_LE(loop.initiator->data().size(), loop.parameters.peer_max_recv_data_segment_length);
    data.insert(data.end(), loop.initiator->data().begin(), loop.initiator->data().end());
    const bool burst_ends = data.size() % loop.parameters.max_burst_length == 0;
    EXPECT_EQ(pdu.final, burst_ends || data.size() == blocks * 512u);
    EXPECT_EQ(pdu.status_present, data.size() == blocks * 512u) << "the status comes with the last data, not later";
    if (pdu.status_present) break;
  }
}

struct WriteCase {
  const char* name;
  bool initial_r2t;
  bool immediate_data;
  std::uint32_t first_burst;
  std::uint32_t max_burst;
  std::uint16_t outstanding;
  std::uint32_t segment;
  std::uint32_t immediate;    // bytes that come with the command
  std::uint32_t unsolicited;  // bytes that follow it without being asked for
};

class WriteTest : public ConnectionTest, public ::testing::WithParamInterface<WriteCase> {};

io::Task<void> write_and_read(Loopback& loop, const WriteCase& how) {
  constexpr std::uint16_t kBlocks = 5000;  // 2.4 MiB: more than one buffer of the device server
  const auto data = pattern(kBlocks * 512u, 1);
  auto command = loop.initiator->command(kWrite10, 7, 0, kBlocks);
  command.final = how.unsolicited == 0;
  std::uint32_t at = how.immediate;
  std::vector<std::uint8_t> immediate(data.begin(), data.begin() + at);
  co_await loop.initiator->send(command, std::move(immediate));
  for (std::uint32_t sn = 0; at < how.immediate + how.unsolicited; ++sn) {
    const std::uint32_t size = std::min(how.segment, how.immediate + how.unsolicited - at);
    iscsi::DataOut pdu;
    pdu.final = at + size == how.immediate + how.unsolicited;
    pdu.initiator_task_tag = 7;
    pdu.data_sn = sn;
    pdu.buffer_offset = at;
    std::vector<std::uint8_t> part(data.begin() + at, data.begin() + at + size);
    co_await loop.initiator->send(pdu, std::move(part));
    at += size;
  }
  std::vector<iscsi::R2t> r2ts;
  iscsi::ScsiResponse response;
  co_await serve_r2ts(loop, data, how.segment, r2ts, response);
  EXPECT_EQ(response.status, 0);
  EXPECT_FALSE(response.overflow || response.underflow);
  for (std::size_t i = 0; i < r2ts.size(); ++i) {
    EXPECT_EQ(r2ts[i].r2t_sn, i);
    EXPECT_EQ(r2ts[i].buffer_offset, at) << "what was asked for is neither asked for twice nor left out";
    EXPECT_LE(r2ts[i].desired_data_transfer_length, how.max_burst);
    at += r2ts[i].desired_data_transfer_length;
  }
  EXPECT_EQ(at, data.size());
  std::vector<std::uint8_t> back;
  co_await read_back(loop, 8, kBlocks, back);
  EXPECT_EQ(back, data);
  co_await loop.end();
}

TEST_P(WriteTest, EveryByteArrivesOnceAndInOrder) {
  const WriteCase& how = GetParam();
  Loopback loop(*reactor, ram_disk());
  loop.parameters.initial_r2t = how.initial_r2t;
  loop.parameters.immediate_data = how.immediate_data;
  loop.parameters.first_burst_length = how.first_burst;
  loop.parameters.max_burst_length = how.max_burst;
  loop.parameters.max_outstanding_r2t = how.outstanding;
  loop.parameters.our_max_recv_data_segment_length = 256u << 10;
  loop.parameters.peer_max_recv_data_segment_length = how.segment;
  loop.serve();
  io::testing::run(*reactor, write_and_read(loop, how));
}

INSTANTIATE_TEST_SUITE_P(
    Negotiated, WriteTest,
    ::testing::Values(WriteCase{"AllSolicited", true, false, 65536, 262144, 1, 65536, 0, 0},
                      WriteCase{"ImmediateThenSolicited", true, true, 65536, 262144, 1, 262144, 65536, 0},
                      WriteCase{"UnsolicitedOnly", false, false, 65536, 65536, 1, 8192, 0, 65536},
                      WriteCase{"ImmediateAndUnsolicited", false, true, 262144, 1048576, 1, 32768, 32768, 229376},
                      WriteCase{"LessUnsolicitedThanAllowed", false, true, 262144, 262144, 1, 8192, 512, 8192},
                      WriteCase{"SeveralR2ts", true, true, 65536, 65536, 8, 16384, 4096, 0},
                      WriteCase{"OddSegments", true, true, 65536, 131072, 4, 1020, 1020, 0}),
    [](const auto& values) { return values.param.name; });

io::Task<void> write_large_then_small(Loopback& loop) {
  constexpr std::uint16_t kLarge = 5000;  // the last of its buffers is wanted at an offset above 2 MiB
  constexpr std::uint16_t kSmall = 8;
  const auto large = pattern(kLarge * 512u, 1);
  const auto first = loop.initiator->command(kWrite10, 7, 0, kLarge);
  co_await loop.initiator->send(first);
  std::vector<iscsi::R2t> r2ts;
  iscsi::ScsiResponse response;
  co_await serve_r2ts(loop, large, 65536, r2ts, response);
  EXPECT_FALSE(r2ts.empty());
  const auto small = pattern(kSmall * 512u, 2);
  const auto second = loop.initiator->command(kWrite10, 8, 0, kSmall);
  std::vector<std::uint8_t> immediate = small;
  co_await loop.initiator->send(second, std::move(immediate));
  const bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kScsiResponse) << "nothing is left to be asked for";
  std::vector<std::uint8_t> back;
  co_await read_back(loop, 9, kSmall, back);
  EXPECT_EQ(back, small);
  co_await loop.end();
}

TEST_F(ConnectionTest, ATaskAsksForNothingThatItsLastCommandWanted) {
  Loopback loop(*reactor, ram_disk());
  loop.parameters.immediate_data = true;
  loop.parameters.max_burst_length = 65536;
  loop.parameters.our_max_recv_data_segment_length = 65536;
  loop.serve();
  io::testing::run(*reactor, write_large_then_small(loop));
}

// --- Limits and errors ---

io::Task<void> exceed_segment(Loopback& loop) {
  const auto command = loop.initiator->command(kWrite10, 1, 0, 32);
  std::vector<std::uint8_t> payload1 = pattern(32 * 512, 0);
  co_await loop.initiator->send(command, std::move(payload1));
  const bool got = co_await loop.initiator->receive();
  EXPECT_FALSE(got) << "a data segment that exceeds MaxRecvDataSegmentLength ends the connection";
  co_await loop.end();
}

TEST_F(ConnectionTest, DataSegmentBeyondWhatWeDeclaredEndsTheConnection) {
  Loopback loop(*reactor, ram_disk());
  loop.parameters.our_max_recv_data_segment_length = 8192;
  loop.serve();
  io::testing::run(*reactor, exceed_segment(loop));
}

io::Task<void> expect_reject(Loopback& loop, iscsi::ScsiCommand command, std::vector<std::uint8_t> data,
                             iscsi::RejectReason reason) {
  std::array<std::uint8_t, iscsi::kBhsBytes> sent;
  command.data_segment_length = static_cast<std::uint32_t>(data.size());
  command.encode(sent);
  co_await loop.initiator->send(command, std::move(data));
  const bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->opcode(), iscsi::Opcode::kReject);
  EXPECT_EQ(loop.initiator->as<iscsi::Reject>().reason, reason);
  EXPECT_TRUE(std::ranges::equal(loop.initiator->data(), sent)) << "the Reject carries the header of what it rejects";
}

io::Task<void> break_rules(Loopback& loop) {
  auto bidirectional = loop.initiator->command(kRead10, 1, 0, 1);
  bidirectional.write = true;
  std::vector<std::uint8_t> data;
  co_await expect_reject(loop, bidirectional, data, iscsi::RejectReason::kCommandNotSupported);
  auto unannounced = loop.initiator->command(kRead10, 2, 0, 1);
  data.resize(512);
  co_await expect_reject(loop, unannounced, data, iscsi::RejectReason::kProtocolError);
  auto too_much = loop.initiator->command(kWrite10, 3, 0, 1);
  data.resize(1024);
  co_await expect_reject(loop, too_much, data, iscsi::RejectReason::kProtocolError);
  auto not_allowed = loop.initiator->command(kWrite10, 4, 0, 2);
  not_allowed.final = false;
  data.resize(512);
  co_await expect_reject(loop, not_allowed, data, iscsi::RejectReason::kProtocolError);
  // None of them stands in the way of the next.
  data.clear();
  co_await read_back(loop, 5, 1, data);
  EXPECT_EQ(data.size(), 512u);
  co_await loop.end();
}

TEST_F(ConnectionTest, BrokenRulesAreRejectedAndTheSessionGoesOn) {
  Loopback loop(*reactor, ram_disk());
  loop.serve();
  io::testing::run(*reactor, break_rules(loop));
}

io::Task<void> send_wrong_data(Loopback& loop) {
  // Each command asks for 1 KiB by R2T; what comes then breaks one rule at a time.
  for (int wrong = 0; wrong < 5; ++wrong) {
    const auto tag = static_cast<std::uint32_t>(wrong);
    const auto command = loop.initiator->command(kWrite10, tag, 0, 2);
    co_await loop.initiator->send(command);
    bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    const auto r2t = loop.initiator->as<iscsi::R2t>();
    iscsi::DataOut pdu;
    pdu.final = true;
    pdu.initiator_task_tag = tag;
    pdu.target_transfer_tag = r2t.target_transfer_tag;
    std::size_t size = 1024;
    if (wrong == 0) pdu.data_sn = 1;
    if (wrong == 1) pdu.buffer_offset = 512;
    if (wrong == 2) pdu.final = false;
    if (wrong == 3) pdu.target_transfer_tag += 1;
    if (wrong == 4) size = 1536;
    std::vector<std::uint8_t> payload2 = pattern(size, 0);
    co_await loop.initiator->send(pdu, std::move(payload2));
    got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    EXPECT_EQ(loop.initiator->as<iscsi::ScsiResponse>().status,
              static_cast<std::uint8_t>(scsi::Status::kCheckCondition));
    const auto sense = scsi::decode_sense(ByteView(loop.initiator->data()).subspan(2));
    EXPECT_TRUE(sense.has_value());
    EXPECT_EQ(sense.value_or(scsi::Sense{}).key, scsi::SenseKey::kAbortedCommand) << "case " << wrong;
  }
  co_await loop.end();
}

TEST_F(ConnectionTest, WrongDataOutEndsItsCommandAlone) {
  Loopback loop(*reactor, ram_disk());
  loop.serve();
  io::testing::run(*reactor, send_wrong_data(loop));
}

io::Task<void> get_buffer_amid_data(Loopback& loop, io::Reactor& reactor) {
  std::vector<io::Buffer> others;
  while (loop.session().share().has_room(limits::kMaxBufferBytes)) {
    io::Buffer buffer = co_await reactor.buffers().allocate(loop.session().share(), limits::kMaxBufferBytes);
    others.push_back(std::move(buffer));
  }
  constexpr std::uint32_t kSize = 128u << 10;
  const auto data = pattern(kSize, 9);
  auto command = loop.initiator->command(kWrite10, 1, 0, kSize / 512);
  command.data_segment_length = kSize;
  std::array<std::uint8_t, iscsi::kBhsBytes> header;
  command.encode(header);
  // The command waits for a buffer while half of its data comes, gets it, and then the other half comes.
  std::vector<iovec> half{{header.data(), header.size()}, {const_cast<std::uint8_t*>(data.data()), kSize / 2}};
  co_await loop.initiator->send_raw(half);
  co_await io::sleep(reactor, std::chrono::milliseconds(5));
  others.clear();
  co_await io::sleep(reactor, std::chrono::milliseconds(5));
  half = {{const_cast<std::uint8_t*>(data.data()) + kSize / 2, kSize / 2}};
  co_await loop.initiator->send_raw(half);
  const bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got);
  EXPECT_EQ(loop.initiator->as<iscsi::ScsiResponse>().status, 0);
  std::vector<std::uint8_t> back;
  co_await read_back(loop, 2, kSize / 512, back);
  EXPECT_EQ(back, data);
  co_await loop.end();
}

TEST_F(ConnectionTest, ABufferThatComesAmidTheDataOfAPduIsFilledWhole) {
  Loopback loop(*reactor, ram_disk());
  loop.parameters.first_burst_length = 256u << 10;
  loop.parameters.our_max_recv_data_segment_length = 256u << 10;
  loop.serve();
  io::testing::run(*reactor, get_buffer_amid_data(loop, *reactor));
}

io::Task<void> read_much_at_once(Loopback& loop) {
  constexpr std::uint16_t kBlocks = 4096;  // 2 MiB each: together far more than the session's share
  for (std::uint32_t tag = 0; tag < limits::kCommandWindow; ++tag) {
    const auto command = loop.initiator->command(kRead10, tag, tag, kBlocks);
    co_await loop.initiator->send(command);
  }
  unsigned ended = 0;
  while (ended < limits::kCommandWindow) {
    const bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    if (!got) break;
    if (loop.initiator->as<iscsi::DataIn>().status_present) ++ended;
  }
  co_await loop.end();
}

TEST_F(ConnectionTest, ManyLargeReadsShareTheSessionsBuffersAndAllEnd) {
  Loopback loop(*reactor, ram_disk());
  loop.parameters.peer_max_recv_data_segment_length = 256u << 10;
  loop.serve();
  io::testing::run(*reactor, read_much_at_once(loop));
}

// --- With a disk that does not answer ---

io::Task<void> no_room_for_early_data(Loopback& loop, StuckDevice& disk, io::Reactor& reactor) {
  const auto read = loop.initiator->command(kRead10, 1, 0, 1);
  co_await loop.initiator->send(read);
  std::vector<io::Buffer> all;
  while (auto buffer = reactor.buffers().set_aside(limits::kMaxBufferBytes)) all.push_back(std::move(*buffer));
  // It waits for its turn, and its data with it; what follows of them comes although it has ended.
  auto write = loop.initiator->command(kWrite10, 2, 0, 2);
  write.attribute = iscsi::Attribute::kOrdered;
  write.final = false;
  std::vector<std::uint8_t> first = pattern(512, 1);
  co_await loop.initiator->send(write, std::move(first));
  iscsi::DataOut rest;
  rest.final = true;
  rest.initiator_task_tag = 2;
  rest.buffer_offset = 512;
  std::vector<std::uint8_t> second = pattern(512, 2);
  co_await loop.initiator->send(rest, std::move(second));
  bool got = co_await loop.initiator->receive();
  EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kScsiResponse);
  EXPECT_EQ(loop.initiator->as<iscsi::ScsiResponse>().status, static_cast<std::uint8_t>(scsi::Status::kTaskSetFull));
  disk.let_go.set();
  got = co_await loop.initiator->receive();
  EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kDataIn);
  all.clear();
  // With room again the same is written.
  const auto again = loop.initiator->command(kWrite10, 3, 0, 2);
  std::vector<std::uint8_t> whole = pattern(1024, 3);
  co_await loop.initiator->send(again, std::move(whole));
  got = co_await loop.initiator->receive();
  EXPECT_TRUE(got && loop.initiator->opcode() == iscsi::Opcode::kScsiResponse);
  EXPECT_EQ(loop.initiator->as<iscsi::ScsiResponse>().status, 0);
  std::vector<std::uint8_t> data;
  co_await read_back(loop, 4, 2, data);
  EXPECT_EQ(data, pattern(1024, 3));
  co_await loop.end();
  EXPECT_EQ(reactor.buffers().bytes_out(), 0u);
}

TEST_F(ConnectionTest, DataThatNobodyHasAskedForEndTheirCommandWhenThereIsNoRoom) {
  auto owned = std::make_unique<StuckDevice>(ram_disk());
  StuckDevice& disk = *owned;
  Loopback loop(*reactor, std::move(owned));
  loop.parameters.initial_r2t = false;
  loop.serve();
  io::testing::run(*reactor, no_room_for_early_data(loop, disk, *reactor));
}

io::Task<void> drop_while_stuck(Loopback& loop, StuckDevice& disk, io::Reactor& reactor) {
  for (std::uint32_t tag = 0; tag < 20; ++tag) {
    const auto command = loop.initiator->command(tag % 2 == 0 ? kRead10 : kWrite10, tag, tag * 8, 8);
    std::vector<std::uint8_t> data;
    if (tag % 2 != 0) data = pattern(4096, tag);
    co_await loop.initiator->send(command, std::move(data));
  }
  co_await io::testing::until([&disk] { return disk.waiting == 20; });
  loop.connection().close("the test cuts it");
  co_await io::sleep(reactor, std::chrono::milliseconds(20));
  EXPECT_FALSE(loop.served()) << "the connection stays until the disk has let go of its buffers";
  disk.let_go.set();
  co_await loop.end();
  EXPECT_EQ(reactor.buffers().bytes_out(), 0u);
}

TEST_F(ConnectionTest, AConnectionThatEndsWaitsForItsDiskAndGivesAllBuffersBack) {
  auto owned = std::make_unique<StuckDevice>(ram_disk());
  StuckDevice& disk = *owned;
  Loopback loop(*reactor, std::move(owned));
  loop.serve();
  io::testing::run(*reactor, drop_while_stuck(loop, disk, *reactor));
}

io::Task<void> fill_window(Loopback& loop, StuckDevice& disk, io::Reactor& reactor) {
  for (std::uint32_t tag = 0; tag < limits::kCommandWindow + 10; ++tag) {
    const auto command = loop.initiator->command(kRead10, tag, 0, 1);
    co_await loop.initiator->send(command);
  }
  co_await io::testing::until([&disk] { return disk.waiting >= limits::kCommandWindow; });
  co_await io::sleep(reactor, std::chrono::milliseconds(20));
  EXPECT_EQ(disk.waiting, limits::kCommandWindow) << "commands beyond MaxCmdSN are ignored";
  disk.let_go.set();
  unsigned answered = 0;
  while (answered < limits::kCommandWindow) {
    const bool got = co_await loop.initiator->receive();
    EXPECT_TRUE(got);
    if (!got) break;
    ++answered;
  }
  co_await io::sleep(reactor, std::chrono::milliseconds(20));
  co_await loop.end();
}

TEST_F(ConnectionTest, CommandsBeyondTheWindowAreIgnored) {
  auto owned = std::make_unique<StuckDevice>(ram_disk());
  StuckDevice& disk = *owned;
  Loopback loop(*reactor, std::move(owned));
  loop.serve();
  io::testing::run(*reactor, fill_window(loop, disk, *reactor));
}

}  // namespace
}  // namespace peerlane::target
