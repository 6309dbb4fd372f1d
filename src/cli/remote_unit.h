// A logical unit for commands that speak SCSI to it themselves: a session, without asking the unit what it is. So it
// works with units that others have reserved, and with those that are no disks.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "cli/disks.h"
#include "cli/exit_code.h"
#include "initiator/request.h"
#include "initiator/session.h"
#include "initiator/unit_access.h"
#include "scsi/lun.h"

namespace peerlane::cli {

class RemoteUnit {
 public:
  /// Logs in to the target of an iscsi:// URL. The error is a sentence for the user.
  static io::Task<Result<RemoteUnit>> open(std::string spec, RemoteOptions options);

  /// Its commands. The unit outlives that.
  initiator::UnitAccess access() { return {*session_, field_, nullptr, false}; }
  initiator::Session& session() { return *session_; }
  iscsi::LunField field() const { return field_; }
  const iscsi::Url& url() const { return url_; }

  /// Logs out. Called once, before the end.
  io::Task<void> close() { return session_->close(); }

 private:
  RemoteUnit(std::unique_ptr<initiator::Session> session, iscsi::Url url)
      : session_(std::move(session)),
        url_(std::move(url)),
        field_{scsi::encode_lun(scsi::Lun{static_cast<std::uint16_t>(url_.lun)})} {}

  std::unique_ptr<initiator::Session> session_;
  iscsi::Url url_;
  iscsi::LunField field_;
};

/// What a command's answer is to the shell.
ExitCode exit_code_of(const initiator::ScsiResult& result);

/// The answer for people: status, sense key, and what the additional sense code means.
std::string describe(const initiator::ScsiResult& result);

}  // namespace peerlane::cli
