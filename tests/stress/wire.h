// A connection of an initiator to a target: login, then PDUs with their digests, without ever waiting while there is
// something to receive.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "storm.h"

namespace peerlane::storm {

/// A PDU that has come. `data` lies in the connection's buffer until the next one is taken.
struct Received {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  ByteView data;

  iscsi::Opcode opcode() const { return iscsi::BasicHeader(bhs).opcode(); }
};

/// What login agreed on, as far as an initiator acts on it.
struct Agreed {
  bool header_digest = false;
  bool data_digest = false;
  bool initial_r2t = true;
  bool immediate_data = true;
  std::uint32_t first_burst = 65536;
  std::uint32_t max_burst = 262144;
  std::uint32_t target_segment = 8192;
};

class Wire {
 public:
  Wire(const Options& options, std::string initiator, iscsi::Isid isid);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// Connects and logs in, with parameters that `random` chooses. False if the target closed the connection.
  bool log_in(std::mt19937_64& random, iscsi::CmdSn first);

  const Agreed& agreed() const { return agreed_; }
  iscsi::StatSn next_stat_sn() const { return stat_sn_; }
  iscsi::CmdSn max_cmd_sn() const { return max_cmd_sn_; }

  /// Queues a PDU.
  template <typename P>
  void send(P pdu, ByteView data) {
    pdu.data_segment_length = static_cast<std::uint32_t>(data.size());
    put(pdu, data);
  }
  template <typename P>
  void send(const P& pdu) {
    put(pdu, {});
  }

  /// Sends and receives what can be, waiting for `milliseconds` at most. False if the connection has ended.
  bool exchange(int milliseconds);
  /// The next PDU that has come whole; its digests are right.
  std::optional<Received> next();
  std::size_t unsent() const { return out_.size() - sent_; }

  /// A response that uses up a StatSN: checks that it is the next one.
  void count_status(iscsi::StatSn stat_sn);
  void note_window(iscsi::CmdSn max_cmd_sn) {
    if (max_cmd_sn > max_cmd_sn_) max_cmd_sn_ = max_cmd_sn;
  }

  /// Ends the connection, with a reset or in good order.
  void drop(bool reset);
  /// Waits until the target ends the connection; false if that takes too long.
  bool ends_soon();

 private:
  template <typename P>
  void put(const P& pdu, ByteView data) {
    std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
    pdu.encode(bhs);
    put_bytes(bhs, data);
  }
  void put_bytes(ByteView bhs, ByteView data);
  void connect();
  bool receive_some();
  bool login_exchange(const std::string& text, iscsi::CmdSn first, bool& done);
  void take_answer(ByteView text);

  const Options& options_;
  const std::string initiator_;
  const iscsi::Isid isid_;
  int fd_ = -1;
  bool ended_ = false;
  Agreed agreed_;
  bool digests_on_ = false;  // from the full feature phase on
  iscsi::StatSn stat_sn_;
  iscsi::CmdSn max_cmd_sn_;
  std::vector<std::uint8_t> out_;
  std::size_t sent_ = 0;
  std::vector<std::uint8_t> in_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace peerlane::storm
