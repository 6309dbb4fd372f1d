// A connection from accept to close: login within its time limit, the session it opens or takes over, full feature
// phase.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "io/buffer_pool.h"
#include "io/executor.h"
#include "io/stream.h"
#include "target/connection.h"
#include "target/login.h"
#include "target/service.h"
#include "transport/pdu_reader.h"

namespace peerlane::target {

class AcceptedConnection final : private LoginPolicy {
 public:
  /// All belong to one reactor, and outlive this.
  AcceptedConnection(Service& service, io::Executor& executor, io::BufferPool& buffers, io::Stream& stream,
                     std::uint16_t portal_group);
  ~AcceptedConnection() override;

  /// Serves it to its end. The stream is shut down then, but not closed.
  io::Task<void> run();

  /// Ends it in an orderly way: an initiator that is logged in is asked to log out, anyone else is cut off.
  void stop();

 private:
  io::Task<bool> log_in();
  io::Task<Result<void>> read_data(std::vector<std::uint8_t>& data);
  io::Task<Result<void>> reply(const Login::Reply& reply);
  io::Task<bool> open_session(iscsi::LoginResponse& response);
  io::Task<void> serve();

  // LoginPolicy
  LoginResult<LoginTerms> find_target(const LoginQuery& query) override;
  std::optional<ExistingSession> find_session(const LoginOutcome& outcome) override;
  LoginResult<void> open_session(LoginOutcome& outcome) override;

  Service& service_;
  io::Executor& executor_;
  io::BufferPool& buffers_;
  io::Stream& stream_;
  transport::PduReader reader_;
  Login login_;
  io::Timer login_timer_;
  bool timed_out_ = false;
  bool stopping_ = false;
  std::optional<SessionRegistry::Place> place_;
  std::shared_ptr<Session> session_;
  std::unique_ptr<Connection> connection_;  // in full feature phase
};

}  // namespace peerlane::target
