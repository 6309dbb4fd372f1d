// A disk. Everything in Peerlane is a way to reach one, to offer one, or to move data between two of them.
//
// A Device is opened once and used from every reactor at the same time: its operations are started on the reactor that
// calls them (io::Reactor::current()) and complete there; they may begin when they are called, before they are awaited
// (io::later puts that off). Operations may run at the same time and complete in any
// order; who needs an order waits. Offsets and lengths are bytes and multiples of the logical block size, within the
// size; the caller has checked that (devices assert it). Buffers belong to the caller, stay in place until the
// operation completes, and are aligned to `memory_alignment()`.
//
// What a device cannot do by itself it does not offer: callers ask `capabilities()` first, so that a shorter way is
// taken where there is one and never promised where there is none.
//
// Errors: ENOSPC (thin space exhausted), EROFS (read-only), EIO and whatever else the system reports, ENOTSUP for what
// `capabilities()` denies.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "block/statistics.h"
#include "io/task.h"

namespace peerlane::block {

class CopyOffload;

/// What a device can do by itself, beyond reading and writing.
struct Capabilities {
  bool read_only = false;
  bool unmap = false;                   // unmap() deallocates; unmapped blocks read as zeroes
  bool write_zeroes = false;            // write_zeroes() without moving data
  bool allocation = false;              // allocation() knows which blocks have space
  bool volatile_cache = false;          // a completed write may be lost until flush(): WCE is 1
  bool fua = false;                     // write() with kFua is cheaper than write() and flush()
  bool atomic_write = false;            // a write() is done as a whole or not at all, also when the host fails
  bool prefetch = false;                // what was read stays in memory for a while: reading it again is faster
  std::uint32_t unmap_granularity = 0;  // bytes; 0: unknown or none
};

/// Its shape. Sizes are bytes.
struct Geometry {
  std::uint64_t size = 0;                   // a multiple of logical_block_size
  std::uint32_t logical_block_size = 512;   // 512 or 4096
  std::uint32_t physical_block_size = 512;  // a power-of-two multiple of the logical one
};

/// What a device is, for identifiers that must stay the same across restarts, and for people.
struct Identity {
  std::string spec;  // as the user named it, without secrets: "/srv/a.img", "ram:4G"
  std::string
      stable;  // distinguishes this disk from all others on this host and survives a restart; empty: nothing does
};

/// A run of blocks in the same state.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool allocated = true;  // false: reads as zeroes and has no space
};

/// The space that a device takes, in bytes.
struct Space {
  std::uint64_t used = 0;
  std::optional<std::uint64_t> available;  // that its storage still has for it and for others, where that is known
};

/// What a device of this host is made of, for ways that go below it (a direct copy). Borrowed: it is there as long as
/// the device. Whoever reads or writes by it does so within Device::around(), so that no filter is passed over.
struct Backing {
  int descriptor = -1;     // a regular file or a block device, at the same offsets
  bool direct = false;     // past the page cache (O_DIRECT)
  std::uint32_t unit = 0;  // bytes: what reads and writes by the descriptor are multiples of, offset and length
};

enum class WriteFlags : unsigned char { kNone = 0, kFua = 1 };  // kFua: on stable storage when the write completes

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  /// The shape now. The size may change while the device is open (see refresh_size); the rest never does. Thread-safe.
  virtual Geometry geometry() const = 0;
  virtual Capabilities capabilities() const = 0;
  virtual Identity identity() const = 0;

  /// What buffers of read() and write() must be aligned to, in bytes: 1 where the device does not care.
  virtual std::uint32_t memory_alignment() const = 0;

  virtual io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) = 0;
  virtual io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) = 0;

  /// Brings every write that completed before this call to stable storage.
  virtual io::Task<Result<void>> flush() = 0;

  /// Deallocates the range as far as the device can; what it deallocates reads as zeroes afterwards. Needs capability
  /// `unmap`.
  virtual io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) = 0;

  /// Makes the range read as zeroes. `may_unmap`: the range need not keep its space. Needs capability `write_zeroes`.
  virtual io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) = 0;

  /// The states of the blocks from `offset` on, in order and without gaps, until `length` bytes are covered or `most`
  /// extents are found. Needs capability `allocation`.
  virtual io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                           std::size_t most) = 0;

  /// How much space it takes; ENOTSUP where nobody knows. May block for the time of a system call.
  virtual Result<Space> space() const { return fail(ENOTSUP); }

  /// Asks the system for the size now; true if it changed, and geometry() then tells the new one. A device never
  /// shrinks below what is served without an error on the blocks that are gone. May block for the time of a system
  /// call.
  virtual Result<bool> refresh_size() = 0;

  /// What it is made of, if that is one file or block device of this host; nothing otherwise.
  virtual std::optional<Backing> backing() const;

  /// Its storage, if that may copy by itself (block/copy_offload.h); null otherwise. Borrowed: it is there as long as
  /// the device. Whoever has it copy does so within around(), as with backing().
  virtual CopyOffload* copy_offload() { return nullptr; }

  // --- What only filters do something about: they keep data of the device that they wrap ---

  /// Runs `work`, which reads or writes the range by a way of its own below all filters (a direct copy) and does not
  /// begin before it is awaited, as one operation of this device: before it, what the filters hold of the range is on
  /// the device; while it runs, they change nothing there; after it, they hold nothing of it. ENOTSUP: not done, busy.
  virtual io::Task<Result<void>> around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work);

  /// Forgets all that is held of the range, since the device has changed below (a reset, a revert to an older state);
  /// what had not reached the device is lost. Nobody may write to the range meanwhile. Thread-safe.
  virtual void invalidate(std::uint64_t offset, std::uint64_t length);

  /// The end: called once, on some reactor, after all operations have ended and while all reactors still run; no
  /// operation may follow. Brings down what has not reached the device; an error tells that this failed.
  virtual io::Task<Result<void>> close();

  /// What filters have counted since the device was opened. Thread-safe.
  virtual Statistics statistics() const;
};

/// How a disk is to be opened.
struct OpenOptions {
  std::uint32_t logical_block_size = 0;  // 512 or 4096; 0: the device's own, or 512 where it has none
  bool read_only = false;
  bool direct = true;     // O_DIRECT where the file system can; false: through the kernel's page cache
  bool exclusive = true;  // a block device that is mounted or in other exclusive use is not written to
  std::chrono::seconds patience = limits::kPredecessorWait;  // with whoever has it, and may be about to be gone
};

/// Opens a disk by its spec: a path to a regular file or a block device, or ram:SIZE. A trailing part of a file that
/// fills no logical block is not served. The error says what to give instead. Blocks; called at start-up.
Result<std::unique_ptr<Device>> open_device(const std::string& spec, const OpenOptions& options);

}  // namespace peerlane::block
