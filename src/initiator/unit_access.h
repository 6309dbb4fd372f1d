// The commands of a logical unit that fetch parameter data, sent over a session: INQUIRY and its pages, capacity, mode
// pages, which commands there are (SPC-4 §6, SBC-4 §5).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "initiator/request.h"
#include "initiator/session.h"
#include "scsi/capacity.h"
#include "scsi/mode.h"
#include "scsi/opcodes.h"
#include "scsi/persistent_reservation.h"
#include "scsi/vpd.h"

namespace peerlane::initiator {

using Cdb = decltype(Request::cdb);
using Bytes = std::vector<std::uint8_t>;

class UnitAccess {
 public:
  /// For commands to `lun` over `session`, which outlives this. `restoring`: from within SessionUser::restore(), where
  /// no guard is asked.
  UnitAccess(Session& session, iscsi::LunField lun, AttentionObserver* observer, bool restoring,
             UnitGuard* guard = nullptr)
      : session_(session), lun_(lun), observer_(observer), guard_(guard), restoring_(restoring) {}

  /// A request with this logical unit, repeatable.
  Request request(const Cdb& cdb) const;

  /// Executes `request`; unit attentions are handled, also while restoring. `request` stays in place.
  io::Task<Result<ScsiResult>> execute(const Request& request);

  /// Parameter data of a command without data-out: as many bytes as the logical unit had, at most `most`. Errors: the
  /// session's, and those of to_error() with `doing`.
  io::Task<Result<Bytes>> fetch(Cdb cdb, std::size_t most, const char* doing);

  io::Task<Result<Bytes>> inquiry();
  io::Task<Result<Bytes>> vpd(scsi::VpdPage page);
  io::Task<Result<Bytes>> capacity16();
  io::Task<Result<Bytes>> capacity10();
  /// MODE SENSE(10): header, block descriptors and pages, as they come.
  io::Task<Result<Bytes>> mode_sense10(scsi::ModePageCode page, scsi::PageControl control);
  /// The same with MODE SENSE(6), for units that have no other.
  io::Task<Result<Bytes>> mode_sense6(scsi::ModePageCode page, scsi::PageControl control);
  /// What REPORT SUPPORTED OPERATION CODES says of one command without service actions.
  io::Task<Result<Bytes>> supported(scsi::OperationCode operation);
  io::Task<Result<Bytes>> lba_status(std::uint64_t lba, std::size_t descriptors);
  io::Task<Result<Bytes>> report_luns();
  io::Task<Result<Bytes>> reserve_in(scsi::ReserveInAction action);

 private:
  Session& session_;
  iscsi::LunField lun_;
  AttentionObserver* observer_;
  UnitGuard* guard_;
  bool restoring_;
};

}  // namespace peerlane::initiator
