#include "scsi/persistent_reservation.h"

#include <algorithm>
#include <array>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

// What all parameter data but those of REPORT CAPABILITIES begin with.
constexpr std::size_t kGeneration = 0;
constexpr std::size_t kAdditionalLength = 4;
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kKeyBytes = 8;

// Reservation (SPC-4 table 186).
constexpr std::size_t kReservationBytes = 16;
constexpr std::size_t kScopeAndType = 13;
constexpr std::uint8_t kTypeMask = 0x0f;

// Capabilities (SPC-4 table 189).
constexpr std::size_t kCapabilitiesBytes = 8;
constexpr std::uint8_t kCompatible = 0x10;
constexpr std::uint8_t kSpecifyInitiatorPorts = 0x08;
constexpr std::uint8_t kAllTargetPorts = 0x04;
constexpr std::uint8_t kPersistCapable = 0x01;
constexpr std::uint8_t kTypeMaskValid = 0x80;
constexpr unsigned kAllowCommandsShift = 4;
constexpr std::uint8_t kAllowCommandsMask = 0x07;
constexpr std::uint8_t kPersistActive = 0x01;
constexpr std::uint16_t kAllTypes = 0xea01;

// Full status descriptor (SPC-4 table 193).
constexpr std::size_t kStatusFlags = 12;
constexpr std::uint8_t kStatusAllTargetPorts = 0x02;
constexpr std::uint8_t kStatusHolder = 0x01;
constexpr std::size_t kStatusScopeAndType = 13;
constexpr std::size_t kStatusTargetPort = 18;
constexpr std::size_t kStatusAdditionalLength = 20;
constexpr std::size_t kStatusBytes = 24;

// Basic parameter list (SPC-4 table 198).
constexpr std::uint8_t kSpecifyPorts = 0x08;
constexpr std::uint8_t kAllPorts = 0x04;
constexpr std::uint8_t kPersist = 0x01;
constexpr std::size_t kTransportIdsLength = 24;
constexpr std::size_t kTransportIds = 28;

// Parameter list of REGISTER AND MOVE (SPC-4 table 200).
constexpr std::uint8_t kUnregister = 0x02;
constexpr std::size_t kMoveTransportIdLength = 20;

std::vector<std::uint8_t> header(std::uint32_t generation, std::size_t additional) {
  std::vector<std::uint8_t> bytes(kHeaderBytes);
  put_be32(bytes, kGeneration, generation);
  put_be32(bytes, kAdditionalLength, static_cast<std::uint32_t>(additional));
  return bytes;
}

/// The bytes after the header that there are, and that the header speaks of.
std::optional<ByteView> body(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const ByteView rest = bytes.subspan(kHeaderBytes);
  return rest.first(std::min<std::size_t>(rest.size(), get_be32(bytes, kAdditionalLength)));
}

void append(std::vector<std::uint8_t>& bytes, const TransportId& id) {
  std::array<std::uint8_t, kMaxTransportIdBytes> encoded;
  const std::size_t size = encode_transport_id(id, encoded);
  bytes.insert(bytes.end(), encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(size));
}

Sense length_error() {
  return illegal_request(sense_codes::kParameterListLengthError);
}

}  // namespace

std::optional<ReservationType> reservation_type(std::uint8_t code) {
  const auto type = static_cast<ReservationType>(code);
  if (is_write_exclusive(type) || is_all_registrants(type) || is_registrants_only(type)) return type;
  if (type == ReservationType::kExclusiveAccess) return type;
  return std::nullopt;
}

// --- READ KEYS ---

std::vector<std::uint8_t> encode_reservation_keys(const ReservationKeys& keys) {
  std::vector<std::uint8_t> bytes = header(keys.generation, keys.keys.size() * kKeyBytes);
  bytes.resize(kHeaderBytes + keys.keys.size() * kKeyBytes);
  for (std::size_t i = 0; i < keys.keys.size(); ++i) put_be64(bytes, kHeaderBytes + i * kKeyBytes, keys.keys[i]);
  return bytes;
}

std::optional<ReservationKeys> decode_reservation_keys(ByteView bytes) {
  const auto list = body(bytes);
  if (!list) return std::nullopt;
  ReservationKeys keys{get_be32(bytes, kGeneration), {}};
  for (std::size_t at = 0; at + kKeyBytes <= list->size(); at += kKeyBytes) keys.keys.push_back(get_be64(*list, at));
  return keys;
}

// --- READ RESERVATION ---

