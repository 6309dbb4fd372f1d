#include "iscsi/negotiation.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include <fmt/format.h>

namespace peerlane::iscsi {
namespace {

// An answer to something we sent, or to nothing: it changes nothing, and gets no answer.
bool is_answer_constant(std::string_view value) {
  return value == kAnswerNotUnderstood || value == kAnswerIrrelevant || value == kAnswerReject;
}

// Names, addresses and the like, which the caller handles where they may come.
bool is_operational(Key key) {
  return key >= Key::kHeaderDigest;
}

template <typename T>
T narrow(std::uint32_t value) {
  assert(value <= std::numeric_limits<T>::max());
  return static_cast<T>(value);
}

}  // namespace

std::uint32_t combine_numbers(Kind kind, std::uint32_t offered, std::uint32_t ours) {
  assert(kind == Kind::kMinimum || kind == Kind::kMaximum);
  return kind == Kind::kMinimum ? std::min(offered, ours) : std::max(offered, ours);
}

bool combine_booleans(Kind kind, bool offered, bool ours) {
  assert(kind == Kind::kAnd || kind == Kind::kOr);
  return kind == Kind::kAnd ? offered && ours : offered || ours;
}

Result<void> Negotiator::answer(Stage stage, std::span<const KeyValue> pairs, TextWriter& answers) {
  // FirstBurstLength must not come out above MaxBurstLength, wherever in the text that stands.
  const std::string_view last = spec_of(Key::kFirstBurstLength).name;
  for (const bool is_last : {false, true}) {
    for (const KeyValue& pair : pairs) {
      if ((pair.key == last) != is_last) continue;
      if (auto done = answer_one(stage, pair, answers); !done) return done;
    }
  }
  return {};
}

Result<void> Negotiator::answer_one(Stage stage, const KeyValue& pair, TextWriter& answers) {
  if (is_answer_constant(pair.value)) return {};
  const KeySpec* const spec = find_key(pair.key);
  if (spec == nullptr) {
    answers.add(pair.key, kAnswerNotUnderstood);
    return {};
  }
  if (const auto refused = refusal(stage, *spec)) {
    answers.add(pair.key, *refused);
    return {};
  }
  if (!is_operational(spec->key)) return {};

  auto& offer = offers_[static_cast<std::size_t>(spec->key)];
  if (offer && stage != Stage::kFullFeature) {
    const bool tolerable = spec->kind == Kind::kDeclarative ||
                           (offer->stage == Stage::kSecurityNegotiation && stage == Stage::kOperationalNegotiation);
    if (!tolerable || offer->value != pair.value) {
      return fail(EPROTO, fmt::format("{} was sent twice (first {}, then {})", pair.key, printable(offer->value),
                                      printable(pair.value)));
    }
    if (!offer->answer.empty()) answers.add(pair.key, offer->answer);
    return {};
  }
  offer = Offer{stage, std::string(pair.value), decide(*spec, pair.value)};
  if (!offer->answer.empty()) answers.add(pair.key, offer->answer);
  return {};
}

// Why a key gets no value whatever is offered.
std::optional<std::string_view> Negotiator::refusal(Stage stage, const KeySpec& spec) const {
  if (spec.sender == Sender::kTarget) return kAnswerReject;
  const bool full_feature = stage == Stage::kFullFeature;
  const bool allowed = spec.use == Use::kAlways || (spec.use == Use::kFullFeature && full_feature) ||
                       (spec.use == Use::kSecurity && stage == Stage::kSecurityNegotiation) ||
                       (spec.use == Use::kInitial && !full_feature) ||
                       (spec.use == Use::kLeading && !full_feature && (leading_ || !is_operational(spec.key)));
  if (!allowed) return kAnswerReject;
  if (discovery_ && spec.irrelevant_in_discovery) return kAnswerIrrelevant;
  return std::nullopt;
}

std::string Negotiator::decide(const KeySpec& spec, std::string_view value) {
  if (value.size() > spec.value_bytes) return std::string(kAnswerReject);
  switch (spec.kind) {
    case Kind::kDeclarative:
    case Kind::kMinimum:
    case Kind::kMaximum:
      return decide_number(spec, value);
    case Kind::kAnd:
    case Kind::kOr:
      return decide_boolean(spec, value);
    case Kind::kList:
      return decide_list(spec, value);
    case Kind::kObsoleteSwitch:
      // RFC 7143 §13.25 prefers Reject and allows No, which older initiators take better.
      return std::string(parse_boolean(value) ? boolean_text(false) : kAnswerReject);
    case Kind::kObsoleteRange:
      return std::string(kAnswerReject);
  }
  return std::string(kAnswerReject);
}

std::string Negotiator::decide_number(const KeySpec& spec, std::string_view value) {
  const auto number = parse_number(value);
  if (!number || *number < spec.low || *number > spec.high) return std::string(kAnswerReject);
  const auto offered = static_cast<std::uint32_t>(*number);
  const auto settle = [&](std::uint32_t ours) { return combine_numbers(spec.kind, offered, ours); };

  std::uint32_t result = 0;
  switch (spec.key) {
    case Key::kMaxRecvDataSegmentLength:
      parameters_.peer_max_recv_data_segment_length = offered;
      return {};
    case Key::kMaxConnections:
      result = parameters_.max_connections = narrow<std::uint16_t>(settle(preferences_.max_connections));
      break;
    case Key::kMaxBurstLength:
      result = parameters_.max_burst_length = settle(preferences_.max_burst_length);
      break;
    case Key::kFirstBurstLength:
      result = std::min(settle(preferences_.first_burst_length), parameters_.max_burst_length);
      parameters_.first_burst_length = result;
      break;
    case Key::kDefaultTime2Wait:
      result = parameters_.default_time2wait = narrow<std::uint16_t>(settle(preferences_.default_time2wait));
      break;
    case Key::kDefaultTime2Retain:
      result = parameters_.default_time2retain = narrow<std::uint16_t>(settle(preferences_.default_time2retain));
      break;
    case Key::kMaxOutstandingR2t:
      result = parameters_.max_outstanding_r2t = narrow<std::uint16_t>(settle(preferences_.max_outstanding_r2t));
      break;
    case Key::kErrorRecoveryLevel:
      result = parameters_.error_recovery_level = narrow<std::uint8_t>(settle(preferences_.error_recovery_level));
      break;
    case Key::kProtocolLevel:
      result = parameters_.protocol_level = narrow<std::uint8_t>(settle(preferences_.protocol_level));
      break;
    default:
      return std::string(kAnswerReject);
  }
  return fmt::to_string(result);
}

std::string Negotiator::decide_boolean(const KeySpec& spec, std::string_view value) {
  const auto offered = parse_boolean(value);
  if (!offered) return std::string(kAnswerReject);
  const auto settle = [&](bool ours) { return combine_booleans(spec.kind, *offered, ours); };

  bool result = false;
  switch (spec.key) {
    case Key::kInitialR2t:
      result = parameters_.initial_r2t = settle(preferences_.initial_r2t);
      break;
    case Key::kImmediateData:
      result = parameters_.immediate_data = settle(preferences_.immediate_data);
      break;
    case Key::kDataPduInOrder:
      result = parameters_.data_pdu_in_order = settle(preferences_.data_pdu_in_order);
      break;
    case Key::kDataSequenceInOrder:
      result = parameters_.data_sequence_in_order = settle(preferences_.data_sequence_in_order);
      break;
    default:
      return std::string(kAnswerReject);
  }
  return std::string(boolean_text(result));
}

std::string Negotiator::decide_list(const KeySpec& spec, std::string_view value) {
  for (const std::string_view offered : parse_list(value)) {
    if (spec.key == Key::kHeaderDigest || spec.key == Key::kDataDigest) {
      const bool crc32c = offered == "CRC32C" && preferences_.accept_crc32c;
      if (!crc32c && offered != "None") continue;
      (spec.key == Key::kHeaderDigest ? parameters_.header_digest : parameters_.data_digest) = crc32c;
      return std::string(offered);
    }
    if (spec.key == Key::kTaskReporting) {
      const bool fence = offered == "ResponseFence" && preferences_.accept_response_fence;
      const bool fast = offered == "FastAbort" && preferences_.accept_fast_abort;
      if (!fence && !fast && offered != "RFC3720") continue;
      parameters_.task_reporting = fence  ? TaskReporting::kResponseFence
                                   : fast ? TaskReporting::kFastAbort
                                          : TaskReporting::kRfc3720;
      return std::string(offered);
    }
  }
  return std::string(kAnswerReject);
}

void Negotiator::declare(TextWriter& answers) {
  if (declared_) return;
  declared_ = true;
  parameters_.our_max_recv_data_segment_length = preferences_.max_recv_data_segment_length;
  answers.add(spec_of(Key::kMaxRecvDataSegmentLength).name, preferences_.max_recv_data_segment_length);
}

Parameters Negotiator::parameters() const {
  Parameters result = parameters_;
  result.first_burst_length = std::min(result.first_burst_length, result.max_burst_length);
  return result;
}

}  // namespace peerlane::iscsi
