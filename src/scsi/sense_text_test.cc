#include "scsi/sense_text.h"

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

TEST(SenseText, NamesCodes) {
  EXPECT_EQ(sense_text(sense_codes::kNone), "NO ADDITIONAL SENSE INFORMATION");
  EXPECT_EQ(sense_text(sense_codes::kInvalidFieldInCdb), "INVALID FIELD IN CDB");
  EXPECT_EQ(sense_text(sense_codes::kSpaceAllocationFailed), "SPACE ALLOCATION FAILED WRITE PROTECT");
  EXPECT_EQ(sense_text(sense_codes::kInsufficientRegistrationResources), "INSUFFICIENT REGISTRATION RESOURCES");
  EXPECT_EQ(sense_text(sense_codes::kTokenExpired), "INVALID TOKEN OPERATION, TOKEN EXPIRED");
  EXPECT_EQ(sense_text(sense_codes::kInlineDataLengthExceeded), "INLINE DATA LENGTH EXCEEDED");
}

TEST(SenseText, HasNothingForOthers) {
  EXPECT_EQ(sense_text(sense_codes::code(0x24, 0x7f)), "");
  EXPECT_EQ(sense_text(sense_codes::code(0xff, 0xff)), "");
}

TEST(SenseText, NamesStatuses) {
  EXPECT_EQ(status_text(Status::kGood), "GOOD");
  EXPECT_EQ(status_text(Status::kReservationConflict), "RESERVATION CONFLICT");
  EXPECT_EQ(status_text(static_cast<Status>(0x22)), "");
}

}  // namespace
}  // namespace peerlane::scsi
