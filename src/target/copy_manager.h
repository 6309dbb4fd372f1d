// The copy manager as one I_T nexus has it (SPC-4 §5.17): which copy operations it has asked for, how far they are, and
// how they ended. List identifiers are those of the nexus; no other one sees them.
//
// Belongs to the nexus, and to its reactor.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "copy/way.h"
#include "io/event.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_results.h"
#include "scsi/rod_token.h"
#include "scsi/third_party_copy.h"
#include "scsi/third_party_copy_page.h"
#include "target/command.h"
#include "target/repeated_warning.h"
#include "target/token_store.h"

namespace peerlane::copy {
class Job;
}

namespace peerlane::target {

/// One copy operation, from its command's arrival until its results are forgotten.
struct CopyOperation {
  std::string initiator;                                   // who has asked for it, for the log
  std::uint16_t service_action = scsi::kExtendedCopyLid4;  // of its command
  scsi::CopyForm form = scsi::CopyForm::kLid1;
  std::uint32_t list_identifier = 0;
  bool named = true;          // somebody may ask for it by its identifier
  std::uint8_t priority = 1;  // PRIORITY (SPC-4 §6.4.3.3): 0 is the highest, 1 that of other commands, 7 the lowest

  bool background = false;  // IMMED: its command has had its status
  bool ended = false;
  Completion completion;                                                 // how, once it has ended
  scsi::CopyOperationStatus success = scsi::CopyOperationStatus::kDone;  // what that is called if it was well
  std::uint16_t segments = 0;                                            // that have been processed
  std::uint64_t bytes = 0;                                               // that have been copied by them
  copy::Job* job = nullptr;                                              // the segment that is going on
  bool canceled = false;    // by COPY OPERATION ABORT, or the end of the session
  copy::Account account;    // which way the bytes went
  std::uint32_t block = 0;  // bytes: what TRANSFER COUNT is in units of; 0: of one byte

  RodPointer rod;                            // whose data it writes, until it has ended
  std::optional<scsi::RodTokenBytes> token;  // that it has made
};

class CopyManager {
 public:
  CopyManager() = default;
  CopyManager(const CopyManager&) = delete;
  CopyManager& operator=(const CopyManager&) = delete;

  /// What it can do: stated by RECEIVE COPY OPERATING PARAMETERS, and what parameter lists are held to.
  static const scsi::CopyOperatingParameters& parameters();
  /// The same of tokens, and all of it in page 8Fh, for blocks of so many bytes.
  static scsi::TokenLimits token_limits(std::uint32_t block_size);
  /// `remote_tokens`: those of other targets can be used.
  static scsi::ThirdPartyCopyPage page(std::uint32_t block_size, bool remote_tokens);

  /// Whether a copy with this identifier goes on now.
  bool in_use(scsi::CopyForm form, std::uint32_t list_identifier) const;

  /// A new operation, which the caller ends. It takes the place of an earlier one with its identifier. Null: there are
  /// limits::kCopies of this nexus already.
  CopyOperation* begin(scsi::CopyForm form, std::uint32_t list_identifier, bool named);

  /// It has ended. At most limits::kCopyResults results are kept, the newest.
  void end(CopyOperation& operation, const Completion& completion);

  /// The operation of that name, or null. Valid until the next begin() or end().
  CopyOperation* find(scsi::CopyForm form, std::uint32_t list_identifier);

  void forget(const CopyOperation& operation);

  /// The session ends, and with it all that goes on: cancelled here, each ends soon. What goes on in background has a
  /// pass of the gate.
  void cancel_all();
  io::Gate& background() { return background_; }

  /// Says in the log why `what` found no unit or token of another target; not each time, since who asks for what is not
  /// there may do so often.
  void warn_not_found(std::string_view what, const std::string& reason);

 private:
  std::list<CopyOperation> operations_;  // oldest first
  io::Gate background_;
  RepeatedWarning not_found_;
};

}  // namespace peerlane::target
