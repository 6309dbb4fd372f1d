#include "initiator/connection.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "initiator/testing/scripted_target.h"
#include "io/testing.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;
using testing::Wire;

std::vector<std::uint8_t> pattern(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
  return bytes;
}

io::Task<void> expect_pdu(Wire& wire) {
  const bool received = co_await wire.target->receive();
  EXPECT_TRUE(received);
}

/// A command that is under way beside the script of the target.
struct Running {
  Request request;
  Outcome outcome;
  bool over = false;
};

io::Task<void> run_command(Connection& connection, Running& running) {
  running.outcome = co_await connection.execute(running.request);
  running.over = true;
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    auto created = io::Reactor::create();
    EXPECT_TRUE(created.has_value());
    reactor = std::move(*created);
    wire = std::make_unique<Wire>(*reactor);
    wire->login.parameters.initial_r2t = true;
    wire->login.parameters.immediate_data = false;
  }

  using Script = std::function<io::Task<void>(ConnectionTest&)>;
  void play(const Script& script) {
    wire->serve();
    io::testing::run(*reactor, play_and_end(script));
  }
  io::Task<void> play_and_end(const Script& script) {
    co_await script(*this);
    co_await wire->end();
  }

  Connection& connection() { return wire->connection(); }
  testing::ScriptedTarget& target() { return *wire->target; }

  std::unique_ptr<io::Reactor> reactor;
  std::unique_ptr<Wire> wire;
};

Request read_of(ByteSpan into) {
  Request request;
  request.cdb[0] = 0x88;
  request.data_in = into;
  return request;
}

Request write_of(ByteView from) {
  Request request;
  request.cdb[0] = 0x8a;
  request.data_out = from;
  return request;
}

iscsi::DataIn data_in(std::uint32_t tag, std::uint32_t data_sn, std::uint32_t offset) {
  iscsi::DataIn pdu;
  pdu.initiator_task_tag = tag;
  pdu.data_sn = data_sn;
  pdu.buffer_offset = offset;
  return pdu;
}

iscsi::R2t r2t(std::uint32_t tag, std::uint32_t sn, std::uint32_t offset, std::uint32_t length) {
  iscsi::R2t pdu;
  pdu.initiator_task_tag = tag;
  pdu.target_transfer_tag = 77 + sn;
  pdu.r2t_sn = sn;
  pdu.buffer_offset = offset;
  pdu.desired_data_transfer_length = length;
  return pdu;
}

// --- What goes well ---

io::Task<void> read_in_two_parts(ConnectionTest& test, Wire& wire, Running& running) {
  static_cast<void>(test);
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  const auto command = wire.target->as<iscsi::ScsiCommand>();
  EXPECT_TRUE(command.read && !command.write && command.final);
  EXPECT_EQ(command.expected_data_transfer_length, 1000u);
  auto whole = pattern(1000);
  std::vector<std::uint8_t> first(whole.begin(), whole.begin() + 600);
  std::vector<std::uint8_t> second(whole.begin() + 600, whole.end());
  co_await wire.target->send(data_in(command.initiator_task_tag, 0, 0), false, first);
  auto last = data_in(command.initiator_task_tag, 1, 600);
  last.final = last.status_present = true;
  co_await wire.target->send(last, true, second);
  while (!running.over) co_await io::yield(io::Reactor::current());
}

TEST_F(ConnectionTest, ReadsInPlace) {
  std::vector<std::uint8_t> into(1000);
  Running running{read_of(into), {}, false};
  play([&](ConnectionTest& test) { return read_in_two_parts(test, *wire, running); });
  EXPECT_EQ(running.outcome.ending, Ending::kAnswered);
  EXPECT_TRUE(running.outcome.result.good());
  EXPECT_EQ(running.outcome.result.transferred, 1000u);
  EXPECT_EQ(into, pattern(1000));
}

