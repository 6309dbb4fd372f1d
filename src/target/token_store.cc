#include "target/token_store.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <openssl/crypto.h>

#include "base/limits.h"
#include "scsi/copy_results.h"
#include "scsi/sense_codes.h"
#include "target/logical_unit.h"

namespace peerlane::target {

namespace codes = scsi::sense_codes;

std::optional<scsi::SenseCode> Rod::ended() const {
  const bool revoked = unit->resets() != resets || (watched != nullptr && watched->changed());
  return revoked ? std::optional(codes::kTokenRevoked) : std::nullopt;
}

std::optional<scsi::SenseCode> token_end(const Error& error) {
  if (error.code == EKEYREVOKED) return codes::kTokenRevoked;
  if (error.code == EKEYEXPIRED) return codes::kTokenExpired;
  if (error.code == ENOKEY) return codes::kTokenUnknown;
  return std::nullopt;
}

ByteRange Rod::place(std::uint64_t offset) const {
  auto range = ranges.begin();
  while (offset >= range->length) offset -= (range++)->length;
  return {range->offset + offset, range->length - offset};
}

std::expected<scsi::RodTokenBytes, scsi::SenseCode> TokenStore::add(std::unique_ptr<Rod> rod, scsi::RodToken looks,
                                                                    Clock::time_point now) {
  purge(now);
  const std::lock_guard lock(mutex_);
  const auto count = [this](const auto& chosen) {
    return static_cast<std::size_t>(std::ranges::count_if(
        entries_, [&](const Entry& entry) { return entry.rod != nullptr && chosen(*entry.rod); }));
  };
  const bool full =
      count([](const Rod&) { return true; }) >= limits::kTokens ||
      count([&](const Rod& other) { return other.initiator == rod->initiator; }) >= limits::kInitiatorTokens;
  if (full || !random_.fill(looks.tail)) return std::unexpected(codes::kInsufficientResourcesForRodToken);
  looks.identifier = ++last_identifier_;
  Entry& entry = entries_.emplace_back();
  entry.token = scsi::encode_rod_token(looks);
  entry.rod = std::move(rod);
  entry.made = entry.last_used = now;
  return entry.token;
}

std::expected<RodPointer, scsi::SenseCode> TokenStore::find(const scsi::RodTokenBytes& token, Clock::time_point now) {
  if (scsi::rod_token_length(token) != scsi::kRodTokenBytes) return std::unexpected(codes::kInvalidTokenLength);
  const scsi::RodType type = scsi::rod_type(token);
  if (type != scsi::RodType::kPointInTimePersistent && type != scsi::RodType::kPointInTimeVulnerable) {
    return std::unexpected(codes::kUnsupportedTokenType);
  }
  auto found = use(token, 0, now);
  if (!found) return std::unexpected(found.error());
  return std::move(found->rod);
}

std::expected<TokenStore::Found, scsi::SenseCode> TokenStore::find(const scsi::RodTokenKey& key,
                                                                   Clock::time_point now) {
  return use(key, scsi::kRodTokenKeyByte, now);
}

/// The token that has `part` at `at`.
std::expected<TokenStore::Found, scsi::SenseCode> TokenStore::use(ByteView part, std::size_t at,
                                                                  Clock::time_point now) {
  RodPointer ended;  // let go of without the lock
  const std::lock_guard lock(mutex_);
  const auto entry = find_entry(part, at);
  if (entry == entries_.end()) return std::unexpected(codes::kTokenUnknown);
  ended = end_if_due(*entry, now);
  if (entry->rod == nullptr) return std::unexpected(entry->why_ended);
  entry->last_used = now;
  return Found{entry->token, entry->rod};
}

void TokenStore::remove(const scsi::RodTokenBytes& token) {
  Entries removed;
  const std::lock_guard lock(mutex_);
  const auto entry = find_entry(token, 0);
  if (entry != entries_.end()) removed.splice(removed.end(), entries_, entry);
}

std::vector<scsi::RodManagementToken> TokenStore::list(Clock::time_point now) {
  purge(now);
  const std::lock_guard lock(mutex_);
  std::vector<scsi::RodManagementToken> tokens;
  for (const Entry& entry : entries_) {
    if (entry.rod != nullptr) tokens.push_back(scsi::management_token(entry.token));
  }
  return tokens;
}

void TokenStore::purge(Clock::time_point now) {
  // They are let go of without the lock: a file may have to be closed.
  const std::vector<RodPointer> ended = take_ended(now);
}

std::vector<RodPointer> TokenStore::take_ended(Clock::time_point now) {
  std::vector<RodPointer> ended;
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (RodPointer rod = end_if_due(entry, now)) ended.push_back(std::move(rod));
  }
  std::size_t surplus = entries_.size() - std::min(entries_.size(), limits::kTokens);
  std::erase_if(entries_, [&](const Entry& entry) {
    const bool forgotten = entry.rod == nullptr && (surplus > 0 || now - entry.last_used > limits::kTokenMemory);
    if (forgotten && surplus > 0) --surplus;
    return forgotten;
  });
  return ended;
}

/// What an entry has held, if it ends now. With the lock held, as the next two.
RodPointer TokenStore::end_if_due(Entry& entry, Clock::time_point now) {
  if (entry.rod == nullptr) return nullptr;
  auto why = entry.rod->ended();
  if (!why && expired(entry, now)) why = codes::kTokenExpired;
  if (!why) return nullptr;
  entry.why_ended = *why;
  entry.last_used = now;
  return std::exchange(entry.rod, nullptr);
}

bool TokenStore::expired(Entry& entry, Clock::time_point now) {
  if (entry.rod.use_count() > 1) entry.last_used = now;
  return now - entry.last_used > entry.rod->inactivity_timeout || now - entry.made > limits::kTokenLifetime;
}

/// Takes the same time whatever a guess has right.
TokenStore::Entries::iterator TokenStore::find_entry(ByteView part, std::size_t at) {
  return std::ranges::find_if(entries_, [&](const Entry& entry) {
    return CRYPTO_memcmp(entry.token.data() + at, part.data(), part.size()) == 0;
  });
}

}  // namespace peerlane::target
