#include "initiator/login.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "iscsi/keys.h"

namespace peerlane::initiator {
namespace {

using iscsi::Key;
using iscsi::KeyValue;
using iscsi::LoginStatus;
using iscsi::spec_of;
using iscsi::Stage;

// All login requests are immediate, so that the first command has the number that they have.
constexpr iscsi::CmdSn kFirstCmdSn{1};
// A login has one task tag; it names nothing beyond it (RFC 7143 §11.12.6).
constexpr std::uint32_t kLoginTag = 1;

std::string_view name_of(Key key) {
  return spec_of(key).name;
}

iscsi::ChapAccountView view_of(const std::optional<Account>& account) {
  return account ? iscsi::ChapAccountView{account->name, account->secret} : iscsi::ChapAccountView{};
}

std::optional<iscsi::ChapAccountView> optional_view_of(const std::optional<Account>& account) {
  if (!account) return std::nullopt;
  return view_of(account);
}

/// The errno that a refusal is best told by.
int code_of(LoginStatus status) {
  switch (status) {
    case LoginStatus::kAuthenticationFailure:
    case LoginStatus::kAuthorizationFailure:
      return EACCES;
    case LoginStatus::kNotFound:
    case LoginStatus::kTargetRemoved:
      return ENOENT;
    case LoginStatus::kServiceUnavailable:
    case LoginStatus::kOutOfResources:
    case LoginStatus::kTooManyConnections:
      return EAGAIN;
    default:
      return EPROTO;
  }
}

std::string_view advice(LoginStatus status, bool has_account) {
  switch (status) {
    case LoginStatus::kAuthenticationFailure:
      return has_account ? "; check CHAP user and secret" : "; it wants CHAP: give a user and a secret";
    case LoginStatus::kAuthorizationFailure:
      return "; the target's access list does not have this initiator's name or address";
    case LoginStatus::kNotFound:
      return "; no such target is there: check its name";
    case LoginStatus::kTargetRemoved:
      return "; the target was there and is no more";
    case LoginStatus::kServiceUnavailable:
    case LoginStatus::kOutOfResources:
    case LoginStatus::kTooManyConnections:
      return "; try again later";
    default:
      return "";
  }
}

}  // namespace

std::string explain(LoginStatus status, const LoginTerms& terms) {
  return fmt::format("the target refuses the login: {} ({:04x}h){}", iscsi::name(status), static_cast<unsigned>(status),
                     advice(status, terms.account.has_value()));
}

Login::Login(iscsi::RandomSource& random, const LoginTerms& terms)
    : terms_(terms),
      own_(view_of(terms.account)),
      target_(optional_view_of(terms.target_account)),
      chap_(random, own_, target_),
      offerer_(terms.offers, terms.discovery()) {}

Login::Step Login::fail_with(int code, std::string why, LoginStatus status) {
  refusal_.error = {code, std::move(why)};
  refusal_.status = status;
  refusal_.chap = chap_.algorithm();
  return Step::kFailed;
}

void Login::write_first_text() {
  out_.add(name_of(Key::kInitiatorName), terms_.initiator_name);
  if (!terms_.initiator_alias.empty()) out_.add(name_of(Key::kInitiatorAlias), terms_.initiator_alias);
  out_.add(name_of(Key::kSessionType), terms_.discovery() ? "Discovery" : "Normal");
  if (!terms_.discovery()) out_.add(name_of(Key::kTargetName), terms_.target_name);
  // Who wants a proof of the target takes no session without one.
  const std::string_view methods = terms_.target_account ? "CHAP" : terms_.account ? "CHAP,None" : "None";
  out_.add(name_of(Key::kAuthMethod), methods);
}

Login::Step Login::start() {
  if (terms_.target_account && !terms_.account) {
    return fail_with(EINVAL, "the target cannot be asked to prove itself without a CHAP account of our own");
  }
  write_first_text();
  return send_next();
}

/// The next request: the text that is left, or none. It asks for the next stage when all is said for this one.
Login::Step Login::send_next() {
  if (++requests_ > limits::kLoginPdus) return fail_with(EPROTO, "the login takes too many steps");
  data_ = out_.empty() ? ByteView{} : out_.next_segment(iscsi::kDefaultMaxRecvDataSegmentLength);
  const bool complete = out_.empty();
  const bool security = stage_ == Stage::kSecurityNegotiation;
  const bool ready = !security || auth_ != Auth::kChap || chap_step_ == Chap::kAnswered;
  asked_ = complete && ready;
  request_ = {};
  request_.transit = asked_;
  request_.continues = !complete;
  request_.current_stage = stage_;
  if (asked_) request_.next_stage = security ? Stage::kOperationalNegotiation : Stage::kFullFeature;
  request_.isid = terms_.isid;
  request_.initiator_task_tag = kLoginTag;
  request_.cid = terms_.cid;
  request_.cmd_sn = kFirstCmdSn;
  request_.exp_stat_sn = exp_stat_sn_;
  request_.data_segment_length = static_cast<std::uint32_t>(data_.size());
  return Step::kSend;
}

/// What in a response no target may send; null: nothing.
const char* Login::wrong_in(const iscsi::LoginResponse& response) const {
  if (response.initiator_task_tag != kLoginTag) return "a response with another task tag";
  if (response.isid != terms_.isid) return "a response with another ISID";
  if (response.version_active != iscsi::kProtocolVersion) return "a protocol version that was not offered";
  if (response.current_stage != stage_) return "a response for another stage of the login";
  if (!first_response_ && response.stat_sn != exp_stat_sn_) return "a response out of sequence";
  if (response.transit && !asked_) return "a step to the next stage that was not asked for";
  if (response.transit && response.next_stage != request_.next_stage) return "a step to a stage that was not asked for";
  if (response.continues && !out_.empty()) return "text before ours was complete";
  return nullptr;
}

Login::Step Login::refused(const iscsi::LoginResponse& response, ByteView data) {
  const auto status = response.status;
  const auto moved = status == LoginStatus::kMovedTemporarily || status == LoginStatus::kMovedPermanently;
  if (!moved) return fail_with(code_of(status), explain(status, terms_), status);
  const auto pairs = iscsi::parse_text(data);
  const auto found = pairs ? std::ranges::find(*pairs, name_of(Key::kTargetAddress), &KeyValue::key)
                           : std::vector<KeyValue>::const_iterator{};
  auto address = pairs && found != pairs->end() ? iscsi::parse_target_address(found->value) : std::nullopt;
  if (!address) return fail_with(EPROTO, "the target has moved, and does not say where to", status);
  const Step step = fail_with(EREMCHG, fmt::format("the target has moved to {}", iscsi::to_string(*address)), status);
  refusal_.moved = std::move(address);
  return step;
}

Login::Step Login::take(iscsi::BhsView bhs, ByteView data) {
  const iscsi::BasicHeader header(bhs);
  if (header.opcode() != iscsi::Opcode::kLoginResponse) {
    return fail_with(EPROTO, fmt::format("the target answers the login with a {}", iscsi::name(header.opcode())));
  }
  const auto response = iscsi::LoginResponse::decode(bhs);
  if (!response) return fail_with(EPROTO, fmt::format("in a Login Response {}", response.error().field));
  if (response->status != LoginStatus::kSuccess) return refused(*response, data);
  if (const char* const wrong = wrong_in(*response)) {
    return fail_with(EPROTO, fmt::format("the target answers the login with {}", wrong));
  }
  exp_stat_sn_ = response->stat_sn + 1;
  first_response_ = false;

  const auto whole = in_.add(data, response->continues);
  if (!whole) return fail_with(EPROTO, "the target's text in the login is too long");
  if (!*whole) return send_next();
  if (auto taken = take_text(*response); !taken) {
    return fail_with(taken.error().code, taken.error().text());
  }
  in_.clear();
  return advance(*response);
}

Result<void> Login::take_text(const iscsi::LoginResponse& response) {
  auto pairs = iscsi::parse_text(in_.text());
  if (!pairs) return std::unexpected(std::move(pairs.error()));
  if (const auto twice = iscsi::duplicate_key(*pairs); !twice.empty()) {
    return fail(EPROTO, fmt::format("the target sends {} twice in one text", iscsi::printable(twice)));
  }
  if (auto names = take_names(*pairs); !names) return names;
  if (response.current_stage == Stage::kSecurityNegotiation) {
    if (auto security = take_security(*pairs); !security) return security;
  }
  return offerer_.accept(*pairs, out_);
}

Result<void> Login::take_names(std::span<const KeyValue> pairs) {
  for (const KeyValue& pair : pairs) {
    if (pair.key == name_of(Key::kTargetPortalGroupTag)) {
      const auto tag = iscsi::parse_number(pair.value);
      if (!tag || *tag > spec_of(Key::kTargetPortalGroupTag).high) return fail(EPROTO, "its portal group tag is wrong");
      outcome_.group = static_cast<std::uint16_t>(*tag);
    } else if (pair.key == name_of(Key::kTargetAlias)) {
      outcome_.target_alias = iscsi::printable(pair.value);
    }
  }
  return {};
}

Result<void> Login::take_security(std::span<const KeyValue> pairs) {
  const auto method = std::ranges::find(pairs, name_of(Key::kAuthMethod), &KeyValue::key);
  if (method != pairs.end()) {
    if (auth_ != Auth::kOffered) return fail(EPROTO, "the target chooses an authentication method twice");
    if (method->value == "None" && !terms_.target_account) {
      auth_ = Auth::kNone;
    } else if (method->value == "CHAP" && terms_.account) {
      auth_ = Auth::kChap;
    } else if (method->value == iscsi::kAnswerReject) {
      return fail(EACCES, terms_.account ? "the target does not want CHAP"
                                         : "the target wants to be logged in to with CHAP: give a user and a secret");
    } else {
      return fail(EPROTO, "the target chooses an authentication method that was not offered");
    }
  }
  if (auth_ != Auth::kChap || chap_.done()) return {};
  if (chap_step_ == Chap::kIdle) {
    chap_step_ = Chap::kOffered;
    chap_.start(out_, terms_.chap_without);
    return {};
  }
  chap_step_ = Chap::kAnswered;
  return chap_.handle(pairs, out_);
}

void Login::enter_operational() {
  stage_ = Stage::kOperationalNegotiation;
  offerer_.offer(out_);
}

Login::Step Login::advance(const iscsi::LoginResponse& response) {
  if (!response.transit) return send_next();
  if (stage_ == Stage::kSecurityNegotiation) {
    const bool proved = auth_ == Auth::kChap ? chap_.done() : !terms_.target_account;
    if (!proved) return fail_with(EACCES, "the target ends the security stage without the proof that was asked of it");
    enter_operational();
    return send_next();
  }
  auto parameters = offerer_.conclude();
  if (!parameters) return fail_with(parameters.error().code, parameters.error().text());
  if (response.tsih == 0) return fail_with(EPROTO, "the target opens a session without a handle (TSIH)");
  outcome_.parameters = *parameters;
  outcome_.tsih = response.tsih;
  outcome_.cmd_sn = kFirstCmdSn;
  outcome_.max_cmd_sn = response.max_cmd_sn;
  outcome_.exp_stat_sn = exp_stat_sn_;
  return Step::kDone;
}

}  // namespace peerlane::initiator
