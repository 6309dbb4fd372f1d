#include "initiator/unit_facts.h"

#include <gtest/gtest.h>

namespace peerlane::initiator {
namespace {

TEST(StableIdentityTest, TheBestDesignatorNamesTheUnit) {
  UnitFacts facts;
  facts.inquiry.vendor = "VENDOR";
  facts.inquiry.product = "DISK 1";
  EXPECT_EQ(stable_identity(facts), "");
  facts.serial = " 42 ";
  EXPECT_EQ(stable_identity(facts), "serial.VENDOR.DISK_1._42");
  facts.designators.push_back(scsi::t10_vendor_designator("VENDOR", "disk-42"));
  EXPECT_EQ(stable_identity(facts).substr(0, 10), "t10.VENDOR");
  facts.designators.push_back(scsi::eui64_designator(0x0123456789abcdef));
  EXPECT_EQ(stable_identity(facts), "eui.0123456789abcdef");
  facts.designators.push_back(scsi::naa_designator(0x3123456789abcdef));
  EXPECT_EQ(stable_identity(facts), "naa.3123456789abcdef");
}

TEST(StableIdentityTest, OrderOfDescriptorsAndPortsDoNotMatter) {
  UnitFacts one;
  one.designators = {scsi::naa_designator(0x3000000000000002), scsi::naa_designator(0x3000000000000001)};
  UnitFacts other;
  other.designators = {scsi::naa_designator(0x3000000000000001), scsi::naa_designator(0x3000000000000002)};
  EXPECT_EQ(stable_identity(one), stable_identity(other));
  // What names a port or the target is the same for all of its units, and other on another path.
  UnitFacts of_port;
  of_port.designators = {scsi::scsi_name_designator(scsi::Association::kTargetPort, "iqn.2026-11.dev.peerlane:t,t,0x1"),
                         scsi::relative_target_port_designator(1), scsi::target_port_group_designator(1)};
  EXPECT_EQ(stable_identity(of_port), "");
}

TEST(StableIdentityTest, IsPrintable) {
  UnitFacts facts;
  facts.designators = {scsi::t10_vendor_designator("V\x01\x7f", "a\nb")};
  for (const char c : stable_identity(facts)) EXPECT_TRUE(c > ' ' && c <= '~');
}

}  // namespace
}  // namespace peerlane::initiator
