#include "pcie/block_devices.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pcie/testing/tree.h"

namespace peerlane::pcie {
namespace {

using Kind = BlockDevice::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const std::string kRoot = "sys/devices/pci0000:00/";

class ReadDisks : public ::testing::Test {
 protected:
  /// An NVMe function on bus 0 with its controller; the controller's directory.
  std::string add_controller(const std::string& name, const std::string& address) {
    const std::string function = kRoot + address;
    tree_.file(function + "/class", "0x010802\n");
    tree_.link("sys/bus/pci/devices/" + address, function);
    std::string directory = function + "/nvme/" + name;
    tree_.file(directory + "/transport", "pcie\n");
    tree_.file(directory + "/serial", "S-" + name + "   \n");
    tree_.link("sys/class/nvme/" + name, directory);
    return directory;
  }

  std::string add_device(const std::string& name, const std::string& above, const std::string& number) {
    std::string directory = above + "/" + name;
    tree_.file(directory + "/dev", number + "\n");
    tree_.file(directory + "/size", "2048\n");
    tree_.link("sys/class/block/" + name, directory);
    return directory;
  }

  void add_mapped(const std::string& name, const std::vector<std::string>& slaves) {
    const std::string directory = add_device(name, "sys/devices/virtual/block", "253:" + name.substr(3));
    tree_.file(directory + "/dm/name", "vg-" + name + "\n");
    tree_.directory(directory + "/slaves");
    for (const std::string& slave : slaves) tree_.directory(directory + "/slaves/" + slave);
  }

  Disks read() {
    const Sysfs sysfs(tree_.root());
    topology_ = read_topology(sysfs);
    return read_disks(sysfs, topology_);
  }

  testing::Tree tree_;
  Topology topology_;
};

TEST_F(ReadDisks, None) {
  const Disks disks = read();
  EXPECT_THAT(disks.controllers, IsEmpty());
  EXPECT_THAT(disks.devices, IsEmpty());
  EXPECT_THAT(disks.problems, IsEmpty());
}

TEST_F(ReadDisks, ANamespaceAndItsPartition) {
  const std::string controller = add_controller("nvme0", "0000:00:04.0");
  tree_.file(controller + "/cmbsz", "0x00400219\n");
  const std::string disk = add_device("nvme0n1", controller, "259:0");
  tree_.file(disk + "/nsid", "7\n");
  tree_.file(add_device("nvme0n1p1", disk, "259:1") + "/partition", "1\n");
  tree_.directory("sys/class/nvme-subsystem/nvme-subsys0/nvme0");
  const Disks disks = read();
  ASSERT_THAT(disks.controllers, SizeIs(1));
  EXPECT_EQ(disks.controllers[0].serial, "S-nvme0");
  EXPECT_EQ(disks.controllers[0].subsystem, "nvme-subsys0");
  EXPECT_EQ(disks.controllers[0].function, 0u);
  ASSERT_TRUE(disks.controllers[0].memory);
  EXPECT_EQ(disks.controllers[0].memory->size, 0x400u << 20);
  EXPECT_TRUE(disks.controllers[0].memory->read_data && disks.controllers[0].memory->write_data);
  const BlockDevice* const found = disks.find_number("259:0");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->kind, Kind::kNamespace);
  EXPECT_EQ(found->nsid, 7u);
  EXPECT_EQ(found->size, 1u << 20);
  EXPECT_THAT(disks.controllers_of(*found), ElementsAre(0));
  const Beneath beneath = disks_beneath(disks, "nvme0n1p1");
  EXPECT_THAT(beneath.disks, ElementsAre("nvme0n1"));
  EXPECT_THAT(beneath.layers, ElementsAre("nvme0n1p1"));
  EXPECT_TRUE(beneath.direct);
}

TEST_F(ReadDisks, AHeadWithTwoPaths) {
  add_device("nvme0c0n1", add_controller("nvme0", "0000:00:04.0"), "259:1");
  add_device("nvme0c1n1", add_controller("nvme1", "0000:00:05.0"), "259:2");
  add_device("nvme0n1", "sys/devices/virtual/nvme-subsystem/nvme-subsys0", "259:0");
  const Disks disks = read();
  const BlockDevice* const head = disks.find("nvme0n1");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->kind, Kind::kNamespaceHead);
  EXPECT_EQ(disks.find("nvme0c1n1")->kind, Kind::kNamespacePath);
  EXPECT_THAT(disks.controllers_of(*head), UnorderedElementsAre(0, 1));
  EXPECT_THAT(disks_beneath(disks, "nvme0n1").disks, ElementsAre("nvme0n1"));
  EXPECT_TRUE(disks_beneath(disks, "nvme0n1").direct);
}

