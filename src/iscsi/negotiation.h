// Negotiation of operational parameters (RFC 7143 §6.2 and §13): how a session and its connection will work.
//
// One side offers or declares a key, the other answers with the value that holds from then on. `Negotiator` is the side
// that answers, which a target always is here: it makes no offers of its own, it only declares. What two sides' values
// come to is in `combine_*`, for the side that offers as well.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "iscsi/codes.h"
#include "iscsi/keys.h"
#include "iscsi/text.h"

namespace peerlane::iscsi {

/// How multi-task aborts are reported (RFC 7143 §13.23).
enum class TaskReporting : std::uint8_t { kRfc3720, kResponseFence, kFastAbort };

/// What holds for a connection and its session. Lengths are bytes, times seconds. The defaults are the RFC's.
struct Parameters {
  // Of the connection.
  bool header_digest = false;                                                          // CRC32C
  bool data_digest = false;                                                            // CRC32C
  std::uint32_t our_max_recv_data_segment_length = kDefaultMaxRecvDataSegmentLength;   // what the peer may send
  std::uint32_t peer_max_recv_data_segment_length = kDefaultMaxRecvDataSegmentLength;  // what we may send

  // Of the session.
  std::uint16_t max_connections = 1;
  bool initial_r2t = true;                                  // no unsolicited Data-Out PDUs
  bool immediate_data = true;                               // data may come with the command
  std::uint32_t max_burst_length = kDefaultMaxBurstLength;  // one Data-In or solicited Data-Out sequence
  std::uint32_t first_burst_length =
      kDefaultFirstBurstLength;  // all unsolicited data of a command; <= max_burst_length
  std::uint16_t default_time2wait = kDefaultTime2Wait;
  std::uint16_t default_time2retain = kDefaultTime2Retain;
  std::uint16_t max_outstanding_r2t = 1;  // of one task
  bool data_pdu_in_order = true;
  bool data_sequence_in_order = true;
  std::uint8_t error_recovery_level = 0;
  TaskReporting task_reporting = TaskReporting::kRfc3720;
  std::uint8_t protocol_level = 1;  // RFC 7144: 2 allows what that document adds

  bool operator==(const Parameters&) const = default;
};

/// What our side wants, and accepts at most.
struct Preferences {
  bool accept_crc32c = true;  // as digest; None always is
  std::uint32_t max_recv_data_segment_length = limits::kMaxRecvDataSegmentLength;
  std::uint16_t max_connections = 1;
  bool initial_r2t = false;
  bool immediate_data = true;
  std::uint32_t max_burst_length = limits::kMaxBurstLength;
  std::uint32_t first_burst_length = limits::kFirstBurstLength;
  std::uint16_t default_time2wait = kDefaultTime2Wait;
  std::uint16_t default_time2retain = 0;  // at error recovery level 0 nothing outlives its connection
  std::uint16_t max_outstanding_r2t = limits::kMaxOutstandingR2T;
  bool data_pdu_in_order = true;
  bool data_sequence_in_order = true;
  std::uint8_t error_recovery_level = 0;
  bool accept_response_fence = true;  // with one connection per session every response is fenced by its place
  bool accept_fast_abort = false;
  std::uint8_t protocol_level = 2;
};

/// The outcome of two numbers; of two booleans. `kind` is one that fits.
std::uint32_t combine_numbers(Kind kind, std::uint32_t offered, std::uint32_t ours);
bool combine_booleans(Kind kind, bool offered, bool ours);

/// The responder's side of a negotiation, from the first Login Request of a connection to its end. Not thread-safe.
class Negotiator {
 public:
  explicit Negotiator(const Preferences& preferences) : preferences_(preferences) {}

  /// What kind of session it turns out to be. Called before the first operational key is answered.
  void set_discovery(bool discovery) { discovery_ = discovery; }
  /// Whether this is the login of a session's first connection (the default): only there may the session's keys be
  /// negotiated.
  void set_leading(bool leading) { leading_ = leading; }

  /// Answers `pairs`, all of one text, which came in `stage`: values, or Reject, Irrelevant, NotUnderstood. Keys of
  /// security and names are not for it: it answers those that come when they may not come with Reject, and takes no
  /// notice of others. During login the caller keeps those it handles itself.
  ///
  /// Errors, EPROTO: a key is negotiated for the second time (RFC 7143 §6.2 has the login fail then). Not one: what
  /// initiators do that repeat a declaration with the same value, or repeat in the operational stage what they offered
  /// in the security stage already.
  Result<void> answer(Stage stage, std::span<const KeyValue> pairs, TextWriter& answers);

  /// Declares our MaxRecvDataSegmentLength, the first time it is called.
  void declare(TextWriter& answers);

  /// What holds now. first_burst_length is never above max_burst_length.
  Parameters parameters() const;

 private:
  struct Offer {
    Stage stage;
    std::string value;
    std::string answer;
  };

  Result<void> answer_one(Stage stage, const KeyValue& pair, TextWriter& answers);
  std::optional<std::string_view> refusal(Stage stage, const KeySpec& spec) const;
  std::string decide(const KeySpec& spec, std::string_view value);
  std::string decide_number(const KeySpec& spec, std::string_view value);
  std::string decide_boolean(const KeySpec& spec, std::string_view value);
  std::string decide_list(const KeySpec& spec, std::string_view value);

  Preferences preferences_;
  Parameters parameters_;
  bool discovery_ = false;
  bool leading_ = true;
  bool declared_ = false;
  std::array<std::optional<Offer>, kKeys> offers_;
};

}  // namespace peerlane::iscsi
