// A place in a connection's table of commands: one command from its arrival to the moment at which its buffers are its
// caller's again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "initiator/request.h"
#include "io/event.h"
#include "io/executor.h"
#include "iscsi/sequence.h"
#include "transport/send_queue.h"

namespace peerlane::initiator {

/// How a command ended.
enum class Ending : std::uint8_t {
  kAnswered,   // there is a result
  kNeverSent,  // the connection ended before the command was sent
  kLost,       // the connection ended: the command may have been carried out or not
  kTimedOut,   // it had no answer in time, and was aborted: likewise
  kRefused,    // the target rejected it, or could not deliver it to the logical unit
};

struct Outcome {
  Ending ending = Ending::kNeverSent;
  ScsiResult result;
};

class Connection;

/// A part of a write's data that the target has asked for (R2T), or what is left of it.
struct Asked {
  iscsi::LunField lun;
  std::uint32_t transfer_tag = 0;
  std::uint32_t data_sn = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
};

struct CommandSlot final : transport::Lender {
  enum class State : std::uint8_t {
    kFree,
    kWaiting,  // for the target's window
    kSent,
    kAborting,  // sent, and ABORT TASK after it
    kOver,      // the outcome is there, but the send queue has data of it
  };

  Connection* connection = nullptr;
  const Request* request = nullptr;
  State state = State::kFree;
  std::uint32_t tag = 0;
  iscsi::CmdSn cmd_sn;
  io::TimePoint deadline;
  std::uint32_t next_data_sn = 0;  // of Data-In and R2T PDUs
  std::uint32_t received = 0;      // bytes of data-in, from the start of the buffer
  std::uint32_t given = 0;         // bytes of data-out that the target has asked for or got unasked
  unsigned lent = 0;               // PDUs in the send queue with data of ours
  std::array<Asked, limits::kMaxOutstandingR2T> asked{};
  unsigned first_asked = 0;
  unsigned asked_count = 0;
  Outcome outcome;
  io::Event done;
  CommandSlot* next = nullptr;  // in the list that it is in
  bool listed = false;          // it is in one

  bool active() const { return state == State::kSent || state == State::kAborting; }
  void give_back() override;
};

/// Slots in the order in which they came. A slot is in one list at most.
class SlotList {
 public:
  bool empty() const { return first_ == nullptr; }
  CommandSlot& front() { return *first_; }
  void push_back(CommandSlot& slot);
  CommandSlot& pop_front();
  /// Takes `slot` out, if it is in this list.
  void remove(CommandSlot& slot);

 private:
  CommandSlot* first_ = nullptr;
  CommandSlot* last_ = nullptr;
};

}  // namespace peerlane::initiator
