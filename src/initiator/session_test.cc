#include "initiator/session.h"

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "initiator/lun.h"
#include "initiator/testing/stand_in_target.h"
#include "io/testing.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;
using scsi::OperationCode;
using scsi::Status;
using testing::StandInTarget;
using Answer = StandInTarget::Answer;

constexpr std::size_t kBlock = 512;

/// 0: no error.
template <typename T>
int code_of(const Result<T>& result) {
  return result ? 0 : result.error().code;
}

bool is(const iscsi::ScsiCommand& command, OperationCode operation) {
  return command.cdb[0] == static_cast<std::uint8_t>(operation);
}

/// A session, a disk over it, and what they are connected to.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : reactor(std::move(*io::Reactor::create())), target(*reactor), options(target.options()) {}

  using Script = io::Task<void> (*)(SessionTest&);
  void play(Script script) { io::testing::run(*reactor, open_play_close(script)); }

 public:
  std::unique_ptr<io::Reactor> reactor;
  StandInTarget target;
  SessionOptions options;  // before play()
  std::unique_ptr<Lun> disk;
  std::array<std::uint8_t, kBlock> buffer{};

  Session& session() { return disk->session(); }
  io::Task<Result<void>> read() { return disk->read(0, buffer); }

  /// A command without data.
  Request request(bool repeatable) const {
    Request request;
    request.cdb[0] = static_cast<std::uint8_t>(OperationCode::kTestUnitReady);
    request.repeatable = repeatable;
    return request;
  }

  template <typename Condition>
  io::Task<void> until(Condition holds) {
    const bool held = co_await io::testing::until(holds);
    EXPECT_TRUE(held);
  }

 private:
  io::Task<void> open_play_close(Script script) {
    auto opening = Session::open(*reactor, options);
    auto session = co_await std::move(opening);
    EXPECT_TRUE(session) << session.error().text();
    std::shared_ptr<Session> shared = std::move(*session);
    auto asking = Lun::open(shared, 0, LunOptions());
    auto lun = co_await std::move(asking);
    EXPECT_TRUE(lun) << lun.error().text();
    disk = std::move(*lun);
    shared.reset();
    co_await script(*this);
    if (disk != nullptr) co_await disk->close();
    co_await target.close();
    disk.reset();
  }
};

// --- Answers that are not the last word ---

/// Counts the tries of a command, and when they came.
struct Tries {
  std::vector<io::TimePoint> at;
  io::Duration between(std::size_t i) const { return at[i + 1] - at[i]; }
};
Tries tries;

class BusyTest : public SessionTest, public ::testing::WithParamInterface<Status> {};

io::Task<void> busy_for_ever(SessionTest& test) {
  const auto began = io::Clock::now();
  const auto read = co_await test.read();
  EXPECT_FALSE(read);
  EXPECT_EQ(code_of(read), EBUSY);
  EXPECT_GE(io::Clock::now() - began, 300ms);
  EXPECT_LT(io::Clock::now() - began, 5s);
}

TEST_P(BusyTest, CommandsAreTriedLessAndLessOftenAndNotForEver) {
  options.busy_timeout = 300ms;
  tries = {};
  target.on_command = [status = GetParam()](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kRead16)) return std::nullopt;
    tries.at.push_back(io::Clock::now());
    return Answer{.status = status};
  };
  play(busy_for_ever);
  ASSERT_GE(tries.at.size(), 4u);
  EXPECT_LE(tries.at.size(), 12u) << "5, 10, 20 ... ms between them";
  EXPECT_GE(tries.between(tries.at.size() - 2), 4 * tries.between(0)) << "the waits grow";
}

io::Task<void> busy_for_a_while(SessionTest& test) {
  const auto read = co_await test.read();
  EXPECT_TRUE(read) << read.error().text();
  EXPECT_EQ(test.target.count(OperationCode::kRead16), 4u);
}

TEST_P(BusyTest, ACommandSucceedsWhenTheUnitIsNoLongerBusy) {
  target.on_command = [this](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    const bool busy = is(command, OperationCode::kRead16) && target.count(OperationCode::kRead16) <= 3;
    return busy ? std::optional(Answer{.status = GetParam()}) : std::nullopt;
  };
  play(busy_for_a_while);
}

io::Task<void> raw_and_busy(SessionTest& test) {
  Request request = test.request(true);
  request.raw = true;
  const auto result = co_await test.disk->execute(request);
  EXPECT_TRUE(result && !result->good());
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1u);
}

TEST_P(BusyTest, WhoWantsTheStatusItselfGetsIt) {
  target.on_command = [status = GetParam()](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kTestUnitReady)) return std::nullopt;
    return Answer{.status = status};
  };
  play(raw_and_busy);
}

INSTANTIATE_TEST_SUITE_P(Statuses, BusyTest, ::testing::Values(Status::kBusy, Status::kTaskSetFull),
                         [](const auto& values) { return values.param == Status::kBusy ? "Busy" : "TaskSetFull"; });

