// One iSCSI session of the load generator: login, READ and WRITE commands, their data, and how long they took. It
// trusts the target: what it receives is parsed, but only digests are verified, and only when asked.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace iblast {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeaderBytes = 48;
constexpr std::uint32_t kMaxDepth = 1024;
constexpr std::uint32_t kMaxBlockBytes = 4u << 20;

struct Options {
  std::string initiator = "iqn.2026-11.dev.peerlane:iblast";  // with a number after it, for each session
  unsigned read_percent = 100;
  bool sequential = false;
  std::uint32_t block_bytes = 4096;
  std::uint32_t depth = 1;
  unsigned sessions = 1;
  double seconds = 10;
  bool header_digest = false;
  bool data_digest = false;
  bool verify_digests = false;
  std::string host;
  std::uint16_t port = 0;
  std::string target;
  unsigned lun = 0;
};

/// Ends the program with what the system says about `what`, or with `what` alone.
[[noreturn]] void die(const char* what);
[[noreturn]] void protocol_error(const char* what);

/// xorshift64: fast, and the same numbers in each run.
std::uint64_t random_number();

// --- What is measured ------------------------------------------------------------------------------------------------

/// Latencies in classes of under 2 percent width.
class Latencies {
 public:
  void add(std::uint64_t ns) {
    const auto exponent = static_cast<unsigned>(63 - std::countl_zero(ns | kSteps));
    const auto step = static_cast<unsigned>(ns >> (exponent - kStepBits)) % kSteps;
    ++classes_[exponent * kSteps + step];
    ++count_;
    sum_ += ns;
    most_ = std::max(most_, ns);
  }

  std::uint64_t count() const { return count_; }
  double mean_us() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_) / 1e3; }
  double most_us() const { return static_cast<double>(most_) / 1e3; }

  double percentile_us(double fraction) const {
    const auto goal = static_cast<std::uint64_t>(fraction * static_cast<double>(count_));
    std::uint64_t passed = 0;
    for (unsigned i = 0; i < classes_.size(); ++i) {
      passed += classes_[i];
      if (passed < goal || passed == 0) continue;
      const double middle = static_cast<double>(kSteps + i % kSteps) + 0.5;
      return middle * static_cast<double>(std::uint64_t{1} << (i / kSteps - kStepBits)) / 1e3;
    }
    return 0;
  }

 private:
  static constexpr unsigned kStepBits = 6;
  static constexpr unsigned kSteps = 1u << kStepBits;

  std::array<std::uint32_t, 64 * kSteps> classes_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t most_ = 0;
};

struct Totals {
  Latencies latencies;
  std::uint64_t errors = 0;
  bool counting = true;  // false while the last commands are awaited
};

// --- One session -----------------------------------------------------------------------------------------------------

class Session {
 public:
  /// Connects, logs in and asks for the capacity; ends the program if that fails. All arguments outlive the session.
  Session(const Options& options, unsigned id, const std::uint8_t* payload, Totals& totals);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// Starts commands until the queue depth or the command window is reached.
  void submit();
  /// Receives what has come; false if there was nothing.
  bool receive();
  /// Sends as much as the socket takes.
  void flush();
  void log_out();

  int fd() const { return fd_; }
  bool has_output() const { return sent_slot_ != filled_slot_; }
  std::uint32_t in_flight() const { return in_flight_; }

 private:
  // A piece of output: a copied header or digest, or a part of the payload.
  struct Slot {
    const std::uint8_t* bytes = nullptr;
    std::uint32_t size = 0;
    std::array<std::uint8_t, kHeaderBytes + 8> copy{};
  };
  using Header = std::array<std::uint8_t, kHeaderBytes>;

  void connect_and_log_in();
  int login_step(int stage, const std::string& keys);
  void take_parameters(const std::string& text);
  void read_capacity();
  void start_command(std::uint64_t now);
  std::uint64_t choose_lba();
  void handle(const std::uint8_t* header, const std::uint8_t* data, std::uint32_t size);
  void answer_r2t(const std::uint8_t* r2t);
  void answer_ping(const std::uint8_t* nop_in);
  void complete(std::uint32_t tag, unsigned status);
  void push(Header& header, std::size_t offset, std::uint32_t size);
  void push_piece(const std::uint8_t* bytes, std::uint32_t size, bool copy);
  void receive_exactly(std::uint8_t* into, std::size_t count);
  void send_now();

  static constexpr std::uint32_t kQueueSlots = 16384;  // a power of two

  const Options& options_;
  const unsigned id_;
  const std::uint8_t* const payload_;
  Totals& totals_;
  int fd_ = -1;
  std::vector<std::uint8_t> received_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<Slot> queue_;
  std::uint32_t sent_slot_ = 0;
  std::uint32_t filled_slot_ = 0;
  std::uint32_t sent_in_slot_ = 0;

  bool header_digest_ = false;
  bool data_digest_ = false;
  bool immediate_data_ = true;
  std::uint32_t first_burst_ = 65536;
  std::uint32_t target_segment_ = 8192;
  std::uint32_t cmd_sn_ = 1;
  std::uint32_t exp_stat_sn_ = 0;
  std::uint32_t max_cmd_sn_ = 1;

  std::uint64_t block_count_ = 0;
  std::uint32_t logical_block_ = 512;
  std::uint64_t next_sequential_ = 0;
  std::array<std::uint64_t, kMaxDepth> started_{};
  std::array<std::uint32_t, kMaxDepth> free_tags_{};
  std::uint32_t free_count_ = 0;
  std::uint32_t in_flight_ = 0;
};

}  // namespace iblast
