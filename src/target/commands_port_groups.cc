// REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS (SPC-4 §6.37 and §6.45).

#include <array>
#include <vector>

#include "base/limits.h"
#include "scsi/port_groups.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::uint8_t kExtendedFormat = 0x20;  // PARAMETER DATA FORMAT 001b, byte 1; the table allows 000b and 001b
constexpr std::uint8_t kStateBit = 3;
constexpr std::size_t kParameterListLength = 6;

static_assert(kAnswerBytes >= scsi::kPortGroupsExtendedHeaderBytes +
                                  limits::kPortalGroups * (scsi::kPortGroupBytes + scsi::kPortGroupPortBytes));

/// Checks the whole list before anything is changed.
std::expected<std::vector<scsi::SetTargetPortGroup>, scsi::Sense> read_list(const PortGroups& groups, ByteView bytes) {
  const auto list = scsi::SetPortGroupsList::decode(bytes);
  if (!list) return std::unexpected(scsi::illegal_request(scsi::sense_codes::kParameterListLengthError));
  std::vector<scsi::SetTargetPortGroup> changes;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::size_t at = scsi::kSetPortGroupsHeaderBytes + i * scsi::kSetPortGroupBytes;
    const scsi::SetTargetPortGroup change = (*list)[i];
    if (!PortGroups::can_enter(change.state)) {
      return std::unexpected(scsi::invalid_field_in_parameter_list(at, kStateBit));
    }
    if (!groups.has(change.group)) {
      return std::unexpected(scsi::invalid_field_in_parameter_list(at + scsi::kSetPortGroupField));
    }
    changes.push_back(change);
  }
  return changes;
}

}  // namespace

Answer report_target_port_groups(const CommandContext& context, ByteSpan out) {
  const bool extended = (context.cdb()[1] & kExtendedFormat) != 0;
  return scsi::encode_port_groups(context.unit.port_groups().describe(), extended, out);
}

io::Task<Completion> set_target_port_groups(CommandContext context) {
  const std::size_t length = get_be32(context.cdb(), kParameterListLength);
  if (length == 0) co_return Completion::good();
  const ParameterList list = co_await receive_parameter_list(context, length);
  if (!list) co_return list.error();
  const auto changes = read_list(context.unit.port_groups(), list->bytes().first(length));
  if (!changes) co_return Completion::check(changes.error());
  context.unit.change_access(*changes, &context.nexus);
  co_return Completion::good();
}

}  // namespace peerlane::target
