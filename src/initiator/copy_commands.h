// The command sets by which a target can be asked to copy between two of its logical units (SPC-4 §5.17): EXTENDED COPY
// (initiator/extended_copy.h), and tokens (initiator/token_copy.h). Each is offered for a pair of disks, after the
// target was asked what it takes; initiator/unit_copy.h goes from one to the next where one is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "block/copy_offload.h"
#include "initiator/lun.h"
#include "io/event.h"
#include "io/executor.h"
#include "io/reactor.h"
#include "io/task.h"
#include "scsi/opcodes.h"
#include "scsi/third_party_copy_page.h"

namespace peerlane::initiator {

/// A piece of a copy that a target is asked for, and who watches it.
struct CopyPart {
  block::CopyRange range;
  std::uint64_t before = 0;  // bytes of the whole copy that were copied before this piece
  block::CopyWatch& watch;
};

/// A command set, offered for copies between two disks. Used from any reactor.
class CopyCommands {
 public:
  virtual ~CopyCommands() = default;

  /// As people know it: "tokens".
  virtual const char* name() const = 0;

  std::uint64_t unit() const { return unit_; }  // bytes, a power of two
  std::uint64_t most() const { return most_; }  // bytes of one piece, a multiple of the unit

  /// Has the beginning of a piece copied, and waits for the end. How much of it, in bytes: a multiple of the unit, and
  /// not 0. `from` and `to` are paths to the two disks. Errors: ENOTSUP, the target refuses, and some may have been
  /// written; ECANCELED; those of which is_path_error() is true, after which the piece can be asked for again; others,
  /// as those of writing to the destination.
  virtual io::Task<Result<std::uint64_t>> copy(Lun& from, Lun& to, CopyPart part) const = 0;

 protected:
  CopyCommands(std::uint64_t unit, std::uint64_t most) : unit_(unit), most_(most) {}

 private:
  const std::uint64_t unit_;
  const std::uint64_t most_;
};

using OfferedCommands = Result<std::shared_ptr<const CopyCommands>>;

// --- What the command sets are made of ---

inline constexpr std::size_t kCopyParameterBytes = 1024;        // of answers: more than any of them has
inline constexpr std::uint64_t kCopyPieceAlignment = 1u << 20;  // pieces of a few MiB begin where disks like it

/// `most` bytes, rounded down to what pieces are made of.
std::uint64_t whole_pieces(std::uint64_t most, std::uint64_t unit);

/// The target's name, as it was logged in to.
const std::string& target_of(const Lun& lun);

/// The CDB of a command with a parameter list or room for an answer of `length` bytes.
Cdb copy_cdb(scsi::OperationCode operation, std::uint16_t service_action, std::uint32_t list_identifier,
             std::size_t length);

/// Parameter data of a command without data-out: at most kCopyParameterBytes. At the Lun's home.
io::Task<Result<Bytes>> fetch(Lun& lun, Cdb cdb, const char* doing);

/// A command with the parameter list, which outlives the call, that begins a copy and waits for its end; ends early
/// with the watch's cancellation, or when so much should have been copied long since. At the Lun's home.
io::Task<Result<ScsiResult>> execute_copy(Lun& lun, Cdb cdb, ByteView list, const CopyPart& part);

/// What the answer to it means. ENOTSUP: the target refuses. ECANCELED, if that was asked for. Others as to_error().
Result<void> outcome_of(const Result<ScsiResult>& result, const block::CopyWatch& watch, const char* doing);

/// Page 8Fh of a unit; empty if it has none. On any reactor.
io::Task<scsi::ThirdPartyCopyPage> third_party_page(Lun& lun);

/// Asks how far a copy is while its command is under way, until the target has no answer. At the Lun's home.
class CopyStatusWatch {
 public:
  /// `bytes_of` reads the answer to `cdb`, as bytes of `part`; nothing if it does not tell.
  using Reading = std::function<std::optional<std::uint64_t>(ByteView)>;
  CopyStatusWatch(Lun& lun, const Cdb& cdb, CopyPart part, Reading bytes_of);

  /// Detached, once. stop() waits for its end.
  io::Task<void> run();
  io::Task<void> stop();

 private:
  Lun& lun_;
  const Cdb cdb_;
  const CopyPart part_;
  const Reading bytes_of_;
  io::Timer timer_;
  io::Event wake_;
  io::Gate running_;
  bool stopped_ = false;
};

/// Runs `make()`'s task at the home of `lun`.
template <typename T>
io::Task<T> at_home(const Lun& lun, std::function<io::Task<T>()> make) {
  struct Keep {
    static io::Task<void> result_of(const std::function<io::Task<T>()>& task, std::optional<T>& kept) {
      auto value = co_await task();
      kept.emplace(std::move(value));
    }
  };
  std::optional<T> result;
  std::function<io::Task<void>()> there = [&make, &result] { return Keep::result_of(make, result); };
  auto running = io::run_on(io::Reactor::current(), lun.session().reactor(), std::move(there));
  co_await std::move(running);
  co_return std::move(*result);
}

}  // namespace peerlane::initiator
