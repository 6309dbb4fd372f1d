#include "pcie/disk_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pcie/testing/tree.h"

namespace peerlane::pcie {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kNguid = "eui.0025385b71b0a1c20025385b71b0a1c3";
constexpr const char* kNaa = "naa.5000c500a1b2c3d4";

/// A machine with an NVMe disk of two partitions, two ways to one SAS disk, a namespace behind native multipath, and
/// things that are no disks.
class DiskPartTest : public ::testing::Test {
 protected:
  DiskPartTest() : sysfs(tree.root()) {
    device("pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1", "259:0", kNguid);
    partition("pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1", "259:1", "2048");
    partition("pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2", "259:2", "4194304");
    for (const auto& [name, number] : {std::pair("sda", "8:0"), std::pair("sdb", "8:16")}) {
      const std::string directory = std::string("pci0000:00/0000:02:00.0/host0/") + name + "/block/" + name;
      device(directory, number, "");
      tree.file("sys/devices/" + directory + "/device/wwid", std::string("naa.5000C500A1B2C3D4\n"));
    }
    device("virtual/nvme-subsystem/nvme-subsys1/nvme1n1", "259:4", "uuid.2f1c6a3e-0000-4abc-8def-0123456789ab");
    device("pci0000:00/0000:03:00.0/nvme/nvme1/nvme1c1n1", "", "uuid.2f1c6a3e-0000-4abc-8def-0123456789ab");
    tree.file("sys/devices/pci0000:00/0000:03:00.0/nvme/nvme1/nvme1c1n1/hidden", std::string("1\n"));
    device("virtual/block/dm-0", "254:0", "");
    device("pci0000:00/0000:04:00.0/nvme/nvme2/nvme2n1", "259:8", "nvme.1b36-4c41422d41-51454d55204e564d65-00000001");
  }

  void device(const std::string& directory, const std::string& number, const std::string& wwid) {
    const std::string path = "sys/devices/" + directory;
    tree.directory(path);
    tree.link("sys/class/block/" + std::string(last_name(directory)), path);
    if (!number.empty()) tree.link("sys/dev/block/" + number, path);
    if (!wwid.empty()) tree.file(path + "/wwid", wwid + "\n");
  }
  void partition(const std::string& directory, const std::string& number, const std::string& start) {
    device(directory, number, "");
    tree.file("sys/devices/" + directory + "/partition", std::string("1\n"));
    tree.file("sys/devices/" + directory + "/start", start + "\n");
  }

  testing::Tree tree;
  Sysfs sysfs;
};

TEST_F(DiskPartTest, DisksAndPartitions) {
  EXPECT_EQ(disk_part(sysfs, "259:0").value(), (DiskPart{kNguid, 0}));
  EXPECT_EQ(disk_part(sysfs, "259:1").value(), (DiskPart{kNguid, 1 << 20}));
  EXPECT_EQ(disk_part(sysfs, "259:2").value(), (DiskPart{kNguid, std::uint64_t{2} << 30}));
  EXPECT_EQ(disk_part(sysfs, "8:16").value(), (DiskPart{kNaa, 0}));
  EXPECT_EQ(disk_part(sysfs, "259:4").value(), (DiskPart{"uuid.2f1c6a3e-0000-4abc-8def-0123456789ab", 0}));
}

TEST_F(DiskPartTest, OthersHaveNoSuchIdentity) {
  EXPECT_THAT(disk_part(sysfs, "254:0").error().text(), HasSubstr("dm-0 has no identity"));
  EXPECT_THAT(disk_part(sysfs, "259:8").error().text(), HasSubstr("nvme2n1 has no identity"));
  EXPECT_EQ(disk_part(sysfs, "7:0").error().code, ENODEV);
}

TEST_F(DiskPartTest, APartitionWithoutABeginningIsNone) {
  tree.file("sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1/start",
            std::string("18446744073709551615\n"));
  EXPECT_THAT(disk_part(sysfs, "259:1").error().text(), HasSubstr("where nvme0n1p1 begins"));
}

TEST_F(DiskPartTest, FoundByWhatTheyAre) {
  EXPECT_THAT(block_devices_of(sysfs, {kNguid, 0}), ElementsAre("nvme0n1"));
  EXPECT_THAT(block_devices_of(sysfs, {kNguid, 1 << 20}), ElementsAre("nvme0n1p1"));
  EXPECT_THAT(block_devices_of(sysfs, {kNguid, 512}), IsEmpty());
  EXPECT_THAT(block_devices_of(sysfs, {kNaa, 0}), ElementsAre("sda", "sdb"));
  EXPECT_THAT(block_devices_of(sysfs, {"eui.0025385b71b0a1c2", 0}), IsEmpty());
  EXPECT_THAT(block_devices_of(sysfs, {"", 0}), IsEmpty());
}

TEST_F(DiskPartTest, AHiddenWayToADiskIsNoDevice) {
  EXPECT_THAT(block_devices_of(sysfs, {"uuid.2f1c6a3e-0000-4abc-8def-0123456789ab", 0}), ElementsAre("nvme1n1"));
}

TEST(DiskIdentity, WhichAreThoseOfOneDisk) {
  for (const char* const good : {"eui.0025385b71b0a1c2", kNguid, kNaa, "naa.2000000000000001",
                                 "naa.600508b1001c4d4e0000000000000001", "uuid.2f1c6a3e-0000-4abc-8def-0123456789ab"}) {
    EXPECT_TRUE(is_world_wide(good)) << good;
  }
  for (const char* const bad :
       {"", "eui.", "eui.0025385b71b0a1c", "eui.0025385b71b0a1cg", "eui.0000000000000000", "eui.ffffffffffffffff",
        "naa.", "naa.3000c500a1b2c3d4", "naa.5000c500a1b2c3", "naa.6000c500a1b2c3d4", "naa.5000000000000000",
        "uuid.00000000-0000-0000-0000-000000000000", "uuid.2f1c6a3e00004abc8def0123456789ab",
        "nvme.1b36-4c41422d41-51454d55204e564d65-00000001", "t10.ATA     QEMU HARDDISK", "0025385b71b0a1c2"}) {
    EXPECT_FALSE(is_world_wide(bad)) << bad;
  }
}

}  // namespace
}  // namespace peerlane::pcie
