// All sessions of a service, by what names them (RFC 7143 §6.3.1): which exists, which takes the place of which.
// Thread-safe: logins happen on every reactor.
//
// Opening a session takes two steps, since a session that is replaced has to end first, on its own reactor: open()
// reserves the place, attach() puts the session there. Whoever is replaced between the two learns it from attach().
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "iscsi/pdu_control.h"
#include "target/session.h"

namespace peerlane::target {

/// What makes two logins mean the same session.
struct SessionKey {
  std::string initiator;
  iscsi::Isid isid{};
  std::string target;  // empty: discovery
  std::uint16_t portal_group = 0;

  bool operator==(const SessionKey&) const = default;
};

class SessionRegistry {
 public:
  struct Found {
    std::uint16_t tsih = 0;
    std::uint16_t cid = 0;  // of its only connection
  };
  /// The session of that key. Discovery sessions are found by none: each stands for itself.
  std::optional<Found> find(const SessionKey& key);

  struct Place {
    std::uint64_t ticket = 0;  // for attach() and close()
    std::uint16_t tsih = 0;
    std::shared_ptr<Session> replaced;  // to be ended by the caller; may be null
  };
  /// Reserves a place; the session of the same key, if there is one, is in the registry no longer. `keep_tsih`: the new
  /// one gets its TSIH (session continuation). Nothing: there are limits::kSessions already.
  std::optional<Place> open(const SessionKey& key, std::uint16_t cid, bool keep_tsih);

  /// Puts a session into its place. False: another login has taken the place meanwhile.
  bool attach(std::uint64_t ticket, std::shared_ptr<Session> session);

  /// Gives the place up, if it is still held.
  void close(std::uint64_t ticket);

  /// The sessions of a target node, with those that are being replaced.
  std::vector<std::shared_ptr<Session>> sessions_of(const TargetNode& target);

 private:
  struct Entry {
    SessionKey key;
    std::uint64_t ticket = 0;
    std::uint16_t cid = 0;
    std::shared_ptr<Session> session;      // null until attached
    std::shared_ptr<Session> predecessor;  // until then the session that is replaced, and may not have ended yet
  };
  using Entries = std::unordered_map<std::uint16_t, Entry>;

  Entries::iterator find_entry(const SessionKey& key);
  std::uint16_t free_tsih();

  std::mutex mutex_;
  Entries entries_;  // by TSIH
  std::uint64_t last_ticket_ = 0;
  std::uint16_t last_tsih_ = 0;
};

}  // namespace peerlane::target