// RFC 7143 §11.2.2.3: the digest is over the additional header segment as well.
TEST_F(ConnectionTest, ALongCdbIsContinuedInAnAdditionalHeader) {
  std::vector<std::uint8_t> into(512);
  Running running{{}, {}, false};
  running.request.data_in = into;
  std::iota(running.request.cdb.begin(), running.request.cdb.end(), std::uint8_t{0x7f});
  wire->login.parameters.header_digest = true;
  wire->target->expect_header_digests();
  play([&](ConnectionTest&) -> io::Task<void> {
    io::spawn(run_command(wire->connection(), running));
    co_await expect_pdu(*wire);
    const auto command = wire->target->as<iscsi::ScsiCommand>();
    EXPECT_TRUE(std::ranges::equal(command.cdb, ByteView(running.request.cdb).first(16)));
    const auto ahs = iscsi::decode_ahs(wire->target->ahs());
    EXPECT_TRUE(ahs && std::ranges::equal(ahs->extended_cdb, ByteView(running.request.cdb).subspan(16)));
  });
}

io::Task<void> short_read(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  auto last = data_in(wire.target->as<iscsi::ScsiCommand>().initiator_task_tag, 0, 0);
  last.final = last.status_present = last.underflow = true;
  last.residual_count = 900;
  co_await wire.target->send(last, true, pattern(100));
  while (!running.over) co_await io::yield(io::Reactor::current());
}

TEST_F(ConnectionTest, TellsWhatWasNotTransferred) {
  std::vector<std::uint8_t> into(1000);
  Running running{read_of(into), {}, false};
  play([&](ConnectionTest&) { return short_read(*wire, running); });
  EXPECT_EQ(running.outcome.result.transferred, 100u);
  EXPECT_EQ(running.outcome.result.residual, 900u);
}

io::Task<void> write_with_r2ts(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  const auto command = wire.target->as<iscsi::ScsiCommand>();
  EXPECT_TRUE(command.write && !command.final);
  EXPECT_EQ(wire.target->data().size(), 512u);  // immediate
  std::vector<std::uint8_t> got = wire.target->data();
  co_await expect_pdu(wire);  // unsolicited, to FirstBurstLength
  const auto unsolicited = wire.target->as<iscsi::DataOut>();
  EXPECT_EQ(unsolicited.target_transfer_tag, iscsi::kReservedTag);
  EXPECT_EQ(unsolicited.buffer_offset, 512u);
  EXPECT_TRUE(unsolicited.final);
  got.insert(got.end(), wire.target->data().begin(), wire.target->data().end());
  co_await wire.target->send(r2t(command.initiator_task_tag, 0, 1024, 1000), false);
  co_await wire.target->send(r2t(command.initiator_task_tag, 1, 2024, 976), false);
  const std::uint32_t lengths[] = {512, 488, 512, 464};
  for (unsigned i = 0; i < 4; ++i) {
    co_await expect_pdu(wire);
    const auto pdu = wire.target->as<iscsi::DataOut>();
    EXPECT_EQ(pdu.data_segment_length, lengths[i]);
    EXPECT_EQ(pdu.data_sn, i % 2);
    EXPECT_EQ(pdu.final, i % 2 == 1);
    EXPECT_EQ(pdu.target_transfer_tag, 77 + i / 2);
    EXPECT_EQ(pdu.buffer_offset, got.size());
    got.insert(got.end(), wire.target->data().begin(), wire.target->data().end());
  }
  EXPECT_EQ(got, pattern(3000));
  co_await wire.target->respond(command.initiator_task_tag);
  while (!running.over) co_await io::yield(io::Reactor::current());
}

TEST_F(ConnectionTest, WritesAsTheTargetAsks) {
  auto& parameters = wire->login.parameters;
  parameters.immediate_data = true;
  parameters.initial_r2t = false;
  parameters.peer_max_recv_data_segment_length = 512;
  parameters.first_burst_length = 1024;
  parameters.max_burst_length = 1000;
  parameters.max_outstanding_r2t = 2;
  const auto data = pattern(3000);
  Running running{write_of(data), {}, false};
  play([&](ConnectionTest&) { return write_with_r2ts(*wire, running); });
  EXPECT_EQ(running.outcome.ending, Ending::kAnswered);
  EXPECT_EQ(running.outcome.result.transferred, 3000u);
}

