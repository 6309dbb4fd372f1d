#include "target/login.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "iscsi/keys.h"
#include "iscsi/name.h"

namespace peerlane::target {
namespace {

using iscsi::Key;
using iscsi::KeyValue;
using iscsi::LoginStatus;
using iscsi::Stage;

std::unexpected<LoginRefusal> refusal(LoginStatus status, std::string why) {
  return std::unexpected(LoginRefusal{status, std::move(why), {}});
}
std::unexpected<LoginRefusal> wrong(std::string why) {
  return refusal(LoginStatus::kInitiatorError, std::move(why));
}

std::optional<std::string_view> value_of(std::span<const KeyValue> pairs, Key key) {
  const auto found = std::ranges::find(pairs, iscsi::spec_of(key).name, &KeyValue::key);
  if (found == pairs.end()) return std::nullopt;
  return found->value;
}

bool is_security_key(const KeyValue& pair) {
  const iscsi::KeySpec* const spec = iscsi::find_key(pair.key);
  return spec != nullptr && spec->use == iscsi::Use::kSecurity;
}

std::optional<SessionType> parse_session_type(std::string_view text) {
  if (text == "Normal") return SessionType::kNormal;
  if (text == "Discovery") return SessionType::kDiscovery;
  return std::nullopt;
}

bool is_negotiation_stage(Stage stage) {
  return stage == Stage::kSecurityNegotiation || stage == Stage::kOperationalNegotiation;
}

// RFC 7143 §11.12.3: what T asks for leads forward, to a stage that exists.
bool leads_forward(const iscsi::LoginRequest& request) {
  return request.next_stage > request.current_stage &&
         (request.next_stage == Stage::kOperationalNegotiation || request.next_stage == Stage::kFullFeature);
}

LoginResult<void> check_stages(const iscsi::LoginRequest& request) {
  if (!is_negotiation_stage(request.current_stage)) return wrong("CSG names no stage of a login");
  if (request.transit && request.continues) return wrong("T and C are both set");
  if (request.transit && !leads_forward(request)) return wrong("NSG does not lead forward");
  return {};
}

}  // namespace

Login::Login(LoginPolicy& policy, iscsi::RandomSource& random, LoginOrigin origin,
             const iscsi::Preferences& preferences)
    : policy_(policy), random_(random), origin_(std::move(origin)), negotiator_(preferences) {}

Login::Reply Login::handle(iscsi::BhsView bhs, ByteView data) {
  const iscsi::BasicHeader header(bhs);
  if (header.opcode() != iscsi::Opcode::kLoginRequest) {
    // RFC 7143 §6.3: before a login has begun the connection just ends, afterwards the login is rejected.
    const auto why = fmt::format("it sent a PDU of type {} during login", iscsi::name(header.opcode()));
    return refuse(header, {LoginStatus::kInvalidDuringLogin, why, {}}, first_.has_value());
  }
  auto accepted = accept(header, data);
  const Reply reply = accepted ? *accepted : refuse(header, accepted.error(), true);
  ++stat_sn_;
  return reply;
}

LoginResult<Login::Reply> Login::accept(const iscsi::BasicHeader& header, ByteView data) {
  const auto decoded = iscsi::LoginRequest::decode(header.bytes());
  if (!decoded) return wrong(decoded.error().field);
  const iscsi::LoginRequest& request = *decoded;

  if (auto done = first_ ? check_same(request) : check_first(request); !done) return std::unexpected(done.error());
  if (auto done = check_stages(request); !done) return std::unexpected(done.error());
  if (request.current_stage != stage_) return wrong("CSG is not the stage that the login is in");
  if (header.total_ahs_length() != 0) return wrong("a Login Request with an AHS");
  if (++pdus_ > limits::kLoginPdus) return wrong(fmt::format("more than {} Login Requests", limits::kLoginPdus));
  text_bytes_ += data.size();
  if (data.size() > kMaxSegmentBytes || text_bytes_ > limits::kLoginTextBytes) {
    return wrong(fmt::format("more than {} bytes of text in one Login Request, or {} in all", kMaxSegmentBytes,
                             limits::kLoginTextBytes));
  }

  // The answer to a whole text may take several responses, which empty requests ask for (RFC 7143 §6.2).
  if (!answers_.empty()) {
    if (!data.empty()) return wrong("it sent text before it had all of the answer");
    return respond(request);
  }
  const auto whole = received_.add(data, request.continues);
  if (!whole) return wrong(whole.error().message);
  if (!*whole) return Reply{Next::kReceive, true, response_to(request), {}};
  if (auto done = take_text(); !done) return std::unexpected(done.error());
  return respond(request);
}

LoginResult<void> Login::check_first(const iscsi::LoginRequest& request) {
  if (request.version_min > iscsi::kProtocolVersion) {
    return refusal(LoginStatus::kUnsupportedVersion,
                   fmt::format("it speaks versions {} to {} of iSCSI, and here is version {}", request.version_min,
                               request.version_max, iscsi::kProtocolVersion));
  }
  first_ = request;
  stage_ = request.current_stage;
  stat_sn_ = request.exp_stat_sn;
  negotiator_.set_leading(request.tsih == 0);
  outcome_.isid = request.isid;
  outcome_.cid = request.cid;
  outcome_.portal_group_tag = origin_.portal_group_tag;
  outcome_.cmd_sn = request.cmd_sn;
  outcome_.max_cmd_sn = request.cmd_sn + (limits::kCommandWindow - 1);
  return {};
}

LoginResult<void> Login::check_same(const iscsi::LoginRequest& request) {
  const bool same = request.isid == first_->isid && request.tsih == first_->tsih && request.cid == first_->cid &&
                    request.version_min == first_->version_min;
  if (!same) return wrong("ISID, TSIH, CID or version changed during the login");
  return {};
}

LoginResult<void> Login::take_text() {
  const auto pairs = iscsi::parse_text(received_.text());
  if (!pairs) return wrong(pairs.error().message);
  if (const std::string_view twice = iscsi::duplicate_key(*pairs); !twice.empty()) {
    return wrong(fmt::format("{} occurs twice in one text", twice));
  }
  auto done = take_keys(*pairs);
  received_.clear();
  return done;
}

LoginResult<void> Login::take_keys(std::span<const KeyValue> pairs) {
  if (auto done = identified_ ? check_unchanged(pairs) : identify(pairs); !done) return done;

  std::vector<KeyValue> security;
  std::vector<KeyValue> others;
  for (const KeyValue& pair : pairs) {
    const bool takes = stage_ == Stage::kSecurityNegotiation && is_security_key(pair);
    (takes ? security : others).push_back(pair);
  }
  if (auto done = security_->handle(security, answers_); !done) {
    const bool protocol = done.error().code == EPROTO;
    return refusal(protocol ? LoginStatus::kInitiatorError : LoginStatus::kAuthenticationFailure, done.error().message);
  }
  if (auto done = negotiator_.answer(stage_, others, answers_); !done) return wrong(done.error().message);
  if (stage_ == Stage::kOperationalNegotiation) negotiator_.declare(answers_);
  return {};
}

LoginResult<void> Login::identify(std::span<const KeyValue> pairs) {
  const auto initiator = value_of(pairs, Key::kInitiatorName);
  if (!initiator)
    return refusal(LoginStatus::kMissingParameter, "it did not say its InitiatorName in its first request");
  auto initiator_name = iscsi::normalise_name(*initiator);
  if (!initiator_name) return wrong(fmt::format("its InitiatorName is no name: {}", initiator_name.error().message));
  outcome_.initiator = std::move(*initiator_name);

  const auto alias = value_of(pairs, Key::kInitiatorAlias);
  if (alias) outcome_.initiator_alias = alias->substr(0, iscsi::kMaxSimpleValueBytes);

  const auto type = value_of(pairs, Key::kSessionType);
  const auto session_type = type ? parse_session_type(*type) : SessionType::kNormal;
  if (!session_type) {
    return refusal(LoginStatus::kSessionTypeNotSupported,
                   fmt::format("SessionType is \"{}\", neither Normal nor Discovery", iscsi::printable(*type)));
  }
  outcome_.session_type = *session_type;

  if (*session_type == SessionType::kNormal) {
    const auto target = value_of(pairs, Key::kTargetName);
    if (!target) return refusal(LoginStatus::kMissingParameter, "it named no target; a discovery session needs none");
    auto target_name = iscsi::normalise_name(*target);
    if (!target_name) {
      return refusal(LoginStatus::kNotFound, fmt::format("its TargetName is no name: {}", target_name.error().message));
    }
    outcome_.target = std::move(*target_name);
  }
  return find_terms();
}

LoginResult<void> Login::find_terms() {
  const bool discovery = outcome_.session_type == SessionType::kDiscovery;
  auto terms = policy_.find_target({outcome_.session_type, outcome_.initiator, outcome_.target, origin_});
  if (!terms) return std::unexpected(std::move(terms.error()));
  identified_ = true;
  security_.emplace(random_, std::move(terms->authentication));
  negotiator_.set_discovery(discovery);
  if (!discovery) {
    // RFC 7143 §13.9: with the first response to the text that names the target.
    answers_.add(iscsi::spec_of(Key::kTargetPortalGroupTag).name, std::uint64_t{origin_.portal_group_tag});
    if (!terms->alias.empty()) answers_.add(iscsi::spec_of(Key::kTargetAlias).name, terms->alias);
  }
  if (stage_ == Stage::kSecurityNegotiation) return {};
  if (auto skip = security_->may_skip(); !skip) {
    return refusal(LoginStatus::kAuthenticationFailure, skip.error().message);
  }
  return {};
}

// Initiators say again who they are when they enter the next stage; libiscsi did in some versions.
LoginResult<void> Login::check_unchanged(std::span<const KeyValue> pairs) {
  const auto same_name = [&](Key key, const std::string& before) {
    const auto value = value_of(pairs, key);
    return !value || iscsi::normalise_name(*value).value_or(std::string{}) == before;
  };
  const auto type = value_of(pairs, Key::kSessionType);
  const bool same_type = !type || parse_session_type(*type) == outcome_.session_type;
  const bool discovery = outcome_.session_type == SessionType::kDiscovery;
  if (same_type && same_name(Key::kInitiatorName, outcome_.initiator) &&
      (discovery || same_name(Key::kTargetName, outcome_.target))) {
    return {};
  }
  return wrong("InitiatorName, TargetName or SessionType changed during the login");
}

LoginResult<Login::Reply> Login::respond(const iscsi::LoginRequest& request) {
  Reply reply{Next::kReceive, true, response_to(request), {}};
  const std::size_t most =
      std::min<std::size_t>(kMaxSegmentBytes, negotiator_.parameters().peer_max_recv_data_segment_length);
  reply.data = answers_.next_segment(most);
  reply.header.data_segment_length = static_cast<std::uint32_t>(reply.data.size());
  reply.header.continues = !answers_.empty();
  if (reply.header.continues || !request.transit) return reply;

  const auto leave = may_leave_stage();
  if (!leave) return std::unexpected(leave.error());
  if (!*leave) return reply;
  reply.header.transit = true;
  reply.header.next_stage = request.next_stage;
  stage_ = request.next_stage;
  if (stage_ != Stage::kFullFeature) return reply;

  if (auto done = enter_full_feature(); !done) return std::unexpected(done.error());
  reply.next = Next::kFullFeature;
  reply.header.tsih = outcome_.tsih;
  reply.header.exp_cmd_sn = outcome_.cmd_sn;  // open_session() may have set them
  reply.header.max_cmd_sn = outcome_.max_cmd_sn;
  return reply;
}

// Whether T is granted: not while authentication is under way.
LoginResult<bool> Login::may_leave_stage() const {
  if (stage_ != Stage::kSecurityNegotiation || security_->satisfied()) return true;
  if (security_->in_progress()) return false;
  if (auto skip = security_->may_skip(); !skip) {
    return refusal(LoginStatus::kAuthenticationFailure, skip.error().message);
  }
  return true;
}

LoginResult<void> Login::enter_full_feature() {
  outcome_.user = security_->user();
  outcome_.parameters = negotiator_.parameters();
  outcome_.stat_sn = stat_sn_ + 1;
  if (auto done = classify(); !done) return done;
  if (auto done = policy_.open_session(outcome_); !done) return done;
  assert(outcome_.tsih != 0);
  return {};
}

// The table in RFC 7143 §6.3.1.
LoginResult<void> Login::classify() {
  const std::uint16_t tsih = first_->tsih;
  const auto existing = policy_.find_session(outcome_);
  if (tsih == 0) {
    outcome_.kind = existing ? LoginKind::kReinstatement : LoginKind::kNewSession;
    return {};
  }
  if (!existing || existing->tsih != tsih) {
    return refusal(LoginStatus::kSessionDoesNotExist,
                   fmt::format("it wants to go on with session {}, which has ended; let it log in anew", tsih));
  }
  if (!existing->has_cid) {
    return refusal(LoginStatus::kTooManyConnections,
                   fmt::format("it wants to add connection {} to session {}, and a session has one connection here",
                               first_->cid, tsih));
  }
  outcome_.kind = LoginKind::kContinuation;
  outcome_.tsih = tsih;
  return {};
}

iscsi::LoginResponse Login::response_to(const iscsi::LoginRequest& request) {
  iscsi::LoginResponse response;
  response.current_stage = request.current_stage;
  response.isid = request.isid;
  response.tsih = request.tsih;
  response.initiator_task_tag = request.initiator_task_tag;
  response.stat_sn = stat_sn_;
  // Login Requests are immediate: CmdSN does not advance (RFC 7143 §11.12.8).
  response.exp_cmd_sn = outcome_.cmd_sn;
  response.max_cmd_sn = outcome_.max_cmd_sn;
  return response;
}

Login::Reply Login::refuse(const iscsi::BasicHeader& header, const LoginRefusal& refusal, bool send) {
  failure_.status = refusal.status;
  failure_.why = fmt::format("login of {} from {}{}{} refused with status {:04x} ({}): {}",
                             outcome_.initiator.empty() ? "an unnamed initiator" : outcome_.initiator,
                             origin_.peer_address, outcome_.target.empty() ? "" : " to ", outcome_.target,
                             static_cast<std::uint16_t>(refusal.status), iscsi::name(refusal.status), refusal.why);
  Reply reply{Next::kClose, send, {}, {}};
  if (!send) return reply;

  // Only a Login Request has the fields to copy; of another PDU the task tag will do.
  iscsi::LoginRequest request = first_.value_or(iscsi::LoginRequest{});
  if (header.opcode() == iscsi::Opcode::kLoginRequest) {
    request = iscsi::LoginRequest::decode(header.bytes()).value_or(request);
  }
  request.initiator_task_tag = header.initiator_task_tag();
  reply.header = response_to(request);
  reply.header.status = refusal.status;
  answers_.clear();
  if (!refusal.target_address.empty()) {
    answers_.add(iscsi::spec_of(Key::kTargetAddress).name, refusal.target_address);
  }
  reply.data = answers_.next_segment(kMaxSegmentBytes);
  reply.header.data_segment_length = static_cast<std::uint32_t>(reply.data.size());
  return reply;
}

}  // namespace peerlane::target
