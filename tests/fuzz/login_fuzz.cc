// A whole login: whatever an initiator sends, it comes to an end, and to full feature phase only by the rules.
//
// Input: one byte that says what the target demands and has (Rules below), then PDUs. A PDU is one byte of shape, then
//   shape & 0x80: a BHS of 48 bytes as it is; otherwise two bytes, byte 1 of a Login Request (T, C, CSG, NSG) and its
//   CID, then the length of the data segment in two bytes, and the data.
// Challenges count up from 1, so that an input can hold the right answer to one.
#include <string>
#include <string_view>

#include "base/limits.h"
#include "harness.h"
#include "iscsi/pdu_control.h"
#include "target/login.h"

namespace {

using namespace peerlane;
using fuzz::require;
using iscsi::LoginStatus;
using target::Login;

// With capital letters, so that no name, which is lower-cased, becomes one.
constexpr std::string_view kSecrets[] = {"AliceSecret123", "TargetSecret45"};

class CountingRandom final : public iscsi::RandomSource {
 public:
  Result<void> fill(ByteSpan out) override {
    for (std::uint8_t& byte : out) byte = next_++;
    return {};
  }

 private:
  std::uint8_t next_ = 1;
};

class Policy final : public target::LoginPolicy {
 public:
  explicit Policy(std::uint8_t rules) : rules_(rules) {}

  bool demands_chap() const { return (rules_ & 1u) != 0; }
  int opened() const { return opened_; }

  target::LoginResult<target::LoginTerms> find_target(const target::LoginQuery& query) override {
    require(++found_ == 1, "the target is looked up once");
    require(!query.initiator.empty(), "an initiator has a name");
    require(query.target.empty() == (query.session_type == target::SessionType::kDiscovery), "a target has a name");
    if (query.target.ends_with("moved")) {
      return std::unexpected(target::LoginRefusal{LoginStatus::kMovedPermanently, "it has moved", "192.0.2.7:3260,1"});
    }
    if (query.target.ends_with("absent")) {
      return std::unexpected(target::LoginRefusal{LoginStatus::kNotFound, "no such target is served here", {}});
    }
    auto authentication = std::make_shared<target::Authentication>();
    authentication->allow_none = !demands_chap();
    if ((rules_ & 2u) != 0) authentication->accounts = {{"alice", std::string(kSecrets[0])}};
    if ((rules_ & 4u) != 0) authentication->mutual = target::ChapAccount{"target1", std::string(kSecrets[1])};
    return target::LoginTerms{(rules_ & 8u) != 0 ? "alias" : "", std::move(authentication)};
  }

  std::optional<target::ExistingSession> find_session(const target::LoginOutcome&) override {
    if ((rules_ & 16u) == 0) return std::nullopt;
    return target::ExistingSession{7, (rules_ & 32u) != 0};
  }

  target::LoginResult<void> open_session(target::LoginOutcome& outcome) override {
    require(++opened_ == 1, "a session is opened once");
    require(!demands_chap() || outcome.user == "alice", "nobody gets in without the authentication demanded");
    if ((rules_ & 64u) != 0) {
      return std::unexpected(target::LoginRefusal{LoginStatus::kOutOfResources, "there are too many sessions", {}});
    }
    if (outcome.kind != target::LoginKind::kContinuation) outcome.tsih = 0x0102;
    return {};
  }

 private:
  std::uint8_t rules_;
  int found_ = 0;
  int opened_ = 0;
};

struct Pdu {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  ByteView data;
};

Pdu next_pdu(fuzz::Input& input) {
  Pdu pdu;
  if ((input.byte() & 0x80u) != 0) {
    std::ranges::copy(input.bytes(pdu.bhs.size()), pdu.bhs.begin());
  } else {
    iscsi::LoginRequest request;
    request.isid = {0x80, 1, 2, 3, 4, 5};
    request.cmd_sn = iscsi::CmdSn(10);
    request.exp_stat_sn = iscsi::StatSn(1);
    request.encode(pdu.bhs);
    pdu.bhs[1] = input.byte();
    pdu.bhs[21] = input.byte();
  }
  pdu.data = input.bytes(input.number());
  put_be24(pdu.bhs, 5, static_cast<std::uint32_t>(pdu.data.size()));
  return pdu;
}

// A secret that the initiator itself sends in place of a name is no secret of ours any more.
bool tells_no_secret(const std::string& line, ByteView input) {
  return std::ranges::all_of(kSecrets, [&](std::string_view secret) {
    return line.find(secret) == std::string::npos || as_text(input).find(secret) != std::string_view::npos;
  });
}

void check_reply(const Login::Reply& reply, const Login& login, const Policy& policy) {
  require(reply.data.size() <= Login::kMaxSegmentBytes, "nobody has to receive more than the default");
  require(reply.header.data_segment_length == reply.data.size(), "DataSegmentLength tells the truth");
  require(!reply.header.continues || (!reply.data.empty() && !reply.header.transit), "C comes with data and without T");
  require((reply.header.status == LoginStatus::kSuccess) == (reply.next != Login::Next::kClose || !reply.send),
          "the status says whether the login goes on");
  require((reply.header.tsih == 0x0102 || reply.header.tsih == 7) || reply.next != Login::Next::kFullFeature,
          "full feature phase has a TSIH");
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
  reply.header.encode(bhs);
  require(iscsi::LoginResponse::decode(bhs) == reply.header, "a response can be read");

  if (reply.next == Login::Next::kClose) {
    require(login.failure().status != LoginStatus::kSuccess && !login.failure().why.empty(), "a refusal is explained");
  }
  require(reply.next != Login::Next::kReceive || policy.opened() == 0, "a session is opened at the end");
}

void check_outcome(const target::LoginOutcome& outcome) {
  require(outcome.tsih != 0, "a session has a TSIH");
  require(outcome.parameters.first_burst_length <= outcome.parameters.max_burst_length, "FirstBurst <= MaxBurst");
  require(outcome.parameters.max_connections == 1 && outcome.parameters.error_recovery_level == 0,
          "no more than we do");
  require((outcome.kind == target::LoginKind::kContinuation) == (outcome.tsih == 7), "a TSIH is kept or new");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Policy policy(input.byte());
  CountingRandom random;
  Login login(policy, random, {"192.0.2.9:40000", "192.0.2.1:3260", 1}, {});
  std::optional<iscsi::StatSn> stat_sn;
  for (unsigned pdus = 1; !input.empty(); ++pdus) {
    const Pdu pdu = next_pdu(input);
    const Login::Reply reply = login.handle(pdu.bhs, pdu.data);
    check_reply(reply, login, policy);
    require(tells_no_secret(login.failure().why, ByteView(data, size)), "no secret is logged");
    if (stat_sn && reply.send) require(reply.header.stat_sn == *stat_sn + 1, "StatSN counts the responses");
    stat_sn = reply.header.stat_sn;
    require(pdus <= limits::kLoginPdus || reply.next == Login::Next::kClose, "a login ends");
    if (reply.next == Login::Next::kFullFeature) check_outcome(login.outcome());
    if (reply.next != Login::Next::kReceive) break;
  }
  return 0;
}