io::Task<void> closed_window(Wire& wire, std::vector<Running>& running) {
  for (Running& one : running) io::spawn(run_command(wire.connection(), one));
  co_await expect_pdu(wire);
  const auto first = wire.target->as<iscsi::ScsiCommand>();
  co_await expect_pdu(wire);
  const auto second = wire.target->as<iscsi::ScsiCommand>();
  EXPECT_EQ(second.cmd_sn.value, first.cmd_sn.value + 1);
  co_await io::sleep(io::Reactor::current(), 20ms);
  // The window is closed: nothing but a ping may come. It opens with the response.
  wire.target->window = 1;
  co_await wire.target->respond(first.initiator_task_tag);
  co_await expect_pdu(wire);
  EXPECT_EQ(wire.target->as<iscsi::ScsiCommand>().cmd_sn.value, first.cmd_sn.value + 2);
  co_await wire.target->respond(second.initiator_task_tag);
}

TEST_F(ConnectionTest, RespectsTheCommandWindow) {
  wire->login.max_cmd_sn = iscsi::CmdSn(2);
  std::vector<Running> running(3);
  play([&](ConnectionTest&) { return closed_window(*wire, running); });
  EXPECT_EQ(running[0].outcome.ending, Ending::kAnswered);
  EXPECT_EQ(running[1].outcome.ending, Ending::kAnswered);
  EXPECT_EQ(running[2].outcome.ending, Ending::kLost);  // it had been sent when the wire was cut
}

io::Task<void> sense_data(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kMediumError;
  sense.code = static_cast<scsi::SenseCode>(0x1100);
  std::vector<std::uint8_t> segment(2 + scsi::kMaxSenseBytes);
  const std::size_t size = scsi::encode_sense(sense, false, ByteSpan(segment).subspan(2));
  put_be16(segment, 0, static_cast<std::uint16_t>(size));
  segment.resize(2 + size);
  iscsi::ScsiResponse pdu;
  pdu.initiator_task_tag = wire.target->as<iscsi::ScsiCommand>().initiator_task_tag;
  pdu.status = 2;
  co_await wire.target->send(pdu, true, segment);
  while (!running.over) co_await io::yield(io::Reactor::current());
}

TEST_F(ConnectionTest, DecodesSenseData) {
  Running running;
  play([&](ConnectionTest&) { return sense_data(*wire, running); });
  EXPECT_EQ(running.outcome.result.status, scsi::Status::kCheckCondition);
  ASSERT_TRUE(running.outcome.result.sense);
  EXPECT_EQ(running.outcome.result.sense->key, scsi::SenseKey::kMediumError);
}

// --- Time-outs ---

io::Task<void> abort_after_time(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  const auto command = wire.target->as<iscsi::ScsiCommand>();
  do {
    co_await expect_pdu(wire);
  } while (wire.target->opcode() == iscsi::Opcode::kNopOut);
  const auto abort = wire.target->as<iscsi::TaskManagementRequest>();
  EXPECT_EQ(abort.function, iscsi::TaskFunction::kAbortTask);
  EXPECT_EQ(abort.referenced_task_tag, command.initiator_task_tag);
  EXPECT_EQ(abort.ref_cmd_sn, command.cmd_sn);
  EXPECT_FALSE(running.over);  // its buffer is not its own again before the target has said so
  iscsi::TaskManagementResponse answer;
  answer.initiator_task_tag = abort.initiator_task_tag;
  co_await wire.target->send(answer, true);
  while (!running.over) co_await io::yield(io::Reactor::current());
  EXPECT_TRUE(wire.connection().open());
}

TEST_F(ConnectionTest, AbortsWhatHasNoAnswer) {
  std::vector<std::uint8_t> into(512);
  Running running{read_of(into), {}, false};
  running.request.timeout = 50ms;
  wire->options.nop_interval = 40ms;
  play([&](ConnectionTest&) { return abort_after_time(*wire, running); });
  EXPECT_EQ(running.outcome.ending, Ending::kTimedOut);
}

io::Task<void> say_nothing(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await wire.ended();
}

TEST_F(ConnectionTest, DropsATargetThatIsSilent) {
  Running running;
  wire->options.nop_interval = 20ms;
  wire->options.nop_timeout = 20ms;
  const auto began = io::Clock::now();
  play([&](ConnectionTest&) { return say_nothing(*wire, running); });
  EXPECT_EQ(running.outcome.ending, Ending::kLost);
  EXPECT_LT(io::Clock::now() - began, 5s);
}

// --- What no target may do: each ends the connection, with the command lost and nothing written beyond its buffer ---

struct Crime {
  const char* name;
  std::function<io::Task<void>(Wire&, std::uint32_t tag)> commit;
};

