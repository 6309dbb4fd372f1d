// The ways in which bytes come from one disk to another. Each is a file of its own behind one small interface, Mover.
//
// Shortest first: a way is shorter than another if less of the machine has to touch the bytes. The planner
// (copy/plan.h) takes the shortest one that both ends can do, and keeps the reasons against each shorter one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "block/copy_offload.h"
#include "io/task.h"

namespace peerlane::copy {

enum class Way : unsigned char {
  kSkip,        // nothing to do: zeroes that the destination has already
  kZeroes,      // the destination makes zeroes by itself: unmapped, or written without data
  kClone,       // the file system lets both files share the blocks
  kServerCopy,  // the server of a network file system copies (RFC 7862 §4, Server-Side Copy)
  kNvmeCopy,    // the disk's controller copies inside it (NVM Command Set Specification §3.3.2, Copy)
  kPeerToPeer,  // from disk to disk through memory of a device on the bus
  kThirdParty,  // the storage of remote disks does it, for being asked (SPC-4 §5.17, third-party copies)
  kHostMemory,  // read into memory of this host and written from it
};
inline constexpr std::size_t kWays = 8;

/// All of them, shortest first.
inline constexpr std::array<Way, kWays> kAllWays{Way::kSkip,     Way::kZeroes,     Way::kClone,      Way::kServerCopy,
                                                 Way::kNvmeCopy, Way::kPeerToPeer, Way::kThirdParty, Way::kHostMemory};

/// "skip", "zeroes", "clone", "server-side copy", "NVMe Copy", "peer-to-peer", "third-party copy", "host memory": for
/// people and as keys.
std::string_view name(Way way);

/// A way that moves data, as options name it: "clone", "server-side-copy", "nvme-copy",
/// "peer-to-peer", "third-party", "host-memory". Errors: EINVAL.
Result<Way> parse_way(std::string_view text);

/// A part of a copy that one mover moves at once. Offsets and lengths are bytes and need not be multiples of any block.
struct Piece {
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
  std::uint64_t length = 0;
  Way way = Way::kHostMemory;
  bool zero = false;  // the source is known to read as zeroes here: it need not be read
};

/// What a copy has come to, by way.
struct Account {
  std::array<std::uint64_t, kWays> bytes{};  // by Way
  std::uint64_t memory_bytes = 0;            // that crossed this host's memory on their way
  std::uint64_t fallbacks = 0;               // pieces that had to take a longer way than planned
  std::uint64_t probe_bytes = 0;             // that were read into it besides, to see what a shorter way had done

  void add(Way way, std::uint64_t count) { bytes[static_cast<std::size_t>(way)] += count; }
  std::uint64_t of(Way way) const { return bytes[static_cast<std::size_t>(way)]; }
};

/// Moves pieces by one way. Many are under way at the same time; all on one reactor.
class Mover {
 public:
  Mover() = default;
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;
  virtual ~Mover() = default;

  /// Moves `piece`, and counts it when all of it has been moved. An error names the end and the offset. ENOTSUP: this
  /// way cannot move it after all, for the reason in the message, and a longer one is to be tried, which writes all of
  /// it again.
  virtual io::Task<Result<void>> move(Piece piece) = 0;

  /// Bytes of pieces under way that are known to have been moved already: progress that a caller does not see.
  virtual std::uint64_t moving() const { return 0; }

  /// What is under way need not come to its end any more.
  virtual void cancel() {}

  /// Called once when the last piece has ended: what is only then to be found out.
  virtual io::Task<void> conclude() { return io::ready(); }

  /// What carried the data, for people: "through the memory of 0000:03:00.0". Empty where there is nothing to be told.
  virtual std::string through() const { return {}; }

  /// What the storage that was asked for a copy says of it; null: nobody was asked, or it does not tell.
  virtual const block::CopyAccount* of_storage() const { return nullptr; }
};

/// What is wrong with one end of a copy, with the place: "reading a.img at offset 4096: Input/output error".
Error explain(std::string_view doing, std::string_view end, std::uint64_t offset, const Error& error);

}  // namespace peerlane::copy
