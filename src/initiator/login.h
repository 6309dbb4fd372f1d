// The login of an initiator (RFC 7143 §6): who we are, CHAP if the target wants it, and the negotiation of how the
// session works. A state machine without sockets and clock: requests come out, responses go in, and at the end there
// are a session's parameters, an address to go to instead, or one sentence that says why not.
//
// Text of any length is taken, in as many responses as it comes in (C bit), within limits::kLoginTextBytes and
// limits::kLoginPdus. Whatever the target sends, the login ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "iscsi/chap.h"
#include "iscsi/offer.h"
#include "iscsi/pdu_control.h"
#include "iscsi/random.h"
#include "iscsi/send_targets.h"
#include "iscsi/sequence.h"

namespace peerlane::initiator {

/// A CHAP account.
struct Account {
  std::string name;
  std::string secret;
};

/// What one login is to come to.
struct LoginTerms {
  std::string initiator_name;
  std::string initiator_alias;  // may be empty
  std::string target_name;      // empty: a discovery session
  iscsi::Isid isid{};
  std::uint16_t cid = 0;
  std::optional<Account> account;                    // what we prove ourselves with, if the target asks
  std::optional<Account> target_account;             // what the target must prove itself with; needs `account`
  std::optional<iscsi::ChapAlgorithm> chap_without;  // an algorithm that is not offered
  iscsi::OfferTerms offers;

  bool discovery() const { return target_name.empty(); }
};

/// A session that was opened.
struct LoginOutcome {
  iscsi::Parameters parameters;
  std::uint16_t tsih = 0;
  std::optional<std::uint16_t> group;  // TargetPortalGroupTag
  std::string target_alias;
  iscsi::CmdSn cmd_sn;  // of the first command
  iscsi::CmdSn max_cmd_sn;
  iscsi::StatSn exp_stat_sn;  // of the next response
};

/// Why there is none.
struct LoginRefusal {
  Error error;
  iscsi::LoginStatus status = iscsi::LoginStatus::kSuccess;  // kSuccess: it was not the target that refused
  std::optional<iscsi::ChapAlgorithm> chap;                  // what was agreed on before, if anything
  std::optional<iscsi::TargetAddress> moved;                 // where to log in instead: kMovedTemporarily, -Permanently
};

class Login {
 public:
  /// `terms` and `random` outlive the login.
  Login(iscsi::RandomSource& random, const LoginTerms& terms);

  enum class Step : std::uint8_t {
    kSend,    // request() and data() are to be sent, and then a response is to be read
    kDone,    // outcome() is there
    kFailed,  // refusal() says why
  };

  /// Makes the first request.
  Step start();

  /// Takes a response: its BHS and its whole data segment.
  Step take(iscsi::BhsView bhs, ByteView data);

  /// What is to be sent, after kSend; valid until the next call of take().
  const iscsi::LoginRequest& request() const { return request_; }
  ByteView data() const { return data_; }

  const LoginOutcome& outcome() const { return outcome_; }
  const LoginRefusal& refusal() const { return refusal_; }

 private:
  Step send_next();
  Step fail_with(int code, std::string why, iscsi::LoginStatus status = iscsi::LoginStatus::kSuccess);
  Step refused(const iscsi::LoginResponse& response, ByteView data);
  const char* wrong_in(const iscsi::LoginResponse& response) const;
  Result<void> take_text(const iscsi::LoginResponse& response);
  Result<void> take_names(std::span<const iscsi::KeyValue> pairs);
  Result<void> take_security(std::span<const iscsi::KeyValue> pairs);
  Step advance(const iscsi::LoginResponse& response);
  void write_first_text();
  void enter_operational();

  const LoginTerms& terms_;
  iscsi::ChapAccountView own_{};
  std::optional<iscsi::ChapAccountView> target_;
  iscsi::ChapInitiator chap_;
  iscsi::Offerer offerer_;

  iscsi::Stage stage_ = iscsi::Stage::kSecurityNegotiation;
  enum class Auth : std::uint8_t { kOffered, kNone, kChap } auth_ = Auth::kOffered;
  enum class Chap : std::uint8_t { kIdle, kOffered, kAnswered } chap_step_ = Chap::kIdle;
  bool asked_ = false;  // the request that was sent last had T set
  unsigned requests_ = 0;
  iscsi::TextWriter out_;
  iscsi::TextAssembler in_;
  iscsi::LoginRequest request_;
  ByteView data_;
  iscsi::StatSn exp_stat_sn_;
  bool first_response_ = true;

  LoginOutcome outcome_;
  LoginRefusal refusal_;
};

/// A sentence on why a target refused, for people: what the status means, and what to do about it.
std::string explain(iscsi::LoginStatus status, const LoginTerms& terms);

}  // namespace peerlane::initiator
