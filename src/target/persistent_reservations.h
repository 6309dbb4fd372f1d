// The persistent reservations of a logical unit (SPC-4 §5.12): which I_T nexuses are registered with which key, who
// holds the reservation and of what type, and what each service action of PERSISTENT RESERVE OUT makes of that.
//
// A plain value without I/O: a change is tried on a copy, which takes the place of the original once it is durable.
// Registrations belong to I_T nexuses by name, and outlive their sessions.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "scsi/persistent_reservation.h"
#include "target/command.h"
#include "target/nexus_name.h"
#include "target/reservation_class.h"

namespace peerlane::target {

/// What a change means for I_T nexuses other than the one that asked for it.
struct ReservationEffects {
  struct Attention {
    NexusName nexus;
    scsi::SenseCode code;
  };
  std::vector<Attention> attentions;
  std::vector<NexusName> preempted;  // PREEMPT has removed their registrations
};

/// Or why nothing was changed.
using ReservationResult = std::expected<ReservationEffects, Completion>;

class PersistentReservations {
 public:
  struct Registration {
    NexusName nexus;
    std::uint64_t key = 0;  // never 0
    bool holds = false;     // the one holder of a reservation that is not of an all registrants type

    friend bool operator==(const Registration&, const Registration&) = default;
  };

  PersistentReservations() = default;

  /// What was kept of a former life; nothing if it contradicts itself. PRGENERATION begins at 0 (SPC-4 §6.15.2).
  static std::optional<PersistentReservations> restore(std::vector<Registration> registrations,
                                                       std::optional<scsi::ReservationType> type);

  // --- What there is ---

  std::uint32_t generation() const { return generation_; }  // PRGENERATION
  std::span<const Registration> registrations() const { return registrations_; }
  /// The type of the reservation, if there is one.
  std::optional<scsi::ReservationType> type() const { return type_; }
  bool is_holder(const Registration& registration) const;
  /// As READ RESERVATION reports it: 0 with an all registrants type, or without a reservation.
  std::uint64_t reservation_key() const;
  /// Whether registrations and reservation are to survive a loss of power: the last APTPL (SPC-4 §5.12.5).
  bool persist() const { return persist_; }
  /// The registration of an I_T nexus, or null.
  const Registration* find(const NexusName& nexus) const;
  /// The commands that conflict for an I_T nexus.
  ConflictSet conflicts(const NexusName& nexus) const;

  // --- The service actions of PERSISTENT RESERVE OUT, asked for through `nexus` with RESERVATION KEY `key` ---

  /// REGISTER, REGISTER AND IGNORE EXISTING KEY (§5.12.7).
  struct Register {
    std::uint64_t key = 0;
    std::uint64_t action_key = 0;  // the new key; 0: the registration ends
    bool ignore_key = false;
    bool persist = false;
    /// Further I_T nexuses (SPEC_I_PT, ALL_TG_PT), which fare as if each had asked for itself.
    std::vector<NexusName> also = {};
  };
  ReservationResult register_key(const NexusName& nexus, const Register& request);

  /// RESERVE (§5.12.9).
  ReservationResult reserve(const NexusName& nexus, std::uint64_t key, scsi::ReservationType type);

  /// RELEASE (§5.12.11.2.2).
  ReservationResult release(const NexusName& nexus, std::uint64_t key, scsi::ReservationType type);

  /// CLEAR (§5.12.11.2.7).
  ReservationResult clear(const NexusName& nexus, std::uint64_t key);

  /// PREEMPT (§5.12.11.2.4, §5.12.11.2.5). No type: SCOPE and TYPE of the CDB say nothing that there is; that is wrong
  /// only where a reservation is to be made.
  ReservationResult preempt(const NexusName& nexus, std::uint64_t key, std::uint64_t action_key,
                            std::optional<scsi::ReservationType> type);

  /// REGISTER AND MOVE (§5.12.8).
  struct Move {
    std::uint64_t key = 0;
    std::uint64_t action_key = 0;
    bool unregister = false;
    bool persist = false;
    NexusName to;
  };
  ReservationResult move(const NexusName& nexus, const Move& request);

 private:
  Registration* look_up(const NexusName& nexus);
  Registration* authenticate(const NexusName& nexus, std::uint64_t key);
  Registration* holder();
  void apply(const NexusName& nexus, const Register& request, ReservationEffects& effects);
  void unregister(const NexusName& nexus, ReservationEffects& effects);
  void drop_reservation();
  void tell_others(const NexusName& except, scsi::SenseCode code, ReservationEffects& effects) const;
  template <typename Matches>
  void remove_preempted(const NexusName& requester, Matches&& matches, ReservationEffects& effects);

  std::vector<Registration> registrations_;  // in the order in which they were made
  std::optional<scsi::ReservationType> type_;
  std::uint32_t generation_ = 0;
  bool persist_ = false;
};

}  // namespace peerlane::target
