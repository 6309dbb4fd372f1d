#include "target/copy_resolution.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/copy_manager.h"
#include "target/peer_units.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

constexpr std::uint8_t kDirectAccess = 0x00;  // PERIPHERAL DEVICE TYPE

template <typename T>
using Checked = std::expected<T, scsi::Sense>;

/// Makes moves of a parameter list; every error is the sense data of the command.
class Resolution {
 public:
  Resolution(ItlNexus& addressed, const scsi::ExtendedCopy& list) : addressed_(addressed), list_(list) {}

  io::Task<CopyMoves> run() {
    std::vector<CopyMove> moves;
    for (; segment_ < list_.segments.size(); ++segment_) {
      const scsi::SegmentUnits units = scsi::units_of(list_.segments[segment_]);
      CopyMove move;
      move.segment = segment_;
      if (units.source) {
        auto source = co_await resolve(*units.source, scsi::kSegmentSource);
        if (!source) co_return std::unexpected(source.error());
        move.source = std::move(*source);
      }
      if (units.destination) {
        auto destination = co_await resolve(*units.destination, scsi::kSegmentDestination);
        if (!destination) co_return std::unexpected(destination.error());
        move.destination = std::move(*destination);
      }
      const auto placed =
          std::visit([&](const auto& segment) { return prepare(segment, move); }, list_.segments[segment_]);
      if (!placed) co_return std::unexpected(placed.error());
      moves.push_back(std::move(move));
    }
    co_return moves;
  }

 private:
  std::unexpected<scsi::Sense> refuse(scsi::SenseCode code, std::size_t byte = 0) const {
    return std::unexpected(scsi::copy_aborted(code, segment_, byte));
  }

  Checked<void> prepare(const scsi::BlocksSegment& segment, CopyMove& move) const {
    const auto usable = check_ends(move);
    if (!usable) return usable;
    const std::uint64_t unit = (segment.destination_count ? move.destination : move.source).block_size();
    move.length = segment.blocks * unit;
    return place(move, segment.source_lba, segment.destination_lba, segment.cat);
  }

  Checked<void> prepare(const scsi::BytesSegment& segment, CopyMove& move) const {
    const auto usable = check_ends(move);
    if (!usable) return usable;
    move.from = segment.source_offset;
    move.to = segment.destination_offset;
    move.length = segment.bytes;
    return place(move, segment.source_lba, segment.destination_lba, segment.cat);
  }

  Checked<void> prepare(const scsi::VerifySegment& segment, const CopyMove& move) const {
    return segment.test_unit_ready ? check_source(move) : Checked<void>();
  }

  template <typename Other>
  Checked<void> prepare(const Other&, const CopyMove&) const {
    return refuse(codes::kInvalidOperationForCopy);
  }

  Checked<void> check_source(const CopyMove& move) const {
    if (move.source.unit == nullptr) return {};
    const auto reason = why_not_readable(*move.source.unit);
    return reason ? Checked<void>(refuse(*reason, scsi::kSegmentSource)) : Checked<void>();
  }

  static std::optional<scsi::SenseCode> why_not_writable(const CopyEnd& end) {
    if (end.unit != nullptr) return target::why_not_writable(*end.unit);
    return end.writable && !end.disk->capabilities().read_only ? std::nullopt : std::optional(codes::kWriteProtected);
  }

  Checked<void> check_ends(const CopyMove& move) const {
    const auto readable = check_source(move);
    if (!readable) return readable;
    // One disk by two ways looks like two, which the copy engine would not keep from overtaking each other.
    const bool twice = move.source.disk && move.destination.disk && move.source.disk != move.destination.disk &&
                       move.source.disk->identity().stable == move.destination.disk->identity().stable;
    if (twice) return refuse(codes::kCopyTargetNotReachable, scsi::kSegmentDestination);
    const auto reason = why_not_writable(move.destination);
    return reason ? Checked<void>(refuse(*reason, scsi::kSegmentDestination)) : Checked<void>();
  }

  /// Adds logical block addresses to the offsets of a move. The units must have all of its bytes (blocks that are not
  /// there are not reachable: other copy managers say so, and initiators expect it). A piece of a block that is left
  /// over is written as it is: the rest of its block at the destination stays.
  Checked<void> place(CopyMove& move, scsi::Lba source, scsi::Lba destination, bool cat) const {
    const bool there = add_blocks(move.from, move.length, source, move.source) &&
                       add_blocks(move.to, move.length, destination, move.destination);
    if (!there) return refuse(codes::kCopyTargetNotReachable);
    // What is left over would have to be kept for the next segment.
    if (cat && (move.to + move.length) % move.destination.block_size() != 0) {
      return refuse(codes::kCopySegmentGranularityViolation);
    }
    return {};
  }

  /// False if not all bytes are there.
  static bool add_blocks(std::uint64_t& offset, std::uint64_t length, scsi::Lba lba, const CopyEnd& end) {
    const std::uint64_t size = end.size();
    if (lba.value > size / end.block_size()) return false;
    offset += lba.value * end.block_size();
    return offset <= size && length <= size - offset;
  }