TEST_F(ReadDisks, MappedAndRaidDevicesStandOnSeveralDisks) {
  add_device("nvme0n1", add_controller("nvme0", "0000:00:04.0"), "259:0");
  add_device("nvme1n1", add_controller("nvme1", "0000:00:05.0"), "259:1");
  tree_.directory(add_device("md0", "sys/devices/virtual/block", "9:0") + "/md");
  tree_.directory("sys/devices/virtual/block/md0/slaves/nvme0n1");
  tree_.directory("sys/devices/virtual/block/md0/slaves/nvme1n1");
  add_mapped("dm-0", {"md0", "nvme1n1"});
  const Disks disks = read();
  EXPECT_EQ(disks.find("dm-0")->label, "vg-dm-0");
  const Beneath beneath = disks_beneath(disks, "dm-0");
  EXPECT_THAT(beneath.disks, ElementsAre("nvme0n1", "nvme1n1"));
  EXPECT_THAT(beneath.layers, ElementsAre("dm-0", "md0"));
  EXPECT_FALSE(beneath.direct);
}

TEST_F(ReadDisks, CirclesAndTowersEnd) {
  add_mapped("dm-0", {"dm-1"});
  add_mapped("dm-1", {"dm-0"});
  for (int i = 2; i < 99; ++i) add_mapped("dm-" + std::to_string(i), {"dm-" + std::to_string(i + 1)});
  const Disks disks = read();
  EXPECT_THAT(disks_beneath(disks, "dm-0").disks, IsEmpty());
  EXPECT_THAT(disks_beneath(disks, "dm-2").disks, SizeIs(1));
  EXPECT_THAT(disks_beneath(disks, "dm-2").layers, SizeIs(32));
}

TEST_F(ReadDisks, FabricsHaveNoFunction) {
  tree_.file("sys/devices/virtual/nvme-fabrics/ctl/nvme2/transport", "tcp\n");
  tree_.link("sys/class/nvme/nvme2", "sys/devices/virtual/nvme-fabrics/ctl/nvme2");
  const Disks disks = read();
  ASSERT_THAT(disks.controllers, SizeIs(1));
  EXPECT_EQ(disks.controllers[0].transport, "tcp");
  EXPECT_FALSE(disks.controllers[0].function);
}

TEST_F(ReadDisks, TheBufferAsOlderKernelsTellIt) {
  tree_.file(add_controller("nvme0", "0000:00:04.0") + "/cmb", "cmbloc : x00000002\ncmbsz  : x00400219\n");
  tree_.file(add_controller("nvme1", "0000:00:05.0") + "/cmb", "cmbsz\nx\n\ncmbsz : xyz\n");
  const Disks disks = read();
  ASSERT_TRUE(disks.controllers.at(0).memory);
  EXPECT_EQ(disks.controllers[0].memory->size, 0x400u << 20);
  EXPECT_FALSE(disks.controllers.at(1).memory);
}

TEST_F(ReadDisks, TextThatIsNotForTerminals) {
  const std::string controller = add_controller("nvme0", "0000:00:04.0");
  tree_.file(controller + "/model", "A\x9b\x1b[2J disk\xff\nnvme9  a second line\n");
  tree_.file(add_device("loop0", "sys/devices/virtual/block", "7:0") + "/loop/backing_file", "/srv/\xc3\xa9.img\n");
  const Disks disks = read();
  EXPECT_EQ(disks.controllers.at(0).model, "A??[2J disk?");
  EXPECT_EQ(disks.find("loop0")->file, "/srv/\xc3\xa9.img");
}

TEST_F(ReadDisks, NamesThatOnlyLookLikeNamespaces) {
  for (const char* const name : {"nvme0", "nvme0n", "nvme0n1x", "nvmen1", "nvme99999999999n1"}) {
    add_device(name, "sys/devices/virtual/block", "1:1");
  }
  tree_.link("sys/class/block/nvme5n1", "sys/devices/nowhere");
  const Disks disks = read();
  for (const BlockDevice& device : disks.devices) EXPECT_EQ(device.kind, Kind::kOther) << device.name;
  EXPECT_THAT(disks.problems, SizeIs(1));
}

TEST(ControllerMemory, Cmbsz) {
  EXPECT_EQ(decode_cmbsz(0x00010000).size, 16u * 4096);
  EXPECT_EQ(decode_cmbsz(0x00001600).size, std::uint64_t{64} << 30);
  EXPECT_EQ(decode_cmbsz(0xfffff700).size, 0u);  // a unit that does not exist
  EXPECT_TRUE(decode_cmbsz(0x08).read_data);
  EXPECT_FALSE(decode_cmbsz(0x08).write_data);
  EXPECT_TRUE(decode_cmbsz(0x10).write_data);
}

TEST(BeneathPath, OfThisMachine) {
  const Sysfs sysfs("/");
  const Disks disks = read_disks(sysfs, read_topology(sysfs));
  const auto process = disks_beneath_path(sysfs, disks, "/proc");
  ASSERT_FALSE(process);
  EXPECT_THAT(process.error().text(), HasSubstr("type proc"));
  EXPECT_FALSE(disks_beneath_path(sysfs, disks, "/no/such/path"));
}

}  // namespace
}  // namespace peerlane::pcie