io::Task<void> commit_crime(Wire& wire, Running& running, const Crime& crime) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  const std::uint32_t tag = wire.target->as<iscsi::ScsiCommand>().initiator_task_tag;
  co_await crime.commit(wire, tag);
  co_await wire.ended();
  EXPECT_EQ(wire.connection().why().code, EPROTO) << crime.name << ": " << wire.connection().why().text();
}

template <typename P>
io::Task<void> send_it(Wire& wire, P pdu, bool counts, std::size_t data = 0) {
  std::vector<std::uint8_t> bytes(data, 0xee);
  co_await wire.target->send(pdu, counts, bytes);
}

io::Task<void> send_twice(Wire& wire, iscsi::DataIn pdu) {
  co_await send_it(wire, pdu, false, 100);
  pdu.data_sn = 1;
  co_await send_it(wire, pdu, false, 100);
}

io::Task<void> respond_with_wrong_number(Wire& wire, std::uint32_t tag) {
  wire.target->stat_sn = iscsi::StatSn(5);
  co_await wire.target->respond(tag);
}

iscsi::ScsiResponse response_of(std::uint32_t tag) {
  iscsi::ScsiResponse pdu;
  pdu.initiator_task_tag = tag;
  return pdu;
}

class HostileReadTest : public ConnectionTest, public ::testing::WithParamInterface<Crime> {};

TEST_P(HostileReadTest, EndsTheConnection) {
  std::vector<std::uint8_t> buffer(1000 + 64, 0x5a);
  Running running{read_of(ByteSpan(buffer).first(1000)), {}, false};
  play([&](ConnectionTest&) { return commit_crime(*wire, running, GetParam()); });
  EXPECT_TRUE(running.over);
  EXPECT_EQ(running.outcome.ending, Ending::kLost);
  EXPECT_TRUE(std::all_of(buffer.end() - 64, buffer.end(), [](std::uint8_t byte) { return byte == 0x5a; }));
}

const Crime kReadCrimes[] = {
    {"unknown_task", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag + 1, 0, 0), false, 100); }},
    {"stale_tag", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag - 0x10000, 0, 0), false, 100); }},
    {"too_long", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 0, 0), false, 1001); }},
    {"behind_the_end", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 0, 1000), false, 100); }},
    {"gap", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 0, 100), false, 100); }},
    {"overlap", [](Wire& w, std::uint32_t tag) { return send_twice(w, data_in(tag, 0, 0)); }},
    {"data_sn", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 1, 0), false, 100); }},
    {"segment_too_long", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 0, 0), false, 9000); }},
    {"r2t_for_a_read", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag, 0, 0, 100), false); }},
    {"stat_sn", [](Wire& w, std::uint32_t tag) { return respond_with_wrong_number(w, tag); }},
    {"residual",
     [](Wire& w, std::uint32_t tag) {
       auto pdu = response_of(tag);
       pdu.underflow = true;
       pdu.residual_count = 1001;
       return send_it(w, pdu, true);
     }},
    {"unknown_response", [](Wire& w, std::uint32_t tag) { return send_it(w, response_of(tag + 1), true); }},
    {"login_response", [](Wire& w, std::uint32_t) { return send_it(w, iscsi::LoginResponse(), true); }},
    {"unasked_ping_answer",
     [](Wire& w, std::uint32_t) {
       iscsi::NopIn pdu;
       pdu.initiator_task_tag = 0xfff0;
       return send_it(w, pdu, true);
     }},
    {"unasked_function_response",
     [](Wire& w, std::uint32_t) { return send_it(w, iscsi::TaskManagementResponse(), true); }},
    {"unasked_text", [](Wire& w, std::uint32_t) { return send_it(w, iscsi::TextResponse(), true); }},
    {"unasked_logout", [](Wire& w, std::uint32_t) { return send_it(w, iscsi::LogoutResponse(), true); }},
    {"short_reject", [](Wire& w, std::uint32_t) { return send_it(w, iscsi::Reject(), true, 20); }},
};
INSTANTIATE_TEST_SUITE_P(Crimes, HostileReadTest, ::testing::ValuesIn(kReadCrimes),
                         [](const auto& tested) { return std::string(tested.param.name); });

class HostileWriteTest : public ConnectionTest, public ::testing::WithParamInterface<Crime> {};

