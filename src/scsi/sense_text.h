// The names that the standards give to status and additional sense codes, for people.
#pragma once

#include <string_view>

#include "scsi/sense.h"

namespace peerlane::scsi {

/// "CHECK CONDITION" and the like (SAM-5 table 33); empty for an unknown one.
std::string_view status_text(Status status);

/// The meaning of an additional sense code (SPC-4 annex F.2): of those that disks give. Empty for others.
std::string_view sense_text(SenseCode code);

}  // namespace peerlane::scsi
