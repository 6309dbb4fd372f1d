// The login phase of a connection at the target (RFC 7143 §6.3, §11.12, §11.13): from the first Login Request to the
// full feature phase, or to a refusal that says why.
//
// `Login` is a pure state machine: PDUs go in, PDUs come out. It has no socket and no clock (limits::kLoginTimeout is
// the caller's), and what it must know of targets and sessions it asks a `LoginPolicy`. It belongs to one connection
// and is not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "iscsi/codes.h"
#include "iscsi/negotiation.h"
#include "iscsi/pdu_control.h"
#include "iscsi/random.h"
#include "iscsi/text.h"
#include "target/declaration.h"
#include "target/login_security.h"

namespace peerlane::target {

enum class SessionType : std::uint8_t { kNormal, kDiscovery };

/// Where a connection comes from and where it arrived.
struct LoginOrigin {
  std::string peer_address;            // numeric, with port
  std::string local_address;           // numeric, with port
  std::uint16_t portal_group_tag = 1;  // of the portal that accepted it
};

/// Why a login does not go on: the status the initiator gets, and a clause for the log, which says what to do ("no such
/// target is served here; see peerlane discover").
struct LoginRefusal {
  iscsi::LoginStatus status = iscsi::LoginStatus::kInitiatorError;
  std::string why;
  std::string target_address;  // TargetAddress, only with kMovedTemporarily and kMovedPermanently: "host:port" or
                               // "host:port,tag"
};

template <typename T>
using LoginResult = std::expected<T, LoginRefusal>;

/// Who wants to log in, and where. Names are normalised; `target` is empty in discovery sessions.
struct LoginQuery {
  SessionType session_type = SessionType::kNormal;
  std::string_view initiator;
  std::string_view target;
  const LoginOrigin& origin;
};

/// What a login must know of the target that it names, or of the discovery service.
struct LoginTerms {
  std::string alias;                                     // TargetAlias; empty: none
  std::shared_ptr<const Authentication> authentication;  // never null
};

/// How a login relates to the sessions that exist (the table in RFC 7143 §6.3.1).
enum class LoginKind : std::uint8_t {
  kNewSession,
  kReinstatement,  // takes the place of the session with the same initiator, ISID, target and portal group (§6.3.5)
  kContinuation,   // takes the place of the session's only connection (§7.2.3)
};

/// What a login came to.
struct LoginOutcome {
  LoginKind kind = LoginKind::kNewSession;
  SessionType session_type = SessionType::kNormal;
  std::string initiator;        // normalised
  std::string initiator_alias;  // as it was sent
  std::string target;           // normalised; empty in discovery sessions
  std::string user;             // CHAP account; empty: not authenticated
  iscsi::Isid isid{};
  std::uint16_t tsih = 0;  // open_session() assigns it
  std::uint16_t cid = 0;
  std::uint16_t portal_group_tag = 1;
  iscsi::Parameters
      parameters;           // kContinuation: only those of the connection were negotiated, the session keeps its own
  iscsi::CmdSn cmd_sn;      // of the first non-immediate command to come; also ExpCmdSN
  iscsi::CmdSn max_cmd_sn;  // what the final response says; open_session() may set both
  iscsi::StatSn stat_sn;    // of the next response after the final Login Response
};

/// A session that exists for an initiator, ISID, target and portal group.
struct ExistingSession {
  std::uint16_t tsih = 0;
  bool has_cid = false;  // whether the CID asked for is one of its connections
};

/// What Login asks the target. Called on the connection's reactor.
class LoginPolicy {
 public:
  virtual ~LoginPolicy() = default;

  /// Whether this initiator may log in there, and on which terms. Called once, before authentication: with the first
  /// text. Refusals: kNotFound, kTargetRemoved, kAuthorizationFailure, kMovedTemporarily, kMovedPermanently,
  /// kServiceUnavailable...
  virtual LoginResult<LoginTerms> find_target(const LoginQuery& query) = 0;

