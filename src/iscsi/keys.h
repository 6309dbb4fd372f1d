// The text keys of iSCSI as a table (RFC 7143 §12 and §13, RFC 7144 §7): what kind of value each has, how two sides'
// values become one, who may send it and when. iscsi/negotiation.h works by this table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace peerlane::iscsi {

enum class Key : std::uint8_t {
  // Who is who (RFC 7143 §13.4 to §13.9, §13.21).
  kInitiatorName,
  kInitiatorAlias,
  kTargetName,
  kTargetAlias,
  kTargetAddress,
  kTargetPortalGroupTag,
  kSessionType,
  kSendTargets,
  // Security (§12.1).
  kAuthMethod,
  kChapA,
  kChapI,
  kChapC,
  kChapN,
  kChapR,
  // Operation (§13.1, §13.2, §13.10 to §13.23; RFC 7144 §7.1.1).
  kHeaderDigest,
  kDataDigest,
  kMaxConnections,
  kInitialR2t,
  kImmediateData,
  kMaxRecvDataSegmentLength,
  kMaxBurstLength,
  kFirstBurstLength,
  kDefaultTime2Wait,
  kDefaultTime2Retain,
  kMaxOutstandingR2t,
  kDataPduInOrder,
  kDataSequenceInOrder,
  kErrorRecoveryLevel,
  kTaskReporting,
  kProtocolLevel,
  // Obsolete (§13.25), but not to be answered NotUnderstood.
  kIfMarker,
  kOfMarker,
  kIfMarkInt,
  kOfMarkInt,
};
inline constexpr std::size_t kKeys = static_cast<std::size_t>(Key::kOfMarkInt) + 1;

/// How the value of a key comes about (RFC 7143 §6.2).
enum class Kind : std::uint8_t {
  kDeclarative,     // said by one side; no answer
  kList,            // the first of the offered values that the other side accepts
  kMinimum,         // the lower of two numbers
  kMaximum,         // the higher of two numbers
  kAnd,             // Yes if both say Yes
  kOr,              // No if both say No
  kObsoleteSwitch,  // answered No
  kObsoleteRange,   // answered Reject
};

/// When a key may be sent.
enum class Use : std::uint8_t {
  kSecurity,     // SecurityNegotiation
  kLeading,      // LO: login of a session's first connection
  kInitial,      // IO: login of any connection
  kFullFeature,  // FFPO: full feature phase
  kAlways,       // ALL
};

enum class Sender : std::uint8_t { kInitiator, kTarget, kBoth };

struct KeySpec {
  Key key;
  std::string_view name;
  Kind kind;
  Use use;
  Sender sender;
  bool irrelevant_in_discovery;
  std::uint32_t low;  // range of a number
  std::uint32_t high;
  std::uint16_t value_bytes;  // the longest value
};

/// All keys, in the order of enum Key.
std::span<const KeySpec> all_keys();

const KeySpec& spec_of(Key key);

/// The key of that name (case matters); nullptr for one that is not understood: X- and X# extensions, and those of RFC
/// 7145 (iSER).
const KeySpec* find_key(std::string_view name);

/// The values that answer an offer instead of a value (RFC 7143 §6.2).
inline constexpr std::string_view kAnswerNotUnderstood = "NotUnderstood";
inline constexpr std::string_view kAnswerIrrelevant = "Irrelevant";
inline constexpr std::string_view kAnswerReject = "Reject";

/// In force until something else is negotiated or declared (RFC 7143 §13.12 to §13.17).
inline constexpr std::uint32_t kDefaultMaxRecvDataSegmentLength = 8192;
inline constexpr std::uint32_t kDefaultMaxBurstLength = 256u << 10;
inline constexpr std::uint32_t kDefaultFirstBurstLength = 64u << 10;
inline constexpr std::uint16_t kDefaultTime2Wait = 2;     // seconds
inline constexpr std::uint16_t kDefaultTime2Retain = 20;  // seconds

}  // namespace peerlane::iscsi