TEST_P(HostileWriteTest, EndsTheConnection) {
  wire->login.parameters.max_burst_length = 512;
  const auto data = pattern(1000);
  Running running{write_of(data), {}, false};
  play([&](ConnectionTest&) { return commit_crime(*wire, running, GetParam()); });
  EXPECT_TRUE(running.over);
  EXPECT_EQ(running.outcome.ending, Ending::kLost);
}

io::Task<void> two_r2ts(Wire& wire, std::uint32_t tag) {
  // Both in one segment, so that the first one's data cannot have been sent between them... and if it was: the second
  // one is of a wrong offset.
  co_await send_it(wire, r2t(tag, 0, 0, 100), false);
  co_await send_it(wire, r2t(tag, 1, 0, 100), false);
}

const Crime kWriteCrimes[] = {
    {"too_much", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag, 0, 0, 1001), false); }},
    {"max_burst", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag, 0, 0, 513), false); }},
    {"offset", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag, 0, 100, 100), false); }},
    {"r2t_sn", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag, 1, 0, 100), false); }},
    {"asked_twice", [](Wire& w, std::uint32_t tag) { return two_r2ts(w, tag); }},
    {"unknown_task", [](Wire& w, std::uint32_t tag) { return send_it(w, r2t(tag + 1, 0, 0, 100), false); }},
    {"data_for_a_write", [](Wire& w, std::uint32_t tag) { return send_it(w, data_in(tag, 0, 0), false, 100); }},
    {"good_without_the_data", [](Wire& w, std::uint32_t tag) { return send_it(w, response_of(tag), true); }},
};
INSTANTIATE_TEST_SUITE_P(Crimes, HostileWriteTest, ::testing::ValuesIn(kWriteCrimes),
                         [](const auto& tested) { return std::string(tested.param.name); });

// --- The end ---

io::Task<void> cut_in_the_middle(Wire& wire, Running& running) {
  io::spawn(run_command(wire.connection(), running));
  co_await expect_pdu(wire);
  EXPECT_FALSE(running.over);
}

TEST_F(ConnectionTest, CommandsInFlightAreLostWithTheWire) {
  std::vector<std::uint8_t> into(512);
  Running running{read_of(into), {}, false};
  play([&](ConnectionTest&) { return cut_in_the_middle(*wire, running); });
  EXPECT_TRUE(running.over);
  EXPECT_EQ(running.outcome.ending, Ending::kLost);
}

io::Task<void> ask_to_log_out(Wire& wire, Running& first, Running& second) {
  io::spawn(run_command(wire.connection(), first));
  co_await expect_pdu(wire);
  const std::uint32_t tag = wire.target->as<iscsi::ScsiCommand>().initiator_task_tag;
  iscsi::AsyncMessage message;
  message.event = iscsi::AsyncEvent::kLogoutRequested;
  message.parameter3 = 10;
  co_await wire.target->send(message, true);
  iscsi::NopIn ping;
  ping.target_transfer_tag = 5;
  co_await wire.target->send(ping, false);
  co_await expect_pdu(wire);
  EXPECT_EQ(wire.target->as<iscsi::NopOut>().target_transfer_tag, 5u);
  io::spawn(run_command(wire.connection(), second));  // too late to be sent
  co_await wire.target->respond(tag);
  co_await expect_pdu(wire);
  EXPECT_EQ(wire.target->opcode(), iscsi::Opcode::kLogoutRequest);
  iscsi::LogoutResponse answer;
  answer.initiator_task_tag = wire.target->as<iscsi::LogoutRequest>().initiator_task_tag;
  answer.time2wait = 3;
  co_await wire.target->send(answer, true);
  co_await wire.ended();
  EXPECT_EQ(wire.connection().time2wait(), 3u);
}

TEST_F(ConnectionTest, LogsOutWhenAskedAndLetsCommandsEndBefore) {
  Running first;
  Running second;
  wire->options.function_timeout = 100ms;  // so that time-outs are looked at often
  play([&](ConnectionTest&) { return ask_to_log_out(*wire, first, second); });
  EXPECT_EQ(first.outcome.ending, Ending::kAnswered);
  EXPECT_EQ(second.outcome.ending, Ending::kNeverSent);
}

}  // namespace
}  // namespace peerlane::initiator
