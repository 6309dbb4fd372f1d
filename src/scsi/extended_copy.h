// The parameter list of EXTENDED COPY (SPC-4 §6.4, §6.5), in its two forms: a header, the CSCD descriptors
// (scsi/cscd.h), the segment descriptors (scsi/copy_segment.h), and inline data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "base/bytes.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_segment.h"
#include "scsi/cscd.h"
#include "scsi/sense.h"
#include "scsi/third_party_copy.h"

namespace peerlane::scsi {

/// LIST ID USAGE (SPC-4 §6.4.3). Of SPC-2, where these were NRCR and a reserved bit, 0 and 2 are the same.
enum class ListIdUsage : std::uint8_t {
  kHold = 0,     // the copy's results are kept, and with them what was to be held of its data
  kDiscard = 2,  // the results are kept, no data
  kNone = 3,     // nobody will ask: the list identifier is 0
};

struct ExtendedCopy {
  CopyForm form = CopyForm::kLid1;
  std::uint32_t list_identifier = 0;  // one byte in LID1
  ListIdUsage usage = ListIdUsage::kHold;
  bool sequential_striped = false;  // STR: segments are done in an order that suits reading in sequence
  std::uint8_t priority = 0;        // PRIORITY, 0 (highest) to 7: compared with other work of the copy manager
  bool immediate = false;           // IMMED, of LID4: status before the copy is done
  bool good_with_sense = false;     // G_SENSE, of LID4: sense data with GOOD status
  std::vector<Cscd> cscds = {};
  std::vector<CopySegment> segments = {};
  std::vector<std::uint8_t> inline_data = {};

  friend bool operator==(const ExtendedCopy&, const ExtendedCopy&) = default;
};

/// Writes the parameter list. The lengths must fit the form's fields: 16 bits each in LID4; 16 bits for the CSCD
/// descriptors, 32 for the rest in LID1.
std::vector<std::uint8_t> encode_extended_copy(const ExtendedCopy& copy);

/// Reads a parameter list and holds it to `limits`; nothing in the result lies outside of them, and every CSCD
/// descriptor ID in a segment is kAddressedUnit or one of its descriptors. What follows the inline data is ignored. An
/// empty list is an error here, though a PARAMETER LIST LENGTH of 0 is none (SPC-4 §6.4.1).
///
/// Errors: ILLEGAL REQUEST with PARAMETER LIST LENGTH ERROR (the list ends within what its header promises, or more
/// bytes of descriptors than allowed), TOO MANY TARGET (SEGMENT) DESCRIPTORS, UNSUPPORTED TARGET (SEGMENT) DESCRIPTOR
/// TYPE CODE, INLINE DATA LENGTH EXCEEDED (more than allowed, or a segment's range that is outside of the inline data),
/// INVALID FIELD IN PARAMETER LIST; COPY ABORTED with UNREACHABLE COPY TARGET for a CSCD descriptor ID that is none.
std::expected<ExtendedCopy, Sense> decode_extended_copy(CopyForm form, ByteView list,
                                                        const CopyOperatingParameters& limits);

/// The CSCD descriptor of that ID. Null for IDs that are no place in the list, or the place of an extension.
const Cscd* find_cscd(const ExtendedCopy& copy, std::uint16_t id);

/// The sense data of a copy that ends at the segment of that number (SPC-4 §5.17.7): COPY ABORTED, with the number as
/// COMMAND-SPECIFIC INFORMATION and, unless it is 0, a pointer to that byte of its descriptor.
Sense copy_aborted(SenseCode code, std::size_t segment, std::size_t byte = 0);

}  // namespace peerlane::scsi