  /// The end of a CSCD descriptor ID. Each is looked for once.
  io::Task<Checked<CopyEnd>> resolve(std::uint16_t id, std::size_t byte) {
    if (id == scsi::kAddressedUnit) co_return CopyEnd{&addressed_};
    if (const auto known = ends_.find(id); known != ends_.end()) co_return known->second;
    const scsi::Cscd* const cscd = scsi::find_cscd(list_, id);
    if (cscd == nullptr || cscd->null_device) co_return refuse(codes::kCopyTargetNotReachable, byte);
    if (cscd->peripheral_type != kDirectAccess) co_return refuse(codes::kIncorrectCopyTargetType, byte);
    auto end = co_await find(*cscd);
    if (!end) co_return refuse(end.error(), byte);
    const bool other_blocks = cscd->block_length != 0 && cscd->block_length != end->block_size();
    if (other_blocks) co_return refuse(codes::kIncorrectCopyTargetType, byte);
    ends_.emplace(id, *end);
    co_return *end;
  }

  /// The unit of a descriptor: one that the nexus has, or else one of a peer.
  io::Task<std::expected<CopyEnd, scsi::SenseCode>> find(const scsi::Cscd& cscd) const {
    if (const auto* const designator = std::get_if<scsi::Designator>(&cscd.unit)) {
      ItlNexus* const own = find_own(*designator);
      if (own != nullptr) co_return CopyEnd{own};
    }
    PeerUnits* const peers = addressed_.view().copy_settings().peers;
    if (peers == nullptr) co_return std::unexpected(codes::kCopyTargetNotReachable);
    PeerAsker asker{addressed_.view().name().initiator, addressed_.unit().identity().target_name};
    scsi::Cscd wanted = cscd;
    auto finding = peers->find(std::move(wanted), std::move(asker));
    auto found = co_await std::move(finding);
    if (!found) {
      const NexusName& name = addressed_.view().name();
      CopyManager* const copies = addressed_.view().copies();
      if (copies != nullptr) {
        copies->warn_not_found(
            fmt::format("a copy asked for by {} at {}", name.initiator, addressed_.unit().identity().target_name),
            found.error().text());
      }
      co_return std::unexpected(found.error().code == ENOTBLK ? codes::kIncorrectCopyTargetType
                                                              : codes::kCopyTargetNotReachable);
    }
    co_return CopyEnd{nullptr, std::move(found->device), found->writable, std::move(found->shared)};
  }

  /// The I_T_L nexus of the unit that has this name, among those that the nexus has; null: none.
  ItlNexus* find_own(const scsi::Designator& designator) const {
    NexusView& view = addressed_.view();
    for (const scsi::Lun lun : view.luns()) {
      ItlNexus* const nexus = view.find(lun);
      if (nexus != nullptr && is_named(nexus->unit(), designator)) return nexus;
    }
    return nullptr;
  }

  static bool is_named(const LogicalUnit& unit, const scsi::Designator& designator) {
    return std::ranges::any_of(unit_designators(unit.identity()),
                               [&](const scsi::Designator& own) { return scsi::same_unit(designator, own); });
  }

  ItlNexus& addressed_;
  const scsi::ExtendedCopy& list_;
  std::map<std::uint16_t, CopyEnd> ends_;  // by CSCD descriptor ID
  std::size_t segment_ = 0;
};

/// What stands against any access.
std::optional<scsi::SenseCode> why_not_usable(const ItlNexus& nexus, ReservationClass needed) {
  LogicalUnit& unit = nexus.unit();
  if ((nexus.conflicts() & conflict(needed)) != 0) return codes::kThirdPartyDeviceFailure;
  if (nexus.access_state() > scsi::AccessState::kNonOptimized) return codes::kCopyTargetNotReachable;
  const bool busy = !unit.started() || unit.has_orphans() || unit.condition().sanitize_sense();
  if (busy) return codes::kThirdPartyDeviceFailure;
  return std::nullopt;
}

}  // namespace

std::uint32_t CopyEnd::block_size() const {
  return unit != nullptr ? unit->unit().block_size() : disk->geometry().logical_block_size;
}

std::uint64_t CopyEnd::size() const {
  return unit != nullptr ? unit->unit().capacity().value * block_size() : disk->geometry().size;
}

std::optional<scsi::SenseCode> why_not_readable(const ItlNexus& nexus) {
  return why_not_usable(nexus, ReservationClass::kRead);
}

std::optional<scsi::SenseCode> why_not_writable(const ItlNexus& nexus) {
  const auto reason = why_not_usable(nexus, ReservationClass::kWrite);
  if (reason) return reason;
  const LogicalUnit& unit = nexus.unit();
  if (unit.read_only() || unit.modes().current().software_write_protect) return codes::kWriteProtected;
  return std::nullopt;
}

io::Task<CopyMoves> resolve_copy(ItlNexus& addressed, const scsi::ExtendedCopy& list) {
  Resolution resolution(addressed, list);
  auto moves = co_await resolution.run();
  co_return moves;
}

}  // namespace peerlane::target
