// Storage that copies by itself: it is told from where to where, and the data do not come to this host. A target with
// third-party copies (SPC-4 §5.17) is one.
//
// Device::copy_offload() leads here. Like Device::backing() it leads past all filters, so whoever has something copied
// does it within Device::around() of both disks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/task.h"

namespace peerlane::block {

/// A range that is to be copied. Bytes; both ranges are on the disks, begin and end at multiples of the offer's unit,
/// and have nothing in common.
struct CopyRange {
  std::uint64_t from = 0;  // at the source
  std::uint64_t to = 0;    // at the destination
  std::uint64_t length = 0;
};

/// What is known of a copy while it is under way, shared by who asked for it and who has it done, which may be on
/// different threads.
struct CopyWatch {
  std::atomic<std::uint64_t> moved{0};  // bytes, as far as the storage has told
  std::atomic<bool> canceled{false};    // it is to end, soon and with an error
};

/// What storage tells of copies that it has carried out.
struct CopyAccount {
  struct Way {
    std::string name;  // as the storage calls it: "clone"
    std::uint64_t bytes = 0;
  };
  std::vector<Way> ways;
  std::uint64_t memory_bytes = 0;  // that crossed the storage's own memory
  std::string last;                // what carried the last of them: "peer-to-peer through the memory of 0000:03:00.0"
};

/// How storage would copy between two disks.
struct CopyOffer {
  std::uint64_t unit = 4096;          // bytes, a power of two
  std::uint64_t most = 0;             // bytes of a range, a multiple of the unit
  std::string way;                    // how they are going to be moved there, as far as it tells; may be empty
  std::vector<std::string> refusals;  // and why no shorter way: "not clone: ..."
};

/// Copies between two disks that their storage carries out. Used from any reactor; the disks outlive it.
class OffloadedCopy {
 public:
  OffloadedCopy() = default;
  OffloadedCopy(const OffloadedCopy&) = delete;
  OffloadedCopy& operator=(const OffloadedCopy&) = delete;
  virtual ~OffloadedCopy() = default;

  virtual const CopyOffer& offer() const = 0;

  /// Where the data stay, and what storage is asked by, for people: "within the target iqn.2026-11.org.example:a by
  /// tokens". After a copy, what it was asked by in the end.
  virtual std::string place() const = 0;

  /// Has `range` copied, and waits for the end; `watch` outlives the call. Several may be under way. Errors: ENOTSUP,
  /// the storage refuses, or cannot, and some of it may have been written; the message says why. ECANCELED after
  /// `watch.canceled`. Others: as those of writing to the destination.
  virtual io::Task<Result<void>> copy(CopyRange range, CopyWatch& watch) = 0;

  /// What the storage says that it has done since the offer was made: for the destination, by whomever it was asked.
  /// Nothing if it does not tell.
  virtual io::Task<std::optional<CopyAccount>> account() = 0;
};

/// Storage as one disk knows it.
class CopyOffload {
 public:
  /// Asks the storage whether it can copy from `source` to this disk, and how. Changes nothing on either.
  /// ENOTSUP: it cannot, for the reason in the message.
  virtual io::Task<Result<std::shared_ptr<OffloadedCopy>>> offer_copy_from(CopyOffload& source) = 0;

 protected:
  CopyOffload() = default;
  ~CopyOffload() = default;
};

}  // namespace peerlane::block
