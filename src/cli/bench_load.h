// A load: reads and writes of one block size, so many at a time, as fast as a disk takes them or at a given rate. Each
// LoadSession keeps `depth` of them under way on one Device and one reactor; several sessions, on their own reactors,
// share a Load.
//
// Latency is from when an I/O was made until its result was there, with everything that this process did in between.
// Per I/O there is one look at the clock and no heap allocation (with a rate there are more).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/histogram.h"
#include "block/device.h"
#include "cli/bench_data.h"
#include "io/buffer_pool.h"
#include "io/event.h"
#include "io/reactor.h"

namespace peerlane::cli {

struct LoadOptions {
  bool random = true;
  unsigned read_percent = 100;  // 100: reads only, 0: writes only
  bool fua = false;             // writes are durable when they complete
  std::size_t block_bytes = 4096;
  unsigned depth = 32;      // of each session
  unsigned sessions = 1;    // that share the load
  std::uint64_t begin = 0;  // the range; multiples of block_bytes apart
  std::uint64_t end = 0;
  bool verify = false;
  std::uint64_t seed = 0;
  double rate = 0;          // I/Os a second of all sessions; 0: no limit
  io::Duration warm_up{0};  // at the start; not counted
  io::Duration time{0};     // that is counted; 0: no limit
  std::uint64_t ios = 0;    // that are counted, of all sessions; 0: no limit
};

/// What one thread's sessions have counted.
struct LoadTally {
  Histogram reads;  // nanoseconds
  Histogram writes;
  std::uint64_t checked = 0;          // blocks that were verified
  io::TimePoint last{};               // when the last one of those that count was done
  std::atomic<std::uint64_t> ios{0};  // all that were done, for who looks on from another thread
};

/// What all sessions of a run share. Thread-safe but for the options.
class Load {
 public:
  explicit Load(const LoadOptions& options);

  const LoadOptions& options() const { return options_; }
  std::uint64_t blocks() const { return (options_.end - options_.begin) / options_.block_bytes; }

  /// Sets the time at which the warm-up begins; before the sessions run.
  void start(io::TimePoint now);
  io::TimePoint counts_from() const { return counts_from_; }
  io::TimePoint ends_at() const { return ends_at_; }

  /// The sessions begin nothing more.
  void stop() { stopping_.store(true, std::memory_order_relaxed); }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  /// Stops because of `error`; the first one is kept.
  void fail_with(Error error);
  std::optional<Error> error() const;

  /// Null without verification, or if nothing is written.
  WrittenBlocks* written() const { return written_.get(); }

 private:
  const LoadOptions options_;
  io::TimePoint counts_from_{};
  io::TimePoint ends_at_ = io::TimePoint::max();
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::optional<Error> error_;  // guarded by mutex_
  std::unique_ptr<WrittenBlocks> written_;
};

/// Belongs to the reactor on which it is made, run and destroyed.
class LoadSession {
 public:
  /// Number `number` of the load's sessions. `device` and the others outlive it.
  LoadSession(Load& load, unsigned number, block::Device& device, LoadTally& tally);
  ~LoadSession();

  /// Takes memory for the data. Errors: ENOMEM.
  Result<void> prepare(io::Reactor& reactor);

  /// Runs this session's part until the time is over, all is done, or the load is stopped.
  io::Task<void> run();

  /// Reads everything back that the run has written and compares it; each session does its part.
  io::Task<void> check_written();

 private:
  struct Io {
    std::uint64_t offset = 0;
    bool write = false;
    bool check = false;  // what is read is to be verified
  };

  io::Task<void> work(ByteSpan buffer);
  io::Task<void> check_part(ByteSpan buffer);
  io::Task<bool> wait_for_turn();
  bool next(io::TimePoint begun, Io& io);
  bool verify(const Io& io, ByteView buffer);
  void count(const Io& io, io::TimePoint begun, io::TimePoint done);
  void failed(const Io& io, const Error& error);
  std::uint64_t random();

  Load& load_;
  const LoadOptions& options_;
  block::Device& device_;
  LoadTally& tally_;
  io::Reactor* reactor_ = nullptr;

  std::uint64_t random_;
  std::uint64_t first_ = 0;  // blocks of this session's part: it goes through these in order
  std::uint64_t end_ = 0;
  std::uint64_t cursor_ = 0;
  std::uint64_t left_ = 0;    // I/Os that it may still do, if their number is limited
  io::Duration interval_{0};  // between two I/Os, with a rate
  io::TimePoint due_{};

  struct Free {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
  };
  std::vector<io::Buffer> pooled_;
  std::unique_ptr<std::uint8_t, Free> memory_;
  std::vector<ByteSpan> buffers_;
  io::Gate working_;
};

}  // namespace peerlane::cli
