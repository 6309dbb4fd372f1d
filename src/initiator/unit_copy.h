// Copies that a target carries out between two of its logical units, or from one of another target's, for being asked
// (third-party copies, SPC-4 §5.17): within one target by tokens, which copy each range as it was at one moment, or
// else by EXTENDED COPY; from another target by EXTENDED COPY. What a target offers is asked beforehand; what it
// refuses in spite of that is asked for by the next of these command sets, and so is all that follows.
//
// What Peerlane's own targets tell besides of the way that the data take (scsi/copy_log_page.h) is passed on.
//
// A target finds a source by its designator. That this is the disk which the caller means is sure within one target:
// two that were reached through one portal under one name. Of another target's disk it is not asked for if it has one
// with the same designator itself, as targets with one configuration have.
//
// While a copy is under way the target is asked now and then how far it is. A copy that is cancelled is ended by ABORT
// TASK, which in either form ends a copy whose command waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "block/copy_offload.h"
#include "io/task.h"

namespace peerlane::initiator {

class Lun;

/// A disk of a target as an end of such copies: a Lun, or several paths to one.
class RemoteDisk : public block::CopyOffload {
 public:
  io::Task<Result<std::shared_ptr<block::OffloadedCopy>>> offer_copy_from(block::CopyOffload& source) final;

  /// The one by which commands are best sent now.
  virtual Lun& path() = 0;

  /// Whether a path leads through that portal, named as it was when the path was opened.
  virtual bool has_portal(const std::string& host, std::uint16_t port) const = 0;

 protected:
  RemoteDisk() = default;
  ~RemoteDisk() = default;
};

}  // namespace peerlane::initiator
