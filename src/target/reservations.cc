#include "target/reservations.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "scsi/sense_codes.h"
#include "target/logical_unit.h"
#include "target/reservation_record.h"
#include "target/state_store.h"

namespace peerlane::target {
namespace {

constexpr Completion kConflict{scsi::Status::kReservationConflict, std::nullopt};

}  // namespace

Reservations::Reservations(LogicalUnit& unit, StateStore* state, std::string key)
    : unit_(unit), state_(state), key_(std::move(key)), kept_(encode_reservation_record({})) {}

Result<void> Reservations::load() {
  if (state_ == nullptr) return {};
  auto text = state_->load(key_);
  if (!text) return std::unexpected(text.error());
  if (!*text) return {};
  auto restored = decode_reservation_record(**text);
  if (!restored) {
    return fail(restored.error().code,
                fmt::format("the reservations kept as {} cannot be used: the record {}; put the file back from a "
                            "backup, or move it away to start without reservations",
                            key_, restored.error().text()));
  }
  kept_ = std::move(**text);
  const std::lock_guard lock(mutex_);
  persistent_ = std::move(*restored);
  return {};
}

PersistentReservations Reservations::persistent() const {
  const std::lock_guard lock(mutex_);
  return persistent_;
}

// --- RESERVE and RELEASE ---

namespace {

/// Whether RESERVE and RELEASE through an I_T nexus succeed without doing anything (SPC-4 §5.12.3): CRH.
bool handled_compatibly(const PersistentReservations& persistent, const NexusName& nexus) {
  const auto* const registration = persistent.find(nexus);
  if (registration == nullptr || !persistent.type()) return false;
  return persistent.is_holder(*registration) || scsi::is_registrants_only(*persistent.type());
}

}  // namespace

Completion Reservations::reserve(ItlNexus& nexus) {
  const std::lock_guard lock(mutex_);
  if (handled_compatibly(persistent_, nexus.view().name())) return Completion::good();
  if (!persistent_.registrations().empty()) return kConflict;
  if (reserved_by_ != nullptr && reserved_by_ != &nexus) return kConflict;
  if (changing_) return {scsi::Status::kBusy, std::nullopt};
  reserved_by_ = &nexus;
  tell_nexuses();
  return Completion::good();
}

Completion Reservations::release(ItlNexus& nexus) {
  const std::lock_guard lock(mutex_);
  if (handled_compatibly(persistent_, nexus.view().name())) return Completion::good();
  if (!persistent_.registrations().empty()) return kConflict;
  // RELEASE of what is not reserved, or by another, succeeds and does nothing (SPC-2 §7.18.2).
  if (reserved_by_ == &nexus) end_reserve();
  return Completion::good();
}

void Reservations::end_reserve() {
  reserved_by_ = nullptr;
  tell_nexuses();
}

// --- Persistent reservations ---

io::Task<Reservations::Changed> Reservations::change(Change change) {
  co_await turn_.take();
  Changed changed = co_await make(std::move(change));
  turn_.give();
  co_return changed;
}

io::Task<Reservations::Changed> Reservations::make(Change change) {
  PersistentReservations next;
  if (!begin_change(next)) co_return Changed{kConflict};
  ReservationResult result = change(next);
  if (!result) {
    end_change();
    co_return Changed{result.error()};
  }
  auto kept = co_await keep(next);
  if (!kept) {
    log::error("the reservations kept as {} cannot be saved: {}", key_, kept.error().text());
    end_change();
    scsi::Sense sense;
    sense.key = scsi::SenseKey::kHardwareError;
    sense.code = scsi::sense_codes::kInternalTargetFailure;
    co_return Changed{Completion::check(sense)};
  }
  end_change(std::move(next), *result);
  co_return Changed{Completion::good(), std::move(result->preempted)};
}

/// Gives a copy to work on. False: RESERVE has come after the checks that the command went through.
bool Reservations::begin_change(PersistentReservations& next) {
  const std::lock_guard lock(mutex_);
  if (reserved_by_ != nullptr) return false;
  changing_ = true;
  next = persistent_;
  return true;
}

/// Saves what is to survive, if that is something new.
io::Task<Result<void>> Reservations::keep(const PersistentReservations& next) {
  if (state_ == nullptr) co_return Result<void>();
  std::string record = encode_reservation_record(next);
  if (record == kept_) co_return Result<void>();
  kept_.clear();  // after an error either may be there
  std::string key = key_;
  std::string text = record;
  auto saved = co_await state_->save(std::move(key), std::move(text));
  if (saved) kept_ = std::move(record);
  co_return saved;
}

void Reservations::end_change() {
  const std::lock_guard lock(mutex_);
  changing_ = false;
}

void Reservations::end_change(PersistentReservations next, const ReservationEffects& effects) {
  const std::lock_guard lock(mutex_);
  changing_ = false;
  persistent_ = std::move(next);
  tell_nexuses();
  unit_.for_each_nexus([&](ItlNexus& nexus) {
    for (const ReservationEffects::Attention& attention : effects.attentions) {
      if (attention.nexus == nexus.view().name()) nexus.attentions().establish(attention.code);
    }
  });
}

// --- What the nexuses know ---

void Reservations::tell_nexuses() const {
  unit_.for_each_nexus([this](ItlNexus& nexus) { tell(nexus); });
}

void Reservations::tell(ItlNexus& nexus) const {
  ConflictSet set = persistent_.conflicts(nexus.view().name());
  if (reserved_by_ != nullptr) set |= conflict(ReservationClass::kExclusive);
  if (reserved_by_ != nullptr && reserved_by_ != &nexus) {
    set |= conflict(ReservationClass::kUnreserved) | conflict(ReservationClass::kRead) |
           conflict(ReservationClass::kWrite);
  }
  nexus.set_conflicts(set);
}

void Reservations::joined(ItlNexus& nexus) {
  const std::lock_guard lock(mutex_);
  // The same initiator port anew: its former session, which may not have gone yet, is a lost I_T nexus.
  if (reserved_by_ != nullptr && reserved_by_->view().name() == nexus.view().name()) end_reserve();
  tell(nexus);
}

void Reservations::leaves(const ItlNexus& nexus) {
  const std::lock_guard lock(mutex_);
  if (reserved_by_ == &nexus) end_reserve();
}

void Reservations::reset() {
  const std::lock_guard lock(mutex_);
  if (reserved_by_ != nullptr) end_reserve();
}

}  // namespace peerlane::target
