// The offering side of a negotiation (RFC 7143 §6.2 and §13): the initiator's, in a login. It offers every operational
// key once, in one text, and holds what is answered against what was offered: an answer outside of the offer would have
// both sides work by different rules, so it is an error of protocol.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "iscsi/keys.h"
#include "iscsi/negotiation.h"
#include "iscsi/text.h"

namespace peerlane::iscsi {

/// What is offered as HeaderDigest or DataDigest (RFC 7143 §13.1).
enum class DigestOffer : std::uint8_t {
  kNone,       // no digests
  kAccepted,   // none, but CRC32C if the target wants it
  kPreferred,  // CRC32C, or none if the target does not have it
  kRequired,   // CRC32C, or no session
};

/// What is offered for a leading connection. The `preferences` are offered as they are; their `accept_*` members and
/// `protocol_level` mean nothing here, since neither TaskReporting nor iSCSIProtocolLevel is offered.
struct OfferTerms {
  DigestOffer header_digest = DigestOffer::kAccepted;
  DigestOffer data_digest = DigestOffer::kAccepted;
  Preferences preferences;
};

/// Not thread-safe.
class Offerer {
 public:
  /// In a discovery session keys that would be irrelevant are not offered.
  Offerer(const OfferTerms& terms, bool discovery) : terms_(terms), discovery_(discovery) {}

  /// Writes the offers, and declares our MaxRecvDataSegmentLength. Once.
  void offer(TextWriter& text);

  /// Takes the operational keys of one answering text; other keys are left to the caller. What the target offers by
  /// itself is answered in `answers`: Reject where it is ours to offer, NotUnderstood where the key is unknown.
  ///
  /// Errors, EPROTO, with a sentence: an answer that was not offered, that is out of range or of the wrong form, or
  /// that comes twice.
  Result<void> accept(std::span<const KeyValue> pairs, TextWriter& answers);

  /// The end of the negotiation. Keys that were not answered, or answered with Reject, Irrelevant or NotUnderstood,
  /// keep their defaults. Errors, EPROTO: a digest that is required was not granted.
  Result<Parameters> conclude() const;

 private:
  struct Offered {
    bool made = false;
    bool answered = false;
    std::uint32_t number = 0;  // or a boolean
  };

  void offer_number(Key key, std::uint32_t value, TextWriter& text);
  void offer_boolean(Key key, bool value, TextWriter& text);
  void offer_digest(Key key, DigestOffer offer, TextWriter& text);
  Offered& offered(Key key) { return offered_[static_cast<std::size_t>(key)]; }

  Result<void> accept_one(const KeyValue& pair, TextWriter& answers);
  Result<void> accept_number(const KeySpec& spec, std::string_view value);
  Result<void> accept_boolean(const KeySpec& spec, std::string_view value);
  Result<void> accept_digest(const KeySpec& spec, std::string_view value);

  OfferTerms terms_;
  bool discovery_;
  std::array<Offered, kKeys> offered_{};
  Parameters parameters_;
};

}  // namespace peerlane::iscsi
