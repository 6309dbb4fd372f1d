// A copy as action: many pieces of a plan under way at the same time, by the ways that the plan has for them, until all
// bytes are at the destination and on stable storage.
//
// A piece is read and written by one of several coroutines, so that about half of them read while the others write and
// both ends are busy. How many there are is found while the copy goes (copy/depth.h), unless it is told. A way that
// cannot move a piece after all is replaced by the next longer one that is open, for that piece, unless only one way is
// wanted. The first error ends the copy: nothing new is begun, and what is under way comes to its end.
//
// A Job lives on one reactor.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "block/token_bucket.h"
#include "copy/compare.h"
#include "copy/depth.h"
#include "copy/host_memory.h"
#include "copy/journal.h"
#include "copy/pieces.h"
#include "copy/plan.h"
#include "copy/progress.h"
#include "copy/zeroes.h"
#include "io/event.h"
#include "io/executor.h"

namespace peerlane::copy {

struct JobOptions {
  unsigned depth = 0;                                        // 1 to limits::kMostCopyDepth; 0: what is found best
  std::size_t request_bytes = limits::kCopyRequestBytes;     // a multiple of 4096, at most that
  std::uint64_t rate = 0;                                    // bytes a second; 0: no limit
  bool verify = false;                                       // read back and compare at the end
  bool flush = true;                                         // bring the destination to stable storage at the end
  std::string journal = {};                                  // the file, for a copy that can go on later; empty: none
  io::Duration journal_interval = limits::kJournalInterval;  // between two entries
};

/// Why pieces took a longer way than planned.
struct Fallback {
  Way from = Way::kHostMemory;
  std::string reason;
  std::uint64_t pieces = 0;
};

/// How a copy went.
struct Summary {
  Account account;
  std::vector<Fallback> fallbacks;            // by reason, at most limits::kCopyReasons
  std::string through;                        // what carried the data of direct ways; may be empty
  std::optional<block::CopyAccount> storage;  // what storage tells that was asked for the copy
  std::uint64_t bytes = 0;                    // of the whole range that are at the destination
  std::uint64_t contiguous = 0;               // of these, all that come before the first that is not
  std::uint64_t resumed_at = 0;               // of these, what an earlier copy had done
  std::chrono::duration<double> elapsed{0};
  double processor_seconds = 0;  // of this process, user and system
  bool verified = false;
};

class Job {
 public:
  /// The plan's devices outlive the job.
  Job(Plan plan, JobOptions options);
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() = default;

  /// Whether the options can be had together, and with this plan and its journal: what run() would refuse before it
  /// does anything. EINVAL, with a sentence for the user. Blocks for the time it takes to read the journal.
  Result<void> check();

  /// Copies, flushes the destination, and verifies if that was asked for. Called once. Errors: ECANCELED after
  /// cancel(); EILSEQ: the verification has found a difference; EINVAL: see check(); what an end reports, with the
  /// place.
  io::Task<Result<void>> run();

  /// Ends the copy as soon as what is under way has ended. On the job's reactor, as the next two.
  void cancel();

  /// Begins nothing new until resume(); what is under way comes to its end.
  void pause();
  void resume();

  Progress progress() const;
  Summary summary() const;

 private:
  Result<void> check_options() const;
  Result<void> open_journal();
  io::Task<Result<void>> copy(std::uint64_t from);
  io::Task<Result<void>> check_room();
  Result<void> settle();
  io::Task<Result<void>> flush();
  io::Task<Result<void>> verify();
  Depth depth_of_copy() const;
  io::Task<void> pass(std::uint64_t from, Depth depth);
  io::Task<void> work(std::size_t slot);
  io::Task<Result<void>> move(Piece piece);
  io::Task<Result<void>> move_directly(Piece piece);
  io::Task<Result<void>> move_in_parts(Piece piece, Way way);
  io::Task<void> conclude();
  Mover& mover_of(Way way);
  Way longer_way(const Piece& piece) const;
  std::uint64_t most_of(Way way) const;
  void count_fallback(Way from, const std::string& reason);
  io::Task<void> throttle(std::uint64_t bytes);
  io::Task<void> keep_journal();
  io::Task<Result<void>> write_journal();
  PieceSizes sizes(bool verifying) const;
  std::uint64_t settled_until() const;
  bool ending() const { return canceled_ || error_.has_value(); }
  void end_with(const Error& error);
  void measure(const Piece& piece);
  void wake_workers();
  void end_streams();

  const Plan plan_;
  const JobOptions options_;
  Account account_;
  io::BufferShare share_;
  Zeroes zeroes_;
  HostMemory host_memory_;
  std::vector<std::unique_ptr<Mover>> direct_;  // as plan_.direct_ways()
  Compare compare_;
  std::optional<Journal> journal_;
  std::optional<block::TokenBucket> bucket_;

  Phase phase_ = Phase::kCopying;
  std::optional<Pieces> pieces_;          // of the pass that is going on
  std::optional<Depth> depth_;            // the same
  io::Event deeper_;                      // it has grown, or the pass comes to its end
  bool all_begun_ = false;                // nothing is left of it that has not been begun
  std::vector<std::uint64_t> under_way_;  // positions where pieces begin that have not ended well; kUnknown: none
  std::uint64_t done_ = 0;                // bytes of this pass
  std::uint64_t moved_ = 0;
  std::uint64_t resumed_at_ = 0;
  std::uint64_t journaled_ = 0;
  std::vector<Fallback> fallbacks_;
  bool canceled_ = false;
  bool paused_ = false;
  io::Event resumed_;
  bool stopping_journal_ = false;
  std::optional<Error> error_;
  io::Event journal_wake_;
  io::Gate workers_;
  io::Gate journal_keeper_;
  io::TimePoint started_;
  io::TimePoint ended_;
  double processor_at_start_ = 0;
  double processor_at_end_ = 0;
};

}  // namespace peerlane::copy