io::Task<void> grow(SessionTest& test) {
  EXPECT_EQ(test.disk->geometry().size, 2048 * kBlock);
  test.target.blocks = 4096;
  const auto read = co_await test.read();
  EXPECT_TRUE(read) << read.error().text();
  EXPECT_EQ(test.target.count(OperationCode::kRead16), 2u);
  co_await test.until([&test] { return test.disk->refresh_size().value_or(false); });
  EXPECT_EQ(test.disk->geometry().size, 4096 * kBlock);
}

TEST_F(SessionTest, ANewCapacityIsTakenOver) {
  target.on_command = [this](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kRead16) || target.count(OperationCode::kRead16) != 1) return std::nullopt;
    return StandInTarget::check_condition(scsi::SenseKey::kUnitAttention, scsi::sense_codes::kCapacityChanged);
  };
  play(grow);
}

io::Task<void> read_in_vain(SessionTest& test) {
  const auto read = co_await test.read();
  EXPECT_FALSE(read);
  EXPECT_EQ(test.target.count(OperationCode::kRead16), limits::kAttentionRetries + 1);
}

TEST_F(SessionTest, UnitAttentionsWithoutEndAreAnError) {
  target.on_command = [](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kRead16)) return std::nullopt;
    return StandInTarget::check_condition(scsi::SenseKey::kUnitAttention, scsi::sense_codes::kPowerOnOrReset);
  };
  play(read_in_vain);
}

io::Task<void> abort_both(SessionTest& test) {
  const Request once = test.request(false);
  const auto answered = co_await test.session().execute(once);
  EXPECT_TRUE(answered && answered->status == Status::kTaskAborted);
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1u);
  const Request often = test.request(true);
  const auto tried = co_await test.session().execute(often);
  EXPECT_TRUE(tried && tried->status == Status::kTaskAborted);
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1 + 1 + limits::kAbortedRetries);
}

TEST_F(SessionTest, WhatOthersAbortIsSentAgainIfItMayBe) {
  target.on_command = [](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kTestUnitReady)) return std::nullopt;
    return Answer{.status = Status::kTaskAborted};
  };
  play(abort_both);
}

io::Task<void> time_out_both(SessionTest& test) {
  Request once = test.request(false);
  once.timeout = 30ms;
  const auto first = co_await test.session().execute(once);
  EXPECT_EQ(code_of(first), ETIMEDOUT);
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1u);
  Request often = test.request(true);
  often.timeout = 30ms;
  const auto second = co_await test.session().execute(often);
  EXPECT_EQ(code_of(second), ETIMEDOUT);
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1 + 1 + limits::kTimeoutRetries);
  EXPECT_EQ(test.target.aborts(), 1 + 1 + limits::kTimeoutRetries);
  EXPECT_EQ(test.session().reconnects(), 0u) << "a target that aborts what it does not answer keeps its connection";
}

TEST_F(SessionTest, WhatHasNoAnswerIsAbortedAndSentAgainOnceIfItMayBe) {
  options.connection.nop_interval = 20ms;
  options.connection.nop_timeout = 5s;
  target.on_command = [](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kTestUnitReady)) return std::nullopt;
    return Answer{.kind = Answer::Kind::kSilence};
  };
  play(time_out_both);
}

// --- Lost connections ---

std::optional<Answer> cut_first(const StandInTarget& target, const iscsi::ScsiCommand& command) {
  const bool first = is(command, OperationCode::kTestUnitReady) && target.count(OperationCode::kTestUnitReady) == 1;
  return first ? std::optional(Answer{.kind = Answer::Kind::kCut}) : std::nullopt;
}

io::Task<void> lose_a_command(SessionTest& test) {
  const Request request = test.request(false);
  const auto result = co_await test.session().execute(request);
  EXPECT_EQ(code_of(result), ECONNABORTED);
  const auto read = co_await test.read();
  EXPECT_TRUE(read) << read.error().text();
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1u);
  EXPECT_EQ(test.session().reconnects(), 1u);
}

TEST_F(SessionTest, WhatMayNotBeSentAgainIsNot) {
  target.on_command = [this](const iscsi::ScsiCommand& command) { return cut_first(target, command); };
  play(lose_a_command);
}

io::Task<void> repeat_a_command(SessionTest& test) {
  const Request request = test.request(true);
  const auto result = co_await test.session().execute(request);
  EXPECT_TRUE(result && result->good());
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 2u);
  EXPECT_EQ(test.target.logins().size(), 2u);
  EXPECT_EQ(test.target.logins().front(), test.target.logins().back()) << "the same I_T nexus, reinstated";
}

TEST_F(SessionTest, WhatMayBeSentAgainIs) {
  target.on_command = [this](const iscsi::ScsiCommand& command) { return cut_first(target, command); };
  play(repeat_a_command);
}

struct Background {
  Request request;
  Result<ScsiResult> result = fail(EINPROGRESS);
  bool over = false;
};
io::Task<void> run_in_background(Session& session, Background& one) {
  one.result = co_await session.execute(one.request);
  one.over = true;
}

