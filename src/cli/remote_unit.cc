#include "cli/remote_unit.h"

#include <utility>

#include <fmt/format.h>

#include "initiator/scsi_error.h"
#include "scsi/sense_text.h"

namespace peerlane::cli {

using scsi::Status;

io::Task<Result<RemoteUnit>> RemoteUnit::open(std::string spec, RemoteOptions options) {
  auto url = parse_disk_url(spec);
  if (!url) co_return std::unexpected(std::move(url.error()));
  if (url->lun > scsi::kMostLun) co_return fail(ENXIO, fmt::format("LUNs go from 0 to {}", scsi::kMostLun));
  auto opening = log_in(*url, options);
  auto session = co_await std::move(opening);
  if (!session) co_return std::unexpected(std::move(session.error()));
  co_return RemoteUnit(std::move(*session), std::move(*url));
}

ExitCode exit_code_of(const initiator::ScsiResult& result) {
  if (initiator::succeeded(result)) return ExitCode::kOk;
  switch (result.status) {
    case Status::kCheckCondition:
      return ExitCode::kCheckCondition;
    case Status::kBusy:
    case Status::kTaskSetFull:
      return ExitCode::kBusy;
    case Status::kReservationConflict:
      return ExitCode::kReservationConflict;
    default:
      return ExitCode::kOtherStatus;
  }
}

std::string describe(const initiator::ScsiResult& result) {
  std::string text(scsi::status_text(result.status));
  if (text.empty()) text = fmt::format("status {:02X}h", static_cast<unsigned>(result.status));
  if (!result.sense) return text;
  const scsi::Sense& sense = *result.sense;
  text += ": " + initiator::to_string(sense);
  const std::string_view meaning = scsi::sense_text(sense.code);
  if (!meaning.empty()) text += fmt::format(" {}", meaning);
  if (sense.field) {
    text += fmt::format(" (byte {}", sense.field->byte);
    if (sense.field->bit) text += fmt::format(", bit {}", *sense.field->bit);
    text += sense.field->in_cdb ? " of the CDB)" : " of the parameter list)";
  }
  if (sense.information) text += fmt::format(", information {}", *sense.information);
  return text;
}

}  // namespace peerlane::cli
