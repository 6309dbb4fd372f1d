// Tokens (SBC-3 §4.28) as the command set by which a target copies: POPULATE TOKEN to the source gives a token for a
// range of it, and WRITE USING TOKEN to the destination writes what the token stands for, which are the data as they
// were when it was made. A target that cannot set them aside revokes a token when they change; a new one is made then,
// limits::kTokenRemakes times at most.
//
// Both commands end when all is done (IMMED is not used). RECEIVE ROD TOKEN INFORMATION tells the token, how far a
// write is, and how much either command has done: a target may do less than it was asked for, and say so.
#pragma once

#include "initiator/copy_commands.h"
#include "io/task.h"

namespace peerlane::initiator {

/// Looks whether one target, whose units both are, has tokens, at its limits (page 8Fh of both units), and has a token
/// made, of which no use is made. Errors: ENOTSUP, with the reason. On any reactor.
io::Task<OfferedCommands> offer_token_copy(Lun& from, Lun& to, const scsi::ThirdPartyCopyPage& from_page,
                                           const scsi::ThirdPartyCopyPage& to_page);

}  // namespace peerlane::initiator
