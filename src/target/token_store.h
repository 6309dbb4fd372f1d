// The ROD tokens of a target device (SPC-4 §5.17.6): what each stands for, and how long.
//
// A token is 512 bytes, half of which nobody can guess, and is compared as a whole: who holds it has what the I_T nexus
// that asked for it could read then. It is good in its own target device only. It ends when it is deleted, is not used
// for its inactivity timeout, has reached its lifetime, when its unit is reset, and, unless its data were set aside,
// when they change.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "block/device.h"
#include "iscsi/random.h"
#include "scsi/copy_results.h"
#include "scsi/rod_token.h"
#include "scsi/sense.h"
#include "scsi/token_read.h"
#include "target/change_watch.h"

namespace peerlane::target {

class LogicalUnit;

/// A representation of data: what a token stands for.
struct Rod {
  const LogicalUnit* unit = nullptr;  // whose data they are
  unsigned resets = 0;                // of the unit when it was made
  std::vector<ByteRange> ranges;      // of the unit, in their order; none is empty
  std::uint64_t bytes = 0;            // in all of them
  std::string initiator;              // who has asked for it
  std::chrono::seconds inactivity_timeout{0};

  // One of the two:
  std::shared_ptr<block::Device> snapshot;        // the data as they were, at the same offsets
  std::unique_ptr<ChangeWatch::Watched> watched;  // says when they have changed

  /// Why it is of no use any more, whatever the time; nothing if it is.
  std::optional<scsi::SenseCode> ended() const;

  /// Where the bytes from `offset` (less than `bytes`) on lie in the unit, as far as one range goes.
  ByteRange place(std::uint64_t offset) const;
};

using RodPointer = std::shared_ptr<const Rod>;

/// Why a token of another target is of no use, if that is what an error of its disk says (PeerUnits::find_token()).
std::optional<scsi::SenseCode> token_end(const Error& error);

class TokenStore {
 public:
  using Clock = std::chrono::steady_clock;

  TokenStore() = default;
  TokenStore(const TokenStore&) = delete;
  TokenStore& operator=(const TokenStore&) = delete;

  /// Makes a token. `looks` is what it tells of itself; identifier and tail are filled in. Errors, as sense codes:
  /// INSUFFICIENT RESOURCES TO CREATE ROD TOKEN beyond limits::kTokens, or kInitiatorTokens of one initiator.
  std::expected<scsi::RodTokenBytes, scsi::SenseCode> add(std::unique_ptr<Rod> rod, scsi::RodToken looks,
                                                          Clock::time_point now);

  /// What a token stands for. It is in use, and does not expire, as long as somebody holds the pointer. Errors, with
  /// ILLEGAL REQUEST: UNSUPPORTED TOKEN TYPE, INVALID TOKEN LENGTH, TOKEN UNKNOWN, TOKEN EXPIRED, TOKEN REVOKED.
  std::expected<RodPointer, scsi::SenseCode> find(const scsi::RodTokenBytes& token, Clock::time_point now);

  /// The same by the key of the token, of which it is told the rest.
  struct Found {
    scsi::RodTokenBytes token{};
    RodPointer rod;
  };
  std::expected<Found, scsi::SenseCode> find(const scsi::RodTokenKey& key, Clock::time_point now);

  /// DEL_TKN. Who holds what it stands for goes on.
  void remove(const scsi::RodTokenBytes& token);

  /// All that may be told of those that are good now, oldest first.
  std::vector<scsi::RodManagementToken> list(Clock::time_point now);

  /// Lets go of the data of those that have ended. Why they have is remembered for limits::kTokenMemory.
  void purge(Clock::time_point now);

 private:
  struct Entry {
    scsi::RodTokenBytes token{};
    RodPointer rod;  // null once it has ended
    Clock::time_point made;
    Clock::time_point last_used;  // or when it has ended
    scsi::SenseCode why_ended{};
  };
  using Entries = std::list<Entry>;

  std::expected<Found, scsi::SenseCode> use(ByteView part, std::size_t at, Clock::time_point now);
  static bool expired(Entry& entry, Clock::time_point now);
  static RodPointer end_if_due(Entry& entry, Clock::time_point now);
  Entries::iterator find_entry(ByteView part, std::size_t at);
  std::vector<RodPointer> take_ended(Clock::time_point now);

  std::mutex mutex_;
  Entries entries_;  // oldest first
  std::uint64_t last_identifier_ = 0;
  iscsi::SystemRandom random_;
};

}  // namespace peerlane::target