  /// The session that this login would belong to. `outcome` has everything but kind, tsih and parameters.
  virtual std::optional<ExistingSession> find_session(const LoginOutcome& outcome) = 0;

  /// Called once, after authentication and before the final Login Response: opens the session or takes the connection
  /// into it, and ends what outcome.kind says is replaced. Sets outcome.tsih, not 0; with kContinuation also the
  /// session's own parameters and command numbers. Refusals: kOutOfResources, kServiceUnavailable...
  virtual LoginResult<void> open_session(LoginOutcome& outcome) = 0;
};

class Login {
 public:
  /// `policy` and `random` outlive it.
  Login(LoginPolicy& policy, iscsi::RandomSource& random, LoginOrigin origin, const iscsi::Preferences& preferences);

  enum class Next {
    kReceive,      // the next PDU
    kFullFeature,  // outcome() holds
    kClose,        // failure() says why
  };

  struct Reply {
    Next next = Next::kClose;
    bool send = false;  // `header` and `data`, before anything else; only a PDU before any login gets no answer
    iscsi::LoginResponse header;  // with DataSegmentLength
    ByteView data;                // without padding; valid until the next handle()
  };

  /// Takes one PDU: BHS and data segment without padding, as they were received. Digests are not in use during login.
  /// Not called again after kFullFeature or kClose. The data segment of a Login Request may be kMaxSegmentBytes long;
  /// of one that is longer the caller need not receive more than that and one byte.
  Reply handle(iscsi::BhsView bhs, ByteView data);

  /// RFC 7143 §13.12: nobody has declared more before the login.
  static constexpr std::size_t kMaxSegmentBytes = iscsi::kDefaultMaxRecvDataSegmentLength;

  /// What the login came to, after kFullFeature.
  const LoginOutcome& outcome() const { return outcome_; }
  /// For Text Requests that negotiate in the full feature phase, after kFullFeature.
  iscsi::Negotiator take_negotiator() { return std::move(negotiator_); }

  /// After kClose: the status, and a whole sentence for the log that names initiator, target and address, and says what
  /// to do.
  struct Failure {
    iscsi::LoginStatus status = iscsi::LoginStatus::kSuccess;
    std::string why;
  };
  const Failure& failure() const { return failure_; }

 private:
  LoginResult<Reply> accept(const iscsi::BasicHeader& header, ByteView data);
  LoginResult<void> check_first(const iscsi::LoginRequest& request);
  LoginResult<void> check_same(const iscsi::LoginRequest& request);
  LoginResult<void> take_text();
  LoginResult<void> take_keys(std::span<const iscsi::KeyValue> pairs);
  LoginResult<void> identify(std::span<const iscsi::KeyValue> pairs);
  LoginResult<void> find_terms();
  LoginResult<void> check_unchanged(std::span<const iscsi::KeyValue> pairs);
  LoginResult<Reply> respond(const iscsi::LoginRequest& request);
  LoginResult<bool> may_leave_stage() const;
  LoginResult<void> enter_full_feature();
  LoginResult<void> classify();
  Reply refuse(const iscsi::BasicHeader& header, const LoginRefusal& refusal, bool send);
  iscsi::LoginResponse response_to(const iscsi::LoginRequest& request);

  LoginPolicy& policy_;
  iscsi::RandomSource& random_;
  LoginOrigin origin_;

  std::optional<iscsi::LoginRequest> first_;  // the first request: what all others must agree with
  unsigned pdus_ = 0;
  std::size_t text_bytes_ = 0;  // of all requests
  iscsi::Stage stage_ = iscsi::Stage::kSecurityNegotiation;
  bool identified_ = false;
  std::optional<LoginSecurity> security_;
  iscsi::Negotiator negotiator_;
  iscsi::TextAssembler received_;
  iscsi::TextWriter answers_;
  iscsi::StatSn stat_sn_;

  LoginOutcome outcome_;
  Failure failure_;
};

}  // namespace peerlane::target
