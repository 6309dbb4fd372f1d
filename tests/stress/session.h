// One session of a storm: keeps commands in flight on its own region and the shared one, verifies what it reads, and
// does now and then what ends commands: task management functions, logouts, lost connections, logins anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "iscsi/pdu_control.h"
#include "region.h"
#include "storm.h"
#include "wire.h"

namespace peerlane::storm {

class Session {
 public:
  /// `own`: a region for each LUN that is this session's alone.
  Session(Storm& storm, unsigned number, std::vector<std::unique_ptr<Region>> own);

  /// All of it, until the storm is told to stop; then reads everything once more, and logs out.
  void run();

 private:
  enum class Kind : std::uint8_t { kRead, kWrite, kZero, kUnmap, kFlush };

  struct R2t {
    iscsi::R2t pdu;
    Clock::time_point due;
  };
  struct Task {
    Kind kind = Kind::kRead;
    Region* region = nullptr;
    std::uint64_t lba = 0;
    std::uint64_t count = 0;  // blocks
    Generation generation = 0;
    std::vector<std::uint8_t> data;  // sent or received
    std::uint32_t expected = 0;      // of Data-In
    std::uint32_t received = 0;
    std::uint32_t data_sn = 0;
    std::uint32_t r2t_sn = 0;
    std::uint32_t asked_until = 0;  // by unsolicited data and R2Ts
    std::vector<R2t> r2ts;
    Clock::time_point sent;
    bool abort_sent = false;
    bool changes() const { return kind == Kind::kWrite || kind == Kind::kZero || kind == Kind::kUnmap; }
  };
  struct Function {
    iscsi::TaskFunction function{};
    unsigned lun = 0;
    std::vector<std::uint32_t> covered;  // the tasks that it concerns, as they were when it was sent
    Clock::time_point sent;
  };
  using Tasks = std::unordered_map<std::uint32_t, Task>;

  // session.cc: its life
  void connect();
  void reconnect();
  void settle_all();
  void log_out();
  void pump(int milliseconds);
  void watch();
  bool older(Clock::time_point when, double seconds) const;
  void event();
  void verify(Region& region);
  void wait_for_tasks();
  [[noreturn]] void fail(const std::string& what) const;

  // commands.cc: commands and functions
  void submit();
  bool start_random();
  void start(Task task);
  void begin_write(std::uint32_t tag, Task& task, iscsi::ScsiCommand pdu);
  void send_data(std::uint32_t tag, const Task& task, std::uint32_t transfer_tag, iscsi::LunField lun,
                 std::uint32_t begin, std::uint32_t end);
  void answer_r2ts();
  void manage(iscsi::TaskFunction function, unsigned lun, std::optional<std::uint32_t> tag = std::nullopt);
  void settle(Tasks::iterator at, Outcome outcome);
  void handle(const Received& pdu);
  Tasks::iterator task_of(const Received& pdu);
  void on_data_in(const Received& pdu);
  void on_r2t(const Received& pdu);
  void on_response(const Received& pdu);
  void on_function_response(const Received& pdu);
  void on_nop_in(const Received& pdu);
  void complete(Tasks::iterator at, std::uint8_t status, ByteView sense, bool residual);
  std::vector<Moments*> hit_by(const Function& function);
  bool reset_may_have_hit(unsigned lun, Clock::time_point when) const;

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  iscsi::StatSn exp_stat_sn() const { return wire_->next_stat_sn(); }
  iscsi::LunField lun_field(unsigned lun) const { return {std::uint64_t{lun} << 48}; }

  Storm& storm_;
  const unsigned number_;
  const std::string initiator_;
  const iscsi::Isid isid_;
  std::vector<std::unique_ptr<Region>> own_;
  std::mt19937_64 random_;
  std::unique_ptr<Wire> wire_;
  iscsi::CmdSn cmd_sn_;
  std::uint32_t next_tag_ = 1;
  std::uint64_t next_generation_;
  std::size_t depth_ = 1;
  Tasks tasks_;
  std::unordered_map<std::uint32_t, Function> functions_;
  std::uint64_t reads_ = 0;  // that succeeded
  bool logged_out_ = false;
  // A logout has been asked for: what is sent after that is lost, and with it perhaps the answer (the target closes the
  // connection with data unread), so nothing is.
  bool leaving_ = false;
  Clock::time_point left_;
  Clock::time_point logged_in_;
  Clock::time_point next_event_;
};

}  // namespace peerlane::storm