std::vector<std::uint8_t> encode_reservation_state(const ReservationState& state) {
  std::vector<std::uint8_t> bytes = header(state.generation, state.reservation ? kReservationBytes : 0);
  if (!state.reservation) return bytes;
  bytes.resize(kHeaderBytes + kReservationBytes);
  put_be64(bytes, kHeaderBytes, state.reservation->key);
  bytes[kHeaderBytes + kScopeAndType] = static_cast<std::uint8_t>(state.reservation->type);
  return bytes;
}

std::optional<ReservationState> decode_reservation_state(ByteView bytes) {
  const auto descriptor = body(bytes);
  if (!descriptor) return std::nullopt;
  ReservationState state{get_be32(bytes, kGeneration)};
  if (descriptor->empty()) return state;
  if (descriptor->size() < kReservationBytes) return std::nullopt;
  const auto type = reservation_type((*descriptor)[kScopeAndType]);
  if (!type) return std::nullopt;
  state.reservation = {get_be64(*descriptor, 0), *type};
  return state;
}

// --- REPORT CAPABILITIES ---

std::vector<std::uint8_t> encode_reservation_capabilities(const ReservationCapabilities& capabilities) {
  std::vector<std::uint8_t> bytes(kCapabilitiesBytes);
  const auto flag = [](bool set, std::uint8_t bit) { return set ? bit : std::uint8_t{0}; };
  put_be16(bytes, 0, kCapabilitiesBytes);
  bytes[2] = flag(capabilities.compatible_handling, kCompatible) |
             flag(capabilities.specify_initiator_ports, kSpecifyInitiatorPorts) |
             flag(capabilities.all_target_ports, kAllTargetPorts) | flag(capabilities.persist_capable, kPersistCapable);
  bytes[3] = static_cast<std::uint8_t>(capabilities.allow_commands << kAllowCommandsShift) |
             flag(capabilities.all_types, kTypeMaskValid) | flag(capabilities.persist_active, kPersistActive);
  put_be16(bytes, 4, capabilities.all_types ? kAllTypes : std::uint16_t{0});
  return bytes;
}

std::optional<ReservationCapabilities> decode_reservation_capabilities(ByteView bytes) {
  if (bytes.size() < kCapabilitiesBytes || get_be16(bytes, 0) < kCapabilitiesBytes) return std::nullopt;
  ReservationCapabilities capabilities;
  capabilities.compatible_handling = (bytes[2] & kCompatible) != 0;
  capabilities.specify_initiator_ports = (bytes[2] & kSpecifyInitiatorPorts) != 0;
  capabilities.all_target_ports = (bytes[2] & kAllTargetPorts) != 0;
  capabilities.persist_capable = (bytes[2] & kPersistCapable) != 0;
  capabilities.allow_commands = bytes[3] >> kAllowCommandsShift & kAllowCommandsMask;
  capabilities.persist_active = (bytes[3] & kPersistActive) != 0;
  capabilities.all_types = (bytes[3] & kTypeMaskValid) != 0 && (get_be16(bytes, 4) & kAllTypes) == kAllTypes;
  return capabilities;
}

// --- READ FULL STATUS ---

std::vector<std::uint8_t> encode_full_status(const FullStatus& status) {
  std::vector<std::uint8_t> bytes = header(status.generation, 0);
  for (const FullStatus::Registration& registration : status.registrations) {
    const std::size_t at = bytes.size();
    bytes.resize(at + kStatusBytes);
    append(bytes, registration.initiator);
    const ByteSpan descriptor = ByteSpan(bytes).subspan(at);
    put_be64(descriptor, 0, registration.key);
    if (registration.all_target_ports) descriptor[kStatusFlags] |= kStatusAllTargetPorts;
    if (registration.holds) {
      descriptor[kStatusFlags] |= kStatusHolder;
      descriptor[kStatusScopeAndType] = static_cast<std::uint8_t>(*registration.holds);
    }
    put_be16(descriptor, kStatusTargetPort, registration.relative_target_port);
    put_be32(descriptor, kStatusAdditionalLength, static_cast<std::uint32_t>(descriptor.size() - kStatusBytes));
  }
  put_be32(bytes, kAdditionalLength, static_cast<std::uint32_t>(bytes.size() - kHeaderBytes));
  return bytes;
}

