// What a logical unit says of itself when it is opened: who it is, its shape, its limits, and what it can do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "initiator/unit_access.h"
#include "scsi/capacity.h"
#include "scsi/inquiry.h"
#include "scsi/vpd.h"

namespace peerlane::initiator {

struct UnitFacts {
  scsi::StandardInquiry inquiry;
  std::string serial;                                               // VPD page 80h; empty: it has none
  std::vector<scsi::Designator> designators;                        // VPD page 83h
  scsi::BlockLimits limits;                                         // VPD page B0h; zeroes: it states none
  scsi::DeviceCharacteristics characteristics{.rotation_rate = 0};  // VPD page B1h
  scsi::LogicalBlockProvisioning provisioning;                      // VPD page B2h
  scsi::Capacity capacity;
  bool sixteen = true;           // it has READ(16) and its kin; otherwise those of ten bytes are used
  bool write_cache = false;      // WCE
  bool dpo_fua = false;          // DPO and FUA bits are obeyed
  bool write_protected = false;  // WP
  bool write_same = false;       // WRITE SAME(16)
  bool no_data_out = false;      // and its NDOB bit
  bool lba_status = false;       // GET LBA STATUS
  /// The reservation of another I_T nexus forbade some of the questions (SPC-4 §5.13.1): the unit has a write cache
  /// then, as far as is known here, and none of the abilities that it could not be asked for.
  bool reserved = false;
};

/// Who a logical unit is, the same on every path that leads to it and after every restart: the best of its designators
/// (NAA, EUI-64, SCSI name, T10 vendor ID; SPC-4 §7.8.6), or vendor, product and serial number. Empty: it does not say.
/// Printable, such as "naa.6001405a0b1c2d3e".
std::string stable_identity(const UnitFacts& facts);

/// Asks for INQUIRY data and the pages that identify the unit: the first four members of UnitFacts. Errors: ENODEV,
/// there is no such logical unit; ENOTBLK, it is not a disk.
io::Task<Result<UnitFacts>> identify(UnitAccess access);

/// Its capacity, and whether that is of a shape that we can use: ENOTSUP, it is not. `facts` gets `capacity` and
/// `sixteen`.
io::Task<Result<void>> measure(UnitAccess access, UnitFacts& facts);

/// The facts of a logical unit of which all but the path is known: it is only asked who it is. ESTALE: another one.
io::Task<Result<UnitFacts>> probe_again(UnitAccess access, UnitFacts known);

/// All of the facts, as far as the reservation of another I_T nexus allows to ask for them. Errors: as identify() and
/// measure(). `without_size`: a unit that may not be asked for its capacity (LIO refuses that while it is reserved) is
/// no error, but has one of no blocks.
io::Task<Result<UnitFacts>> probe(UnitAccess access, bool without_size);

}  // namespace peerlane::initiator
