#include "target/session_registry.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace peerlane::target {

SessionRegistry::Entries::iterator SessionRegistry::find_entry(const SessionKey& key) {
  if (key.target.empty()) return entries_.end();
  return std::ranges::find_if(entries_, [&](const auto& entry) { return entry.second.key == key; });
}

std::optional<SessionRegistry::Found> SessionRegistry::find(const SessionKey& key) {
  const std::scoped_lock lock(mutex_);
  const auto at = find_entry(key);
  if (at == entries_.end()) return std::nullopt;
  return Found{at->first, at->second.cid};
}

/// The next TSIH that no session has; 0 means "none" (RFC 7143 §11.12.6).
std::uint16_t SessionRegistry::free_tsih() {
  static_assert(limits::kSessions < 0xffff);
  do {
    ++last_tsih_;
  } while (last_tsih_ == 0 || entries_.contains(last_tsih_));
  return last_tsih_;
}

std::optional<SessionRegistry::Place> SessionRegistry::open(const SessionKey& key, std::uint16_t cid, bool keep_tsih) {
  const std::scoped_lock lock(mutex_);
  Place place;
  const auto existing = find_entry(key);
  if (existing != entries_.end()) {
    Entry& entry = existing->second;
    place.replaced = std::move(entry.session ? entry.session : entry.predecessor);
    if (keep_tsih) place.tsih = existing->first;
    entries_.erase(existing);
  }
  if (entries_.size() >= limits::kSessions) return std::nullopt;
  if (place.tsih == 0) place.tsih = free_tsih();
  place.ticket = ++last_ticket_;
  entries_.emplace(place.tsih, Entry{key, place.ticket, cid, nullptr, place.replaced});
  return place;
}

bool SessionRegistry::attach(std::uint64_t ticket, std::shared_ptr<Session> session) {
  const std::scoped_lock lock(mutex_);
  const auto at = entries_.find(session->identity().tsih);
  if (at == entries_.end() || at->second.ticket != ticket) return false;
  at->second.session = std::move(session);
  at->second.predecessor.reset();
  return true;
}

void SessionRegistry::close(std::uint64_t ticket) {
  Entry last;  // outlives the lock
  const std::scoped_lock lock(mutex_);
  const auto at = std::ranges::find_if(entries_, [&](const auto& entry) { return entry.second.ticket == ticket; });
  if (at == entries_.end()) return;
  last = std::move(at->second);
  entries_.erase(at);
}

std::vector<std::shared_ptr<Session>> SessionRegistry::sessions_of(const TargetNode& target) {
  std::vector<std::shared_ptr<Session>> sessions;
  const std::scoped_lock lock(mutex_);
  for (const auto& [tsih, entry] : entries_) {
    const std::shared_ptr<Session>& session = entry.session ? entry.session : entry.predecessor;
    if (session && session->identity().target == &target) sessions.push_back(session);
  }
  return sessions;
}

}  // namespace peerlane::target
