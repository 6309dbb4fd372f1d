// PERSISTENT RESERVE IN and OUT (SPC-4 §6.15, §6.16), RESERVE and RELEASE (SPC-2 §7.18 to §7.22).

#include <algorithm>
#include <expected>
#include <utility>
#include <vector>

#include "iscsi/name.h"
#include "scsi/persistent_reservation.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/reservations.h"

namespace peerlane::target {
namespace {

constexpr std::uint8_t kServiceActionMask = 0x1f;
constexpr std::size_t kScopeAndTypeByte = 2;
constexpr std::uint8_t kTypeMask = 0x0f;
constexpr unsigned kScopeShift = 4;
constexpr std::size_t kTransportIdsByte = 28;  // of the basic parameter list
constexpr scsi::CdbField kParameterListLength{5, 4};

constexpr std::uint8_t kTestUnitReadyAndModeSense = 3;  // ALLOW COMMANDS: as target/command_rows_*.h have it

using Change = Reservations::Change;

scsi::ReserveOutAction action_of(const CommandContext& context) {
  return static_cast<scsi::ReserveOutAction>(context.cdb()[1] & kServiceActionMask);
}

const NexusName& requester(const CommandContext& context) {
  return context.nexus.view().name();
}

/// SCOPE and TYPE of the CDB: the whole logical unit, and a type that there is.
std::optional<scsi::ReservationType> type_of(ByteView cdb) {
  if (cdb[kScopeAndTypeByte] >> kScopeShift != 0) return std::nullopt;
  return scsi::reservation_type(cdb[kScopeAndTypeByte] & kTypeMask);
}

// --- PERSISTENT RESERVE IN ---

scsi::FullStatus full_status(const PersistentReservations& reservations) {
  scsi::FullStatus status{reservations.generation(), {}};
  for (const PersistentReservations::Registration& registration : reservations.registrations()) {
    scsi::FullStatus::Registration entry;
    entry.key = registration.key;
    if (reservations.is_holder(registration)) entry.holds = reservations.type();
    entry.relative_target_port = registration.nexus.portal_group;
    entry.initiator = {registration.nexus.initiator, registration.nexus.isid};
    status.registrations.push_back(std::move(entry));
  }
  return status;
}

std::vector<std::uint8_t> parameter_data(LogicalUnit& unit, scsi::ReserveInAction action) {
  const PersistentReservations reservations = unit.reservations().persistent();
  switch (action) {
    case scsi::ReserveInAction::kReadKeys: {
      scsi::ReservationKeys keys{reservations.generation(), {}};
      for (const auto& registration : reservations.registrations()) keys.keys.push_back(registration.key);
      return scsi::encode_reservation_keys(keys);
    }
    case scsi::ReserveInAction::kReadReservation: {
      scsi::ReservationState state{reservations.generation()};
      if (reservations.type()) state.reservation = {reservations.reservation_key(), *reservations.type()};
      return scsi::encode_reservation_state(state);
    }
    case scsi::ReserveInAction::kReportCapabilities:
      return scsi::encode_reservation_capabilities({.compatible_handling = true,
                                                    .specify_initiator_ports = true,
                                                    .all_target_ports = true,
                                                    .persist_capable = unit.reservations().can_persist(),
                                                    .persist_active = reservations.persist(),
                                                    .allow_commands = kTestUnitReadyAndModeSense,
                                                    .all_types = true});
    case scsi::ReserveInAction::kReadFullStatus:
      return scsi::encode_full_status(full_status(reservations));
  }
  std::unreachable();
}

// --- PERSISTENT RESERVE OUT: what a parameter list asks for, as a change of the reservations ---

std::expected<std::string, scsi::Sense> initiator_name(const scsi::TransportId& id, std::size_t byte) {
  auto name = iscsi::normalise_name(id.name);
  if (!name) return std::unexpected(scsi::invalid_field_in_parameter_list(byte));
  return std::move(*name);
}

bool is_target_port(const CommandContext& context, std::uint16_t port) {
  const auto ports = context.unit.port_groups().tags();
  return port == requester(context).portal_group || std::ranges::find(ports, port) != ports.end();
}

/// The initiator ports that SPEC_I_PT names, as nexuses to the requester's target port. A device stands for those of
/// its ports that have a session (SPC-4 §7.6.4.6).
std::expected<std::vector<NexusName>, scsi::Sense> specified_nexuses(const CommandContext& context,
                                                                     const std::vector<scsi::TransportId>& initiators) {
  std::vector<NexusName> nexuses;
  for (const scsi::TransportId& id : initiators) {
    auto name = initiator_name(id, kTransportIdsByte);
    if (!name) return std::unexpected(name.error());
    if (id.isid) {
      nexuses.push_back({*name, *id.isid, requester(context).portal_group});
      continue;
    }
    context.unit.for_each_nexus([&](const ItlNexus& nexus) {
      const NexusName& known = nexus.view().name();
      if (known.initiator == *name) nexuses.push_back({known.initiator, known.isid, requester(context).portal_group});
    });
  }
  return nexuses;
}

/// The same nexuses to all the target ports (ALL_TG_PT).
std::vector<NexusName> at_all_ports(const CommandContext& context, const std::vector<NexusName>& nexuses) {
  std::vector<NexusName> all = nexuses;
  for (const std::uint16_t port : context.unit.port_groups().tags()) {
    for (const NexusName& nexus : nexuses) all.push_back({nexus.initiator, nexus.isid, port});
  }
  return all;
}

std::expected<Change, scsi::Sense> registration_change(const CommandContext& context,
                                                       const scsi::ReserveOutParameters& parameters) {
  const bool ignore_key = action_of(context) == scsi::ReserveOutAction::kRegisterAndIgnoreExistingKey;
  if (parameters.persist && !context.unit.reservations().can_persist()) {
    return std::unexpected(scsi::invalid_field_in_parameter_list(scsi::kReserveOutFlagsByte));
  }
  PersistentReservations::Register request{parameters.key, parameters.action_key, ignore_key, parameters.persist, {}};
  request.also.push_back(requester(context));
  const bool specified = parameters.initiators.has_value();
  if (specified) {
    auto nexuses = specified_nexuses(context, *parameters.initiators);
    if (!nexuses) return std::unexpected(nexuses.error());
    request.also.insert(request.also.end(), nexuses->begin(), nexuses->end());
  }
  if (parameters.all_target_ports) request.also = at_all_ports(context, request.also);
  const NexusName nexus = requester(context);
  return [nexus, request, specified](PersistentReservations& reservations) -> ReservationResult {
    // Others can be specified only in the first registration (SPC-4 table 63).
    const auto* const registration = reservations.find(nexus);
    if (specified && registration != nullptr && registration->key == request.key) {
      return std::unexpected(Completion::check(scsi::invalid_field_in_parameter_list(scsi::kReserveOutFlagsByte)));
    }
    return reservations.register_key(nexus, request);
  };
}

std::expected<Change, scsi::Sense> move_change(const CommandContext& context, ByteView list) {
  auto parameters = scsi::decode_register_and_move(list);
  if (!parameters) return std::unexpected(parameters.error());
  if (parameters->persist && !context.unit.reservations().can_persist()) {
    return std::unexpected(scsi::invalid_field_in_parameter_list(scsi::kMoveFlagsByte));
  }
  if (!is_target_port(context, parameters->relative_target_port)) {
    return std::unexpected(scsi::invalid_field_in_parameter_list(scsi::kMoveTargetPortByte));
  }
  auto name = initiator_name(parameters->initiator, scsi::kMoveTransportIdByte);
  if (!name) return std::unexpected(name.error());
  if (!parameters->initiator.isid) {
    return std::unexpected(scsi::invalid_field_in_parameter_list(scsi::kMoveTransportIdByte));
  }
  const PersistentReservations::Move request{parameters->key,
                                             parameters->action_key,
                                             parameters->unregister,
                                             parameters->persist,
                                             {*name, *parameters->initiator.isid, parameters->relative_target_port}};
  const NexusName nexus = requester(context);
  return [nexus, request](PersistentReservations& reservations) { return reservations.move(nexus, request); };
}

std::expected<Change, scsi::Sense> change_for(const CommandContext& context, ByteView list) {
  const scsi::ReserveOutAction action = action_of(context);
  if (action == scsi::ReserveOutAction::kRegisterAndMove) return move_change(context, list);
  auto parameters = scsi::decode_reserve_out(list);
  if (!parameters) return std::unexpected(parameters.error());
  if (parameters->initiators && action != scsi::ReserveOutAction::kRegister) {
    return std::unexpected(scsi::invalid_field_in_parameter_list(scsi::kReserveOutFlagsByte));
  }
  const auto type = type_of(context.cdb());
  const bool needs_type = action == scsi::ReserveOutAction::kReserve || action == scsi::ReserveOutAction::kRelease;
  if (needs_type && !type) return std::unexpected(scsi::invalid_field_in_cdb(kScopeAndTypeByte));
  const NexusName nexus = requester(context);
  const std::uint64_t key = parameters->key;
  const std::uint64_t action_key = parameters->action_key;
  switch (action) {
    case scsi::ReserveOutAction::kReserve:
      return [=](PersistentReservations& reservations) { return reservations.reserve(nexus, key, *type); };
    case scsi::ReserveOutAction::kRelease:
      return [=](PersistentReservations& reservations) { return reservations.release(nexus, key, *type); };
    case scsi::ReserveOutAction::kClear:
      return [=](PersistentReservations& reservations) { return reservations.clear(nexus, key); };
    case scsi::ReserveOutAction::kPreempt:
    case scsi::ReserveOutAction::kPreemptAndAbort:
      return [=](PersistentReservations& reservations) { return reservations.preempt(nexus, key, action_key, type); };
    default:
      return registration_change(context, *parameters);
  }
}

}  // namespace

io::Task<Completion> persistent_reserve_in(CommandContext context) {
  const auto action = static_cast<scsi::ReserveInAction>(context.cdb()[1] & kServiceActionMask);
  const std::vector<std::uint8_t> data = parameter_data(context.unit, action);
  const std::size_t size =
      std::min<std::size_t>(data.size(), scsi::get_field(context.cdb(), context.description.allocation_length));
  if (size == 0) co_return Completion::good();
  std::optional<io::Buffer> buffer = co_await context.command.allocate(size);
  if (!buffer) co_return Completion::good();
  std::copy_n(data.begin(), size, buffer->bytes().begin());
  context.command.send(std::move(*buffer), size);
  co_return Completion::good();
}

io::Task<Completion> persistent_reserve_out(CommandContext context) {
  const std::size_t length = scsi::get_field(context.cdb(), kParameterListLength);
  if (length < scsi::kReserveOutBytes) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kParameterListLengthError));
  }
  ParameterList received = co_await receive_parameter_list(context, length);
  if (!received) co_return received.error();
  auto change = change_for(context, received->bytes());
  if (!change) co_return Completion::check(change.error());
  Change wanted = std::move(*change);
  Reservations::Changed changed = co_await context.unit.reservations().change(std::move(wanted));
  if (action_of(context) == scsi::ReserveOutAction::kPreemptAndAbort && !changed.preempted.empty()) {
    std::vector<NexusName> preempted = std::move(changed.preempted);
    co_await context.command.abort_tasks_of(std::move(preempted), context.unit);
  }
  co_return changed.completion;
}

io::Task<Completion> reserve_unit(CommandContext context) {
  co_return context.unit.reservations().reserve(context.nexus);
}

io::Task<Completion> release_unit(CommandContext context) {
  co_return context.unit.reservations().release(context.nexus);
}

}  // namespace peerlane::target