std::optional<FullStatus> decode_full_status(ByteView bytes) {
  const auto list = body(bytes);
  if (!list) return std::nullopt;
  FullStatus status{get_be32(bytes, kGeneration)};
  for (ByteView rest = *list; rest.size() >= kStatusBytes;) {
    const std::size_t additional = get_be32(rest, kStatusAdditionalLength);
    if (additional > rest.size() - kStatusBytes) break;
    FullStatus::Registration registration;
    registration.key = get_be64(rest, 0);
    registration.all_target_ports = (rest[kStatusFlags] & kStatusAllTargetPorts) != 0;
    if ((rest[kStatusFlags] & kStatusHolder) != 0) {
      registration.holds = reservation_type(rest[kStatusScopeAndType] & kTypeMask);
    }
    registration.relative_target_port = get_be16(rest, kStatusTargetPort);
    auto initiator = decode_transport_id(rest.subspan(kStatusBytes, additional));
    if (!initiator) return std::nullopt;
    registration.initiator = std::move(initiator->id);
    status.registrations.push_back(std::move(registration));
    rest = rest.subspan(kStatusBytes + additional);
  }
  return status;
}

// --- PERSISTENT RESERVE OUT ---

std::vector<std::uint8_t> encode_reserve_out(const ReserveOutParameters& parameters) {
  std::vector<std::uint8_t> bytes(kReserveOutBytes);
  put_be64(bytes, 0, parameters.key);
  put_be64(bytes, kReserveOutActionKeyByte, parameters.action_key);
  if (parameters.all_target_ports) bytes[kReserveOutFlagsByte] |= kAllPorts;
  if (parameters.persist) bytes[kReserveOutFlagsByte] |= kPersist;
  if (!parameters.initiators) return bytes;
  bytes[kReserveOutFlagsByte] |= kSpecifyPorts;
  bytes.resize(kTransportIds);
  for (const TransportId& id : *parameters.initiators) append(bytes, id);
  put_be32(bytes, kTransportIdsLength, static_cast<std::uint32_t>(bytes.size() - kTransportIds));
  return bytes;
}

std::expected<ReserveOutParameters, Sense> decode_reserve_out(ByteView list) {
  if (list.size() < kReserveOutBytes) return std::unexpected(length_error());
  ReserveOutParameters parameters;
  parameters.key = get_be64(list, 0);
  parameters.action_key = get_be64(list, kReserveOutActionKeyByte);
  parameters.all_target_ports = (list[kReserveOutFlagsByte] & kAllPorts) != 0;
  parameters.persist = (list[kReserveOutFlagsByte] & kPersist) != 0;
  if ((list[kReserveOutFlagsByte] & kSpecifyPorts) == 0) {
    if (list.size() != kReserveOutBytes) return std::unexpected(length_error());
    return parameters;
  }
  if (list.size() < kTransportIds) return std::unexpected(length_error());
  if (get_be32(list, kTransportIdsLength) != list.size() - kTransportIds) return std::unexpected(length_error());
  parameters.initiators.emplace();
  for (std::size_t at = kTransportIds; at < list.size();) {
    auto initiator = decode_transport_id(list.subspan(at));
    if (!initiator) return std::unexpected(invalid_field_in_parameter_list(at));
    parameters.initiators->push_back(std::move(initiator->id));
    at += initiator->size;
  }
  return parameters;
}

std::vector<std::uint8_t> encode_register_and_move(const MoveParameters& parameters) {
  std::vector<std::uint8_t> bytes(kReserveOutBytes);
  put_be64(bytes, 0, parameters.key);
  put_be64(bytes, kReserveOutActionKeyByte, parameters.action_key);
  if (parameters.unregister) bytes[kMoveFlagsByte] |= kUnregister;
  if (parameters.persist) bytes[kMoveFlagsByte] |= kPersist;
  put_be16(bytes, kMoveTargetPortByte, parameters.relative_target_port);
  append(bytes, parameters.initiator);
  put_be32(bytes, kMoveTransportIdLength, static_cast<std::uint32_t>(bytes.size() - kMoveTransportIdByte));
  return bytes;
}

std::expected<MoveParameters, Sense> decode_register_and_move(ByteView list) {
  if (list.size() <= kMoveTransportIdByte) return std::unexpected(length_error());
  if (get_be32(list, kMoveTransportIdLength) != list.size() - kMoveTransportIdByte) {
    return std::unexpected(length_error());
  }
  MoveParameters parameters;
  parameters.key = get_be64(list, 0);
  parameters.action_key = get_be64(list, kReserveOutActionKeyByte);
  parameters.unregister = (list[kMoveFlagsByte] & kUnregister) != 0;
  parameters.persist = (list[kMoveFlagsByte] & kPersist) != 0;
  parameters.relative_target_port = get_be16(list, kMoveTargetPortByte);
  auto initiator = decode_transport_id(list.subspan(kMoveTransportIdByte));
  if (!initiator || initiator->size != list.size() - kMoveTransportIdByte) {
    return std::unexpected(invalid_field_in_parameter_list(kMoveTransportIdByte));
  }
  parameters.initiator = std::move(initiator->id);
  return parameters;
}

}  // namespace peerlane::scsi