io::Task<void> close_window_and_cut(SessionTest& test) {
  Background sent{.request = test.request(false)};
  Background unsent{.request = test.request(false)};
  io::spawn(run_in_background(test.session(), sent));
  io::spawn(run_in_background(test.session(), unsent));
  co_await test.until([&test] { return test.target.count(OperationCode::kTestUnitReady) == 1; });
  co_await io::sleep(*test.reactor, 20ms);
  EXPECT_EQ(test.target.count(OperationCode::kTestUnitReady), 1u) << "the window is closed";
  test.target.cut();
  co_await test.until([&] { return sent.over && unsent.over; });
  EXPECT_EQ(code_of(sent.result), ECONNABORTED);
  EXPECT_TRUE(unsent.result && unsent.result->good());
}

TEST_F(SessionTest, WhatWasNeverSentIsSentAnyway) {
  target.first_window = 1;
  target.on_command = [this](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kTestUnitReady)) return std::nullopt;
    if (target.count(OperationCode::kTestUnitReady) != 1) return std::nullopt;
    return Answer{.kind = Answer::Kind::kSilence};
  };
  play(close_window_and_cut);
}

io::Task<void> change_the_disk(SessionTest& test) {
  test.target.serial = "second";
  test.target.cut();
  const auto read = co_await test.read();
  EXPECT_EQ(code_of(read), ESTALE);
  const auto written = co_await test.disk->write(0, test.buffer, block::WriteFlags::kNone);
  EXPECT_EQ(code_of(written), ESTALE);
  EXPECT_EQ(test.target.count(OperationCode::kRead16) + test.target.count(OperationCode::kWrite16), 0u);
  // It comes back when the disk does.
  test.target.serial = "first";
  test.target.cut();
  co_await test.until([&test] { return test.session().reconnects() == 2; });
  const auto back = co_await test.read();
  EXPECT_TRUE(back) << back.error().text();
}

TEST_F(SessionTest, AnotherDiskAtTheLunIsNotUsed) {
  play(change_the_disk);
}

io::Task<void> write_in_background(SessionTest& test, Result<void>& result, bool& over) {
  result = co_await test.disk->write(0, test.buffer, block::WriteFlags::kNone);
  over = true;
}

io::Task<void> change_the_disk_under_way(SessionTest& test) {
  Result<void> result;
  bool over = false;
  io::spawn(write_in_background(test, result, over));
  co_await test.until([&test] { return test.target.count(OperationCode::kWrite16) == 1; });
  test.target.serial = "second";
  test.target.cut();
  co_await test.until([&over] { return over; });
  EXPECT_EQ(code_of(result), ESTALE);
  EXPECT_EQ(test.target.count(OperationCode::kWrite16), 1u) << "what the first disk was to get, the second one got";
}

TEST_F(SessionTest, WhatIsSentAgainGoesToTheSameDisk) {
  target.on_command = [](const iscsi::ScsiCommand& command) -> std::optional<Answer> {
    if (!is(command, OperationCode::kWrite16)) return std::nullopt;
    return Answer{.kind = Answer::Kind::kSilence};
  };
  play(change_the_disk_under_way);
}

io::Task<void> lose_patience(SessionTest& test) {
  test.target.refusing = true;
  const auto lost = io::Clock::now();
  test.target.cut();
  co_await test.until([&test] { return test.session().state() != Session::State::kLoggedIn; });
  const auto waited = co_await test.read();
  EXPECT_FALSE(waited);
  EXPECT_GE(io::Clock::now() - lost, 200ms);
  EXPECT_EQ(test.session().state(), Session::State::kFailed);
  Background refused{.request = test.request(true)};
  io::spawn(run_in_background(test.session(), refused));
  EXPECT_TRUE(refused.over) << "who has failed does not make everybody wait again";
  test.target.refusing = false;
  co_await test.until([&test] { return test.session().state() == Session::State::kLoggedIn; });
  const auto back = co_await test.read();
  EXPECT_TRUE(back) << back.error().text();
}

TEST_F(SessionTest, ErrorsComeAfterTheReplacementTimeoutAndEndWhenTheTargetIsBack) {
  options.replacement_timeout = 200ms;
  play(lose_patience);
}

io::Task<void> close_amid_a_login(SessionTest& test) {
  test.target.silent = true;
  test.target.cut();
  co_await test.until([&test] { return test.session().state() == Session::State::kConnecting; });
  Background waiting{.request = test.request(true)};
  io::spawn(run_in_background(test.session(), waiting));
  const auto began = io::Clock::now();
  const auto closed = co_await test.disk->close();
  EXPECT_TRUE(closed);
  EXPECT_LT(io::Clock::now() - began, limits::kLoginTimeout / 2) << "not as long as a silent target may take to log in";
  EXPECT_TRUE(waiting.over);
  EXPECT_EQ(code_of(waiting.result), ECANCELED);
  test.disk.reset();
}

TEST_F(SessionTest, ClosingDoesNotWaitForASilentTarget) {
  play(close_amid_a_login);
}

}  // namespace
}  // namespace peerlane::initiator
