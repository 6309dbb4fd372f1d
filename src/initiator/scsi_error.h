// What a command's answer means to who does block I/O.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "initiator/request.h"

namespace peerlane::initiator {

/// Whether a command did what it was to do: GOOD, CONDITION MET, or CHECK CONDITION with RECOVERED ERROR, which says
/// so.
bool succeeded(const ScsiResult& result);

/// The error of a command that did not. `doing` begins the sentence: "reading". Codes: ENOSPC, thin space exhausted;
/// EROFS, write protected; ENOTSUP, unknown to the logical unit, wholly or a field; ERANGE, beyond its end; ENODEV, no
/// such logical unit; EHOSTDOWN, not through this target port now (its access state is standby or unavailable); EBUSY,
/// not ready, or its queue is full; EBADE, RESERVATION CONFLICT, as Linux has it; EILSEQ, MISCOMPARE;
/// EKEYEXPIRED, EKEYREVOKED, ENOKEY (unknown, deleted), a ROD token is of no use; EIO, all others.
Error to_error(const ScsiResult& result, std::string_view doing);

/// Whether an error of a Lun or a Session says something of the path to the logical unit, not of the unit itself: the
/// same command may succeed on another path.
bool is_path_error(const Error& error);

/// "ILLEGAL REQUEST (05h), 24h/00h", for people.
std::string to_string(const scsi::Sense& sense);

}  // namespace peerlane::initiator
