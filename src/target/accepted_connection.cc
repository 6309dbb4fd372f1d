#include "target/accepted_connection.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"

namespace peerlane::target {
namespace {

SessionKey key_of(const LoginOutcome& outcome) {
  return {outcome.initiator, outcome.isid, outcome.target, outcome.portal_group_tag};
}

/// What a session leaves to the connection that continues it.
struct Legacy {
  iscsi::Parameters parameters;
  iscsi::CmdSn exp_cmd_sn;
  std::unique_ptr<Nexus> nexus;  // null where the backend has not let go of the last task yet
};

io::Task<void> end_replaced(std::shared_ptr<Session> session) {
  std::string why = "its initiator logged in anew";
  co_await session->terminate(std::move(why));
}

io::Task<void> take_legacy(std::shared_ptr<Session> session, Legacy& legacy) {
  std::string why = "another connection takes over the session";
  co_await session->terminate(std::move(why));
  legacy.parameters = session->parameters();
  legacy.exp_cmd_sn = session->window().exp_cmd_sn();
  if (session->idle()) legacy.nexus = session->give_up_nexus();
}

}  // namespace

AcceptedConnection::AcceptedConnection(Service& service, io::Executor& executor, io::BufferPool& buffers,
                                       io::Stream& stream, std::uint16_t portal_group)
    : service_(service),
      executor_(executor),
      buffers_(buffers),
      stream_(stream),
      reader_(stream),
      login_(*this, service.random(), {stream.peer_address(), stream.local_address(), portal_group}, {}),
      login_timer_(executor, [this] {
        timed_out_ = true;
        stream_.shutdown();
      }) {}

AcceptedConnection::~AcceptedConnection() {
  if (place_) service_.sessions().close(place_->ticket);
}

void AcceptedConnection::stop() {
  stopping_ = true;
  if (!connection_) {
    stream_.shutdown();
  } else if (session_->discovery()) {
    connection_->close("the service stops");
  } else {
    connection_->request_logout();
  }
}

io::Task<void> AcceptedConnection::run() {
  const unsigned pending = service_.logins_pending().fetch_add(1);
  bool logged_in = false;
  if (pending < limits::kLoginsPending) {
    login_timer_.arm_after(limits::kLoginTimeout);
    logged_in = co_await log_in();
    login_timer_.disarm();
  } else {
    log::warning("connection from {} refused: {} logins are in progress already", stream_.peer_address(), pending);
  }
  service_.logins_pending().fetch_sub(1);
  if (logged_in) co_await serve();
  stream_.shutdown();
}

// --- Login ---

/// Receives the data segment as far as the login wants to know it.
io::Task<Result<void>> AcceptedConnection::read_data(std::vector<std::uint8_t>& data) {
  const bool too_long = reader_.data_left() > Login::kMaxSegmentBytes;
  data.resize(too_long ? Login::kMaxSegmentBytes + 1 : reader_.data_left());
  auto got = co_await reader_.read(data);
  if (!got || too_long) co_return got;
  auto finished = co_await reader_.finish();
  if (!finished) co_return std::unexpected(finished.error());
  co_return Result<void>();
}

io::Task<Result<void>> AcceptedConnection::reply(const Login::Reply& reply) {
  std::array<std::uint8_t, iscsi::kBhsBytes> header;
  reply.header.encode(header);
  static constexpr std::array<std::uint8_t, 3> kPadding{};
  const std::array<iovec, 3> vectors{
      iovec{header.data(), header.size()}, iovec{const_cast<std::uint8_t*>(reply.data.data()), reply.data.size()},
      iovec{const_cast<std::uint8_t*>(kPadding.data()), iscsi::padded(reply.data.size()) - reply.data.size()}};
  auto sent = co_await stream_.send(vectors);
  co_return sent;
}

/// True: the connection is in full feature phase, its session open.
io::Task<bool> AcceptedConnection::log_in() {
  std::vector<std::uint8_t> data;
  for (;;) {
    auto read = co_await reader_.next();
    if (read) read = co_await read_data(data);
    if (!read) {
      if (timed_out_) log::warning("login from {} not finished in time; closed", stream_.peer_address());
      co_return false;
    }
    Login::Reply next = login_.handle(reader_.bhs(), data);
    if (next.next == Login::Next::kClose) log::warning("{}", login_.failure().why);
    if (next.next == Login::Next::kFullFeature) {
      const bool opened = co_await open_session(next.header);
      if (!opened) co_return false;
    }
    if (next.send) {
      auto sent = co_await reply(next);
      if (!sent) co_return false;
    }
    if (next.next != Login::Next::kReceive) co_return next.next == Login::Next::kFullFeature;
  }
}

LoginResult<LoginTerms> AcceptedConnection::find_target(const LoginQuery& query) {
  return service_.find_target(query);
}

std::optional<ExistingSession> AcceptedConnection::find_session(const LoginOutcome& outcome) {
  const auto found = service_.sessions().find(key_of(outcome));
  if (!found) return std::nullopt;
  return ExistingSession{found->tsih, found->cid == outcome.cid};
}

LoginResult<void> AcceptedConnection::open_session(LoginOutcome& outcome) {
  place_ = service_.sessions().open(key_of(outcome), outcome.cid, outcome.kind == LoginKind::kContinuation);
  if (!place_) {
    return std::unexpected(LoginRefusal{
        iscsi::LoginStatus::kOutOfResources, fmt::format("there are {} sessions already", limits::kSessions), {}});
  }
  outcome.tsih = place_->tsih;
  return {};
}

/// The login has succeeded: ends the session that this one replaces, and opens it. False: another login was faster.
io::Task<bool> AcceptedConnection::open_session(iscsi::LoginResponse& response) {
  const LoginOutcome& outcome = login_.outcome();
  TargetNode* const node = service_.find_node(outcome.target);
  Legacy legacy{outcome.parameters, outcome.cmd_sn, nullptr};
  const std::shared_ptr<Session> replaced = std::move(place_->replaced);
  if (replaced && outcome.kind == LoginKind::kContinuation) {
    std::function<io::Task<void>()> work = [replaced, &legacy] { return take_legacy(replaced, legacy); };
    co_await io::run_on(executor_, replaced->executor(), std::move(work));
    // What belongs to the connection was negotiated anew; the rest is the session's.
    const iscsi::Parameters& fresh = outcome.parameters;
    legacy.parameters.header_digest = fresh.header_digest;
    legacy.parameters.data_digest = fresh.data_digest;
    legacy.parameters.our_max_recv_data_segment_length = fresh.our_max_recv_data_segment_length;
    legacy.parameters.peer_max_recv_data_segment_length = fresh.peer_max_recv_data_segment_length;
  } else if (replaced) {
    std::function<io::Task<void>()> work = [replaced] { return end_replaced(replaced); };
    co_await io::run_on(executor_, replaced->executor(), std::move(work));
  }
  if (stopping_) co_return false;
  SessionIdentity identity{outcome.initiator, outcome.initiator_alias,  outcome.isid,
                           outcome.tsih,      outcome.portal_group_tag, node};
  if (node != nullptr && !legacy.nexus) {
    legacy.nexus = node->device.attach(identity.nexus());
  }
  session_ =
      std::make_shared<Session>(executor_, buffers_, std::move(identity), legacy.exp_cmd_sn, std::move(legacy.nexus));
  session_->parameters() = legacy.parameters;
  response.exp_cmd_sn = session_->window().exp_cmd_sn();
  response.max_cmd_sn = session_->window().max_cmd_sn();
  co_return service_.sessions().attach(place_->ticket, session_);
}

// --- Full feature phase ---

io::Task<void> AcceptedConnection::serve() {
  const LoginOutcome& outcome = login_.outcome();
  connection_ = std::make_unique<Connection>(service_, executor_, stream_, reader_, session_, login_.take_negotiator(),
                                             outcome.cid, outcome.stat_sn);
  log::info("session {} began, from {}{}{}", session_->identity().text(), stream_.peer_address(),
            outcome.user.empty() ? "" : ", as ", outcome.user);
  if (stopping_) stop();
  co_await connection_->serve();
  service_.sessions().close(place_->ticket);
  connection_.reset();
  session_.reset();
}

}  // namespace peerlane::target
