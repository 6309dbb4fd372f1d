#include "target/persistent_reservations.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

std::unexpected<Completion> reservation_conflict() {
  return std::unexpected(Completion{scsi::Status::kReservationConflict, std::nullopt});
}

std::unexpected<Completion> refused(const scsi::Sense& sense) {
  return std::unexpected(Completion::check(sense));
}

constexpr std::size_t kScopeAndTypeByte = 2;  // of the CDB

}  // namespace

// --- What there is ---

std::optional<PersistentReservations> PersistentReservations::restore(std::vector<Registration> registrations,
                                                                      std::optional<scsi::ReservationType> type) {
  const auto holders = std::ranges::count_if(registrations, &Registration::holds);
  const bool one_holder = type && !scsi::is_all_registrants(*type);
  if (holders != (one_holder ? 1 : 0) || (type && registrations.empty())) return std::nullopt;
  if (registrations.size() > limits::kRegistrations) return std::nullopt;
  PersistentReservations restored;
  for (Registration& registration : registrations) {
    if (registration.key == 0 || restored.find(registration.nexus) != nullptr) return std::nullopt;
    restored.registrations_.push_back(std::move(registration));
  }
  restored.type_ = type;
  restored.persist_ = true;
  return restored;
}

bool PersistentReservations::is_holder(const Registration& registration) const {
  return type_ && (registration.holds || scsi::is_all_registrants(*type_));
}

std::uint64_t PersistentReservations::reservation_key() const {
  const auto at = std::ranges::find_if(registrations_, &Registration::holds);
  return at != registrations_.end() ? at->key : 0;
}

const PersistentReservations::Registration* PersistentReservations::find(const NexusName& nexus) const {
  const auto at = std::ranges::find(registrations_, nexus, &Registration::nexus);
  return at != registrations_.end() ? &*at : nullptr;
}

PersistentReservations::Registration* PersistentReservations::look_up(const NexusName& nexus) {
  return const_cast<Registration*>(std::as_const(*this).find(nexus));
}

ConflictSet PersistentReservations::conflicts(const NexusName& nexus) const {
  if (!type_) return 0;
  const Registration* const registration = find(nexus);
  if (registration != nullptr && (is_holder(*registration) || scsi::is_registrants_only(*type_))) return 0;
  ConflictSet set = conflict(ReservationClass::kWrite);
  if (!scsi::is_write_exclusive(*type_)) set |= conflict(ReservationClass::kRead);
  return set;
}

// --- What the service actions share ---

/// The registration of `nexus` if its key is `key`; null means a reservation conflict.
PersistentReservations::Registration* PersistentReservations::authenticate(const NexusName& nexus, std::uint64_t key) {
  Registration* const registration = look_up(nexus);
  return registration != nullptr && registration->key == key ? registration : nullptr;
}

/// The one holder; null also with an all registrants type.
PersistentReservations::Registration* PersistentReservations::holder() {
  const auto at = std::ranges::find_if(registrations_, &Registration::holds);
  return at != registrations_.end() ? &*at : nullptr;
}

void PersistentReservations::drop_reservation() {
  type_.reset();
  for (Registration& registration : registrations_) registration.holds = false;
}

void PersistentReservations::tell_others(const NexusName& except, scsi::SenseCode code,
                                         ReservationEffects& effects) const {
  for (const Registration& registration : registrations_) {
    if (registration.nexus != except) effects.attentions.push_back({registration.nexus, code});
  }
}

/// Ends a registration (§5.12.11.2.3). The holder's reservation goes with it; with an all registrants type, the last
/// one's.
void PersistentReservations::unregister(const NexusName& nexus, ReservationEffects& effects) {
  const bool held = find(nexus)->holds;
  std::erase_if(registrations_, [&](const Registration& registration) { return registration.nexus == nexus; });
  if (held && scsi::is_registrants_only(*type_)) tell_others(nexus, codes::kReservationsReleased, effects);
  if (held || registrations_.empty()) drop_reservation();
}

// --- REGISTER ---

void PersistentReservations::apply(const NexusName& nexus, const Register& request, ReservationEffects& effects) {
  Registration* const registration = look_up(nexus);
  if (registration == nullptr) {
    if (request.action_key != 0) registrations_.push_back({nexus, request.action_key});
  } else if (request.action_key != 0) {
    registration->key = request.action_key;
  } else {
    unregister(nexus, effects);
  }
}

ReservationResult PersistentReservations::register_key(const NexusName& nexus, const Register& request) {
  const auto admitted = [&](const NexusName& name) {
    const Registration* const registration = find(name);
    return request.ignore_key || request.key == (registration != nullptr ? registration->key : 0);
  };
  if (!admitted(nexus)) return reservation_conflict();
  // As it is now: the first of several must not admit or exclude the next.
  std::vector<NexusName> chosen{nexus};
  for (const NexusName& other : request.also) {
    if (admitted(other) && std::ranges::find(chosen, other) == chosen.end()) chosen.push_back(other);
  }
  ReservationEffects effects;
  for (const NexusName& name : chosen) apply(name, request, effects);
  if (registrations_.size() > limits::kRegistrations) {
    return refused(scsi::illegal_request(codes::kInsufficientRegistrationResources));
  }
  persist_ = request.persist;
  ++generation_;
  return effects;
}

