#include "iscsi/offer.h"

#include <algorithm>

#include <fmt/format.h>

namespace peerlane::iscsi {
namespace {

std::string_view text_of(DigestOffer offer) {
  switch (offer) {
    case DigestOffer::kNone:
      return "None";
    case DigestOffer::kAccepted:
      return "None,CRC32C";
    case DigestOffer::kPreferred:
      return "CRC32C,None";
    case DigestOffer::kRequired:
      return "CRC32C";
  }
  return "None";
}

std::unexpected<Error> not_offered(const KeySpec& spec, std::string_view value) {
  return fail(EPROTO, fmt::format("the target answers {}={}, which was not offered", spec.name, printable(value)));
}

}  // namespace

void Offerer::offer_number(Key key, std::uint32_t value, TextWriter& text) {
  const KeySpec& spec = spec_of(key);
  if (discovery_ && spec.irrelevant_in_discovery) return;
  offered(key) = {.made = true, .answered = false, .number = value};
  text.add(spec.name, value);
}

void Offerer::offer_boolean(Key key, bool value, TextWriter& text) {
  const KeySpec& spec = spec_of(key);
  if (discovery_ && spec.irrelevant_in_discovery) return;
  offered(key) = {.made = true, .answered = false, .number = value ? 1u : 0u};
  text.add(spec.name, boolean_text(value));
}

void Offerer::offer_digest(Key key, DigestOffer offer, TextWriter& text) {
  offered(key).made = true;
  text.add(spec_of(key).name, text_of(offer));
}

void Offerer::offer(TextWriter& text) {
  const Preferences& wanted = terms_.preferences;
  offer_digest(Key::kHeaderDigest, terms_.header_digest, text);
  offer_digest(Key::kDataDigest, terms_.data_digest, text);
  offer_number(Key::kMaxConnections, wanted.max_connections, text);
  offer_boolean(Key::kInitialR2t, wanted.initial_r2t, text);
  offer_boolean(Key::kImmediateData, wanted.immediate_data, text);
  offer_number(Key::kMaxBurstLength, wanted.max_burst_length, text);
  offer_number(Key::kFirstBurstLength, std::min(wanted.first_burst_length, wanted.max_burst_length), text);
  offer_number(Key::kDefaultTime2Wait, wanted.default_time2wait, text);
  offer_number(Key::kDefaultTime2Retain, wanted.default_time2retain, text);
  offer_number(Key::kMaxOutstandingR2t, wanted.max_outstanding_r2t, text);
  offer_boolean(Key::kDataPduInOrder, wanted.data_pdu_in_order, text);
  offer_boolean(Key::kDataSequenceInOrder, wanted.data_sequence_in_order, text);
  offer_number(Key::kErrorRecoveryLevel, wanted.error_recovery_level, text);
  parameters_.our_max_recv_data_segment_length = wanted.max_recv_data_segment_length;
  text.add(spec_of(Key::kMaxRecvDataSegmentLength).name, wanted.max_recv_data_segment_length);
}

Result<void> Offerer::accept(std::span<const KeyValue> pairs, TextWriter& answers) {
  for (const KeyValue& pair : pairs) {
    if (auto done = accept_one(pair, answers); !done) return done;
  }
  return {};
}

Result<void> Offerer::accept_one(const KeyValue& pair, TextWriter& answers) {
  const KeySpec* const spec = find_key(pair.key);
  const bool no_value =
      pair.value == kAnswerNotUnderstood || pair.value == kAnswerIrrelevant || pair.value == kAnswerReject;
  if (spec == nullptr) {
    if (!no_value) answers.add(pair.key, kAnswerNotUnderstood);
    return {};
  }
  if (spec->key < Key::kHeaderDigest) return {};
  Offered& entry = offered(spec->key);
  if (entry.answered) {
    return fail(EPROTO, fmt::format("the target answers {} twice", spec->name));
  }
  if (spec->kind != Kind::kDeclarative && !entry.made) {
    if (!no_value) answers.add(pair.key, kAnswerReject);
    return {};
  }
  entry.answered = true;
  if (no_value) return {};
  switch (spec->kind) {
    case Kind::kDeclarative:
    case Kind::kMinimum:
    case Kind::kMaximum:
      return accept_number(*spec, pair.value);
    case Kind::kAnd:
    case Kind::kOr:
      return accept_boolean(*spec, pair.value);
    case Kind::kList:
      return accept_digest(*spec, pair.value);
    case Kind::kObsoleteSwitch:
    case Kind::kObsoleteRange:
      break;  // never offered
  }
  return {};
}

Result<void> Offerer::accept_number(const KeySpec& spec, std::string_view value) {
  const auto number = parse_number(value);
  if (!number || *number < spec.low || *number > spec.high) return not_offered(spec, value);
  const auto answer = static_cast<std::uint32_t>(*number);
  if (spec.kind != Kind::kDeclarative && combine_numbers(spec.kind, offered(spec.key).number, answer) != answer) {
    return not_offered(spec, value);
  }
  switch (spec.key) {
    case Key::kMaxRecvDataSegmentLength:
      parameters_.peer_max_recv_data_segment_length = answer;
      break;
    case Key::kMaxConnections:
      parameters_.max_connections = static_cast<std::uint16_t>(answer);
      break;
    case Key::kMaxBurstLength:
      parameters_.max_burst_length = answer;
      break;
    case Key::kFirstBurstLength:
      parameters_.first_burst_length = answer;
      break;
    case Key::kDefaultTime2Wait:
      parameters_.default_time2wait = static_cast<std::uint16_t>(answer);
      break;
    case Key::kDefaultTime2Retain:
      parameters_.default_time2retain = static_cast<std::uint16_t>(answer);
      break;
    case Key::kMaxOutstandingR2t:
      parameters_.max_outstanding_r2t = static_cast<std::uint16_t>(answer);
      break;
    case Key::kErrorRecoveryLevel:
      parameters_.error_recovery_level = static_cast<std::uint8_t>(answer);
      break;
    default:
      break;
  }
  return {};
}

Result<void> Offerer::accept_boolean(const KeySpec& spec, std::string_view value) {
  const auto answer = parse_boolean(value);
  if (!answer) return not_offered(spec, value);
  if (combine_booleans(spec.kind, offered(spec.key).number != 0, *answer) != *answer) return not_offered(spec, value);
  switch (spec.key) {
    case Key::kInitialR2t:
      parameters_.initial_r2t = *answer;
      break;
    case Key::kImmediateData:
      parameters_.immediate_data = *answer;
      break;
    case Key::kDataPduInOrder:
      parameters_.data_pdu_in_order = *answer;
      break;
    case Key::kDataSequenceInOrder:
      parameters_.data_sequence_in_order = *answer;
      break;
    default:
      break;
  }
  return {};
}

Result<void> Offerer::accept_digest(const KeySpec& spec, std::string_view value) {
  const bool header = spec.key == Key::kHeaderDigest;
  const auto list = parse_list(text_of(header ? terms_.header_digest : terms_.data_digest));
  if (std::ranges::find(list, value) == list.end()) return not_offered(spec, value);
  (header ? parameters_.header_digest : parameters_.data_digest) = value == "CRC32C";
  return {};
}

Result<Parameters> Offerer::conclude() const {
  if ((terms_.header_digest == DigestOffer::kRequired && !parameters_.header_digest) ||
      (terms_.data_digest == DigestOffer::kRequired && !parameters_.data_digest)) {
    return fail(EPROTO, "the target does not grant the CRC32C digests that are required here");
  }
  Parameters result = parameters_;
  result.first_burst_length = std::min(result.first_burst_length, result.max_burst_length);
  return result;
}

}  // namespace peerlane::iscsi
