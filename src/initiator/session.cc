#include "initiator/session.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "iscsi/random.h"
#include "scsi/sense_codes.h"

namespace peerlane::initiator {
namespace {

/// An ISID of the random kind (RFC 7143 §11.12.5): T is 10b, then 24 random bits, then a qualifier.
Result<iscsi::Isid> random_isid() {
  iscsi::Isid isid{};
  iscsi::SystemRandom random;
  if (auto filled = random.fill(isid); !filled) return std::unexpected(std::move(filled.error()));
  isid[0] = 0x80;
  return isid;
}

bool is_zero(const iscsi::Isid& isid) {
  return std::ranges::all_of(isid, [](std::uint8_t byte) { return byte == 0; });
}

Result<void> check(const SessionOptions& options) {
  if (options.login.initiator_name.empty()) return fail(EINVAL, "the initiator has no name");
  if (options.connection.depth == 0 || options.connection.depth > limits::kMostInitiatorQueueDepth) {
    return fail(EINVAL, fmt::format("the queue depth is to be 1 to {}", limits::kMostInitiatorQueueDepth));
  }
  const iscsi::Preferences& wanted = options.login.offers.preferences;
  if (wanted.max_outstanding_r2t == 0 || wanted.max_outstanding_r2t > limits::kMaxOutstandingR2T) {
    return fail(EINVAL, fmt::format("MaxOutstandingR2T is to be 1 to {}", limits::kMaxOutstandingR2T));
  }
  if (wanted.max_connections != 1 || wanted.error_recovery_level != 0 || !wanted.data_pdu_in_order ||
      !wanted.data_sequence_in_order) {
    return fail(EINVAL, "one connection, error recovery level 0 and data in order are all that there is");
  }
  return {};
}

/// Whether a command was refused only for now: the unit gets ready, or changes its access state.
bool is_passing(const scsi::Sense& sense) {
  constexpr scsi::SenseCode kBecomingReady = scsi::sense_codes::code(0x04, 0x01);
  return sense.key == scsi::SenseKey::kNotReady &&
         (sense.code == kBecomingReady || sense.code == scsi::sense_codes::kAccessStateTransition);
}

}  // namespace

std::string_view name(Session::State state) {
  switch (state) {
    case Session::State::kConnecting:
      return "connecting";
    case Session::State::kRestoring:
      return "restoring";
    case Session::State::kLoggedIn:
      return "logged in";
    case Session::State::kWaiting:
      return "waiting to connect again";
    case Session::State::kFailed:
      return "failed";
    case Session::State::kClosing:
      return "closing";
    case Session::State::kClosed:
      return "closed";
  }
  return "";
}

/// What has been tried of one command.
struct Session::Tries {
  io::TimePoint began;
  std::optional<io::TimePoint> busy_since = {};
  io::Duration busy_delay = limits::kBusyLeast;
  unsigned timeouts = 0;
  unsigned aborted = 0;
  unsigned attentions = 0;
};

// --- The life of a session ---

Session::Session(io::Reactor& reactor, SessionOptions options)
    : reactor_(reactor),
      options_(std::move(options)),
      permits_(reactor, options_.connection.depth),
      replacement_(reactor, [this] { expire(); }) {
  const iscsi::Isid& isid = options_.login.isid;
  name_ = fmt::format("{} (ISID {:02x}{:02x}{:02x}{:02x}{:02x}{:02x}) at {}", options_.login.initiator_name, isid[0],
                      isid[1], isid[2], isid[3], isid[4], isid[5], options_.login.target_name);
}

Session::~Session() {
  assert(connection_ == nullptr && users_.empty());
}

io::Task<Result<std::unique_ptr<Session>>> Session::open(io::Reactor& reactor, SessionOptions options) {
  if (auto checked = check(options); !checked) co_return std::unexpected(std::move(checked.error()));
  if (is_zero(options.login.isid)) {
    const auto isid = random_isid();
    if (!isid) co_return std::unexpected(isid.error());
    options.login.isid = *isid;
  }
  std::unique_ptr<Session> session(new Session(reactor, std::move(options)));
  auto link = co_await open_link(reactor, session->options_.link, session->options_.login);
  if (!link) {
    session->state_ = State::kClosed;
    co_return std::unexpected(std::move(link.error()));
  }
  session->link_ = std::move(*link);
  io::spawn(session->run());
  co_return session;
}

void Session::set_state(State state, std::string_view why) {
  if (state == state_) return;
  state_ = state;
  const bool trouble = state == State::kWaiting || state == State::kFailed;
  const log::Level level = trouble ? log::Level::kWarning : log::Level::kDebug;
  if (log::enabled(level)) {
    log::write(level, fmt::format("{}: {}{}{}", name_, initiator::name(state), why.empty() ? "" : ": ", why));
  }
  changed_.wake_all();
}

/// Serves one connection after the other until the session is closed.
io::Task<void> Session::run() {
  const io::Gate::Pass pass(background_);
  while (!closing_.is_set()) {
    if (link_.stream != nullptr) {
      co_await serve(link_);
      continue;
    }
    const io::Duration delay = next_delay();
    co_await pause(delay);
    if (closing_.is_set()) break;
    if (state_ == State::kWaiting) set_state(State::kConnecting);
    auto link = co_await open_link(reactor_, options_.link, options_.login, &connecting_);
    if (link) {
      link_ = std::move(*link);
      ++reconnects_;
    } else {
      last_error_ = std::move(link.error());
      log::debug("{}: {}", name_, last_error_.text());
      if (state_ == State::kConnecting) state_ = State::kWaiting;
    }
  }
  if (link_.stream != nullptr) co_await link_.stream->close();
  link_ = {};
}

/// Serves one connection until its end.
io::Task<void> Session::serve(Link& link) {
  login_ = link.login;
  ConnectionOptions connection_options = options_.connection;
  ++connection_options.depth;  // for execute_now()
  connection_.reset(new Connection(*this, reactor_, *link.stream, *link.reader, login_, connection_options));
  io::spawn(restore(*connection_));
  co_await connection_->serve();
  const Error why = connection_->why();
  const std::chrono::seconds asked(connection_->time2wait().value_or(0));
  least_wait_ = std::min<io::Duration>(asked, options_.reconnect_most);
  co_await link.stream->close();
  connection_.reset();
  link = {};
  if (!closing_.is_set()) lost(why);
}

void Session::lost(const Error& why) {
  last_error_ = why;
  attempts_ = 0;
  if (state_ == State::kLoggedIn || !replacement_.armed()) replacement_.arm_after(options_.replacement_timeout);
  if (state_ != State::kFailed) set_state(State::kWaiting, why.text());
}

/// The replacement time-out has passed.
void Session::expire() {
  if (state_ == State::kLoggedIn || closing_.is_set()) return;
  set_state(State::kFailed, last_error_.text());
}

/// Has the users look whether all is as it was; then commands may go on.
io::Task<void> Session::restore(Connection& connection) {
  const io::Gate::Pass pass(background_);
  if (reconnects_ != 0) {
    if (state_ != State::kFailed) set_state(State::kRestoring);
    const std::vector<SessionUser*> users = users_;
    for (SessionUser* const user : users) {
      auto restored = co_await user->restore();
      if (closing_.is_set() || connection_.get() != &connection || !connection.open()) co_return;
      if (!restored) log::error("{}: {}", name_, restored.error().text());
    }
  }
  attempts_ = 0;
  replacement_.disarm();
  set_state(State::kLoggedIn);
}

/// Longer after each attempt, and not for all initiators of a target at the same time.
io::Duration Session::next_delay() {
  io::Duration delay = options_.reconnect_least;
  for (unsigned i = 0; i < attempts_ && delay < options_.reconnect_most; ++i) delay *= 2;
  ++attempts_;
  delay = std::clamp(delay, std::exchange(least_wait_, io::Duration::zero()), options_.reconnect_most);
  std::array<std::uint8_t, 1> jitter{};
  iscsi::SystemRandom random;
  if (!random.fill(jitter)) jitter[0] = 0;
  return delay + delay * jitter[0] / (4 * std::numeric_limits<std::uint8_t>::max());
}

/// Waits for `delay`, or until the session is to be closed.
io::Task<void> Session::pause(io::Duration delay) {
  bool over = false;
  io::Timer timer(reactor_, [this, &over] {
    over = true;
    pauses_.wake_all();
  });
  timer.arm_after(delay);
  while (!over && !closing_.is_set()) co_await pauses_;
}

io::Task<void> Session::close() {
  closing_.set();
  set_state(State::kClosing);
  pauses_.wake_all();
  connecting_.raise();
  co_await commands_.drained();
  replacement_.disarm();
  if (connection_ != nullptr) co_await connection_->logout();
  co_await background_.drained();
  co_await io::yield(reactor_);  // the last of them has left its frame then, too
  set_state(State::kClosed);
}

void Session::attach(SessionUser& user) {
  users_.push_back(&user);
}

void Session::detach(SessionUser& user) {
  std::erase(users_, &user);
}

void Session::scsi_event(iscsi::LunField lun, const scsi::Sense& sense) {
  for (SessionUser* const user : users_) user->scsi_event(lun, sense);
}

// --- Commands ---

Error Session::no_connection() const {
  if (closing_.is_set()) return {ECANCELED, "the session is being closed"};
  return {last_error_.code,
          fmt::format("there is no connection to {}: {}", options_.login.target_name, last_error_.text())};
}

io::Task<Result<void>> Session::wait_for_login() {
  if (waiting_ >= limits::kInitiatorWaiting) co_return fail(ENOBUFS, "too many commands wait for the connection");
  ++waiting_;
  while (state_ != State::kLoggedIn && state_ != State::kFailed && !closing_.is_set()) co_await changed_;
  --waiting_;
  if (state_ != State::kLoggedIn) co_return std::unexpected(no_connection());
  co_return Result<void>();
}

io::Task<Result<ScsiResult>> Session::execute(const Request& request) {
  if (std::max(request.data_in.size(), request.data_out.size()) > std::numeric_limits<std::uint32_t>::max()) {
    co_return fail(EMSGSIZE, "a command moves at most 4 GiB");
  }
  const io::Gate::Pass pass(commands_);
  Tries tries{.began = reactor_.now()};
  for (;;) {
    if (state_ != State::kLoggedIn) {
      auto waited = co_await wait_for_login();
      if (!waited) co_return std::unexpected(std::move(waited.error()));
    }
    co_await permits_.take();
    if (state_ != State::kLoggedIn) {
      permits_.give();
      continue;
    }
    if (request.guard != nullptr && !request.guard->usable()) [[unlikely]] {
      permits_.give();
      auto made = co_await request.guard->make_usable();
      if (!made) co_return std::unexpected(std::move(made.error()));
      continue;
    }
    const Outcome outcome = co_await connection_->execute(request);
    permits_.give();
    if (outcome.ending == Ending::kAnswered && outcome.result.status == scsi::Status::kGood) [[likely]] {
      co_return outcome.result;
    }
    const bool again = co_await try_again(request, outcome, tries);
    if (again) continue;
    switch (outcome.ending) {
      case Ending::kAnswered:
        co_return outcome.result;
      case Ending::kTimedOut:
        co_return fail(ETIMEDOUT, "the target does not answer a command in time");
      case Ending::kRefused:
        co_return fail(EPROTO, "the target rejects a command");
      case Ending::kNeverSent:
      case Ending::kLost:
        co_return fail(ECONNABORTED, fmt::format("the connection was lost ({}); whether the command was carried out is "
                                                 "not known",
                                                 last_error_.text()));
    }
  }
}

/// Whether a command that did not simply succeed is to be sent again; waits first where that is called for.
io::Task<bool> Session::try_again(const Request& request, const Outcome& outcome, Tries& tries) {
  switch (outcome.ending) {
    case Ending::kNeverSent:
      // The connection is ending. Its end changes the state before anything else is sent.
      if (state_ == State::kLoggedIn) co_await changed_;
      co_return true;
    case Ending::kLost:
      if (!request.repeatable || reactor_.now() - tries.began > options_.replacement_timeout) co_return false;
      if (state_ == State::kLoggedIn) co_await changed_;
      co_return true;
    case Ending::kTimedOut:
      co_return request.repeatable && ++tries.timeouts <= limits::kTimeoutRetries;
    case Ending::kRefused:
      co_return false;
    case Ending::kAnswered:
      break;
  }
  const ScsiResult& result = outcome.result;
  if (request.raw) co_return false;
  const bool unit_attention = result.status == scsi::Status::kCheckCondition && result.sense &&
                              result.sense->key == scsi::SenseKey::kUnitAttention;
  if (unit_attention) {
    if (request.observer != nullptr) request.observer->unit_attention(*result.sense);
    co_return ++tries.attentions <= limits::kAttentionRetries;
  }
  const bool aborted =
      result.status == scsi::Status::kTaskAborted || (result.status == scsi::Status::kCheckCondition && result.sense &&
                                                      result.sense->key == scsi::SenseKey::kAbortedCommand);
  if (aborted && (!request.repeatable || ++tries.aborted > limits::kAbortedRetries)) co_return false;
  const bool passing = result.status == scsi::Status::kBusy || result.status == scsi::Status::kTaskSetFull ||
                       (result.status == scsi::Status::kCheckCondition && result.sense && is_passing(*result.sense));
  if (!aborted && !passing) co_return false;
  if (!tries.busy_since) tries.busy_since = reactor_.now();
  if (reactor_.now() - *tries.busy_since >= options_.busy_timeout) co_return false;
  co_await pause(tries.busy_delay);
  tries.busy_delay = std::min<io::Duration>(tries.busy_delay * 2, limits::kBusyMost);
  co_return true;
}

io::Task<Result<ScsiResult>> Session::execute_now(const Request& request) {
  if (connection_ == nullptr) co_return std::unexpected(no_connection());
  const Outcome outcome = co_await connection_->execute(request);
  if (outcome.ending != Ending::kAnswered) co_return fail(ECONNABORTED, "the connection was lost");
  co_return outcome.result;
}

io::Task<Result<void>> Session::manage(iscsi::TaskFunction function, iscsi::LunField lun, UnitGuard& guard) {
  const io::Gate::Pass pass(commands_);
  for (;;) {
    auto waited = co_await wait_for_login();
    if (!waited) co_return waited;
    if (guard.usable()) break;
    auto made = co_await guard.make_usable();
    if (!made) co_return made;
  }
  const iscsi::CmdSn none;
  auto answer = co_await connection_->manage(function, lun, iscsi::kReservedTag, none);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  switch (*answer) {
    case iscsi::TaskFunctionResponse::kFunctionComplete:
    case iscsi::TaskFunctionResponse::kFunctionSucceeded:
      co_return Result<void>();
    case iscsi::TaskFunctionResponse::kLunDoesNotExist:
      co_return fail(ENODEV, "there is no such logical unit");
    case iscsi::TaskFunctionResponse::kFunctionNotSupported:
      co_return fail(ENOTSUP, fmt::format("the target has no {}", iscsi::name(function)));
    case iscsi::TaskFunctionResponse::kAuthorizationFailed:
      co_return fail(EACCES, fmt::format("the target does not allow {}", iscsi::name(function)));
    default:
      co_return fail(EIO, fmt::format("the target does not carry out {}", iscsi::name(function)));
  }
}

}  // namespace peerlane::initiator