// --- RESERVE, RELEASE, CLEAR ---

ReservationResult PersistentReservations::reserve(const NexusName& nexus, std::uint64_t key,
                                                  scsi::ReservationType type) {
  Registration* const registration = authenticate(nexus, key);
  if (registration == nullptr) return reservation_conflict();
  if (type_) {
    if (!is_holder(*registration) || *type_ != type) return reservation_conflict();
    return ReservationEffects{};
  }
  type_ = type;
  registration->holds = !scsi::is_all_registrants(type);
  return ReservationEffects{};
}

ReservationResult PersistentReservations::release(const NexusName& nexus, std::uint64_t key,
                                                  scsi::ReservationType type) {
  const Registration* const registration = authenticate(nexus, key);
  if (registration == nullptr) return reservation_conflict();
  ReservationEffects effects;
  if (!is_holder(*registration)) return effects;
  if (*type_ != type) return refused(scsi::illegal_request(codes::kInvalidReleaseOfReservation));
  if (scsi::is_registrants_only(type) || scsi::is_all_registrants(type)) {
    tell_others(nexus, codes::kReservationsReleased, effects);
  }
  drop_reservation();
  return effects;
}

ReservationResult PersistentReservations::clear(const NexusName& nexus, std::uint64_t key) {
  if (authenticate(nexus, key) == nullptr) return reservation_conflict();
  ReservationEffects effects;
  tell_others(nexus, codes::kReservationsPreempted, effects);
  drop_reservation();
  registrations_.clear();
  ++generation_;
  return effects;
}

// --- PREEMPT ---

template <typename Matches>
void PersistentReservations::remove_preempted(const NexusName& requester, Matches&& matches,
                                              ReservationEffects& effects) {
  for (const Registration& registration : registrations_) {
    if (!matches(registration) || registration.nexus == requester) continue;
    effects.attentions.push_back({registration.nexus, codes::kRegistrationsPreempted});
    effects.preempted.push_back(registration.nexus);
  }
  std::erase_if(registrations_, matches);
}

ReservationResult PersistentReservations::preempt(const NexusName& nexus, std::uint64_t key, std::uint64_t action_key,
                                                  std::optional<scsi::ReservationType> type) {
  if (authenticate(nexus, key) == nullptr) return reservation_conflict();
  const bool all_registrants = type_ && scsi::is_all_registrants(*type_);
  const Registration* const held_by = holder();
  ReservationEffects effects;
  if (all_registrants ? action_key == 0 : held_by != nullptr && held_by->key == action_key) {
    // The reservation itself is preempted (§5.12.11.2.4).
    if (!type) return refused(scsi::invalid_field_in_cdb(kScopeAndTypeByte));
    remove_preempted(
        nexus,
        [&](const Registration& other) { return other.nexus != nexus && (all_registrants || other.key == action_key); },
        effects);
    if (*type_ != *type) tell_others(nexus, codes::kReservationsReleased, effects);
    drop_reservation();
    type_ = type;
    look_up(nexus)->holds = !scsi::is_all_registrants(*type);
  } else {
    // Registrations alone (§5.12.11.2.5).
    if (action_key == 0) return refused(scsi::invalid_field_in_parameter_list(scsi::kReserveOutActionKeyByte));
    const auto matches = [action_key](const Registration& other) { return other.key == action_key; };
    if (std::ranges::none_of(registrations_, matches)) return reservation_conflict();
    remove_preempted(nexus, matches, effects);
    if (registrations_.empty()) drop_reservation();
  }
  ++generation_;
  return effects;
}

// --- REGISTER AND MOVE ---

ReservationResult PersistentReservations::move(const NexusName& nexus, const Move& request) {
  const Registration* const registration = authenticate(nexus, request.key);
  // With an all registrants type there is nothing to move: all of them hold it.
  if (registration == nullptr || !registration->holds) return reservation_conflict();
  if (request.action_key == 0) {
    return refused(scsi::invalid_field_in_parameter_list(scsi::kReserveOutActionKeyByte));
  }
  if (request.to == nexus) return refused(scsi::invalid_field_in_parameter_list(scsi::kMoveTransportIdByte));
  look_up(nexus)->holds = false;
  if (Registration* const existing = look_up(request.to)) {
    existing->key = request.action_key;
    existing->holds = true;
  } else {
    registrations_.push_back({request.to, request.action_key, true});
  }
  ReservationEffects effects;
  if (request.unregister) unregister(nexus, effects);
  if (registrations_.size() > limits::kRegistrations) {
    return refused(scsi::illegal_request(codes::kInsufficientRegistrationResources));
  }
  persist_ = request.persist;
  ++generation_;
  return effects;
}

}  // namespace peerlane::target
