// A whole login from the initiator's side: whatever a target answers, it comes to an end, and to a session only by the
// rules.
//
// Input: one byte that says what the initiator has and wants (below), then responses. A response is one byte of shape,
// then
//   shape & 0x80: a BHS of 48 bytes as it is; otherwise two bytes, byte 1 of a Login Response (T, C, CSG, NSG) and the
//   low byte of its status, with all other fields as they have to be; then the length of the data segment in two bytes,
//   and the data.
// Challenges count up from 1, so that an input can hold the right answer to one.
#include <string>

#include "base/limits.h"
#include "harness.h"
#include "initiator/login.h"
#include "iscsi/pdu_control.h"

namespace {

using namespace peerlane;
using fuzz::require;
using initiator::Login;

class CountingRandom final : public iscsi::RandomSource {
 public:
  Result<void> fill(ByteSpan out) override {
    for (std::uint8_t& byte : out) byte = next_++;
    return {};
  }

 private:
  std::uint8_t next_ = 1;
};

constexpr std::string_view kSecrets[] = {"AliceSecret123", "TargetSecret45"};

initiator::LoginTerms terms_from(std::uint8_t rules) {
  initiator::LoginTerms terms;
  terms.initiator_name = "iqn.2026-11.dev.peerlane:i";
  if ((rules & 1u) == 0) terms.target_name = "iqn.2026-11.dev.peerlane:t";
  terms.isid = {0x80, 1, 2, 3, 4, 5};
  if ((rules & 2u) != 0) terms.account = initiator::Account{"alice", std::string(kSecrets[0])};
  if ((rules & 4u) != 0) terms.target_account = initiator::Account{"target1", std::string(kSecrets[1])};
  if ((rules & 8u) != 0) terms.offers.header_digest = iscsi::DigestOffer::kRequired;
  return terms;
}

/// What the target itself has sent is no secret any more: it gets unknown keys back.
bool holds_secret(std::string_view text, ByteView input) {
  return std::ranges::any_of(kSecrets, [&](std::string_view secret) {
    return text.find(secret) != std::string_view::npos && as_text(input).find(secret) == std::string_view::npos;
  });
}

void check_request(const Login& login, ByteView input) {
  const iscsi::LoginRequest& request = login.request();
  require(login.data().size() == request.data_segment_length, "DataSegmentLength tells the truth");
  require(login.data().size() <= iscsi::kDefaultMaxRecvDataSegmentLength,
          "nobody has to receive more than the default");
  require(!request.continues || (!login.data().empty() && !request.transit), "C comes with data and without T");
  require(!holds_secret(as_text(login.data()), input), "no secret is sent");
}

void check_outcome(const Login& login, const initiator::LoginTerms& terms) {
  const auto& outcome = login.outcome();
  const iscsi::Parameters& agreed = outcome.parameters;
  require(outcome.tsih != 0, "a session has a TSIH");
  require(agreed.first_burst_length <= agreed.max_burst_length, "FirstBurst <= MaxBurst");
  require(agreed.max_burst_length <= limits::kMaxBurstLength, "no more than was offered");
  require(agreed.max_outstanding_r2t >= 1 && agreed.max_outstanding_r2t <= limits::kMaxOutstandingR2T,
          "no more R2Ts than there is room for");
  require(agreed.peer_max_recv_data_segment_length >= 512, "data can be sent");
  require(agreed.max_connections == 1 && agreed.error_recovery_level == 0 && agreed.data_pdu_in_order &&
              agreed.data_sequence_in_order,
          "no more than we do");
  require(terms.offers.header_digest != iscsi::DigestOffer::kRequired || agreed.header_digest,
          "what is required is granted");
}

Login::Step next_response(fuzz::Input& input, Login& login, std::uint32_t& stat_sn) {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  if ((input.byte() & 0x80u) != 0) {
    std::ranges::copy(input.bytes(bhs.size()), bhs.begin());
  } else {
    iscsi::LoginResponse response;
    response.isid = login.request().isid;
    response.tsih = 9;
    response.initiator_task_tag = login.request().initiator_task_tag;
    response.stat_sn = iscsi::StatSn(stat_sn++);
    response.encode(bhs);
    bhs[1] = input.byte();
    bhs[37] = input.byte();
    if (bhs[37] != 0) bhs[36] = 2;
  }
  const ByteView data = input.bytes(input.number());
  put_be24(bhs, 5, static_cast<std::uint32_t>(data.size()));
  return login.take(bhs, data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const initiator::LoginTerms terms = terms_from(input.byte());
  CountingRandom random;
  Login login(random, terms);
  Login::Step step = login.start();
  std::uint32_t stat_sn = 1;
  for (unsigned responses = 0; step == Login::Step::kSend && !input.empty(); ++responses) {
    check_request(login, ByteView(data, size));
    require(responses < limits::kLoginPdus, "a login ends");
    step = next_response(input, login, stat_sn);
  }
  if (step == Login::Step::kDone) {
    check_outcome(login, terms);
    require(!terms.target_account || terms.account, "nobody is proved to whom nobody asked");
  } else if (step == Login::Step::kFailed) {
    const auto& refusal = login.refusal();
    require(refusal.error.code != 0 && !refusal.error.message.empty(), "a refusal is explained");
    require(!holds_secret(refusal.error.message, ByteView(data, size)), "no secret is logged");
  }
  return 0;
}
