#include "pcie/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pcie/testing/tree.h"

namespace peerlane::pcie {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReadTopology : public ::testing::Test {
 protected:
  /// A function: its path below /sys/devices, its class.
  std::string add(const std::string& path, std::string_view class_code) {
    const std::string directory = "sys/devices/" + path;
    tree_.file(directory + "/class", class_code);
    tree_.file(directory + "/vendor", "0x8086\n");
    tree_.file(directory + "/device", "0x2030\n");
    tree_.link("sys/bus/pci/devices/" + std::string(last_name(path)), directory);
    return directory;
  }

  Topology read() const { return read_topology(Sysfs(tree_.root())); }

  testing::Tree tree_;
};

TEST_F(ReadTopology, AnEmptyMachine) {
  tree_.directory("sys/bus/pci/devices");
  const Topology topology = read();
  EXPECT_THAT(topology.functions, IsEmpty());
  EXPECT_THAT(topology.problems, IsEmpty());
  EXPECT_THAT(topology.unseen, IsEmpty());
}

TEST_F(ReadTopology, NoSysfs) {
  EXPECT_THAT(read().problems, ::testing::ElementsAre(HasSubstr("No such file")));
}

TEST_F(ReadTopology, ParentsAndRolesByPlace) {
  add("pci0000:00/0000:00:00.0", "0x060000\n");
  add("pci0000:00/0000:00:01.0", "0x060400\n");
  add("pci0000:00/0000:00:01.0/0000:01:00.0", "0x060400\n");
  add("pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0", "0x060400\n");
  add("pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0", "0x010802\n");
  const Topology topology = read();
  ASSERT_THAT(topology.functions, SizeIs(5));
  EXPECT_FALSE(topology.functions[1].parent);
  const Role roles[] = {Role::kEndpoint, Role::kRootPort, Role::kUpstreamPort, Role::kDownstreamPort, Role::kEndpoint};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(topology.functions[i].role, roles[i]) << i;
    EXPECT_EQ(topology.functions[i].role_presumed, topology.functions[i].is_bridge()) << i;
    if (i > 1) {
      EXPECT_EQ(topology.functions[i].parent, i - 1) << i;
    }
  }
  EXPECT_EQ(topology.root_buses.at(0).bridge, 0u);
  EXPECT_THAT(topology.unseen, SizeIs(1));
}

TEST_F(ReadTopology, AttributesOfAFunction) {
  const std::string disk = add("pci0000:80/0000:80:01.0", "0x010802\n");
  tree_.file(disk + "/current_link_speed", "16.0 GT/s PCIe\n");
  tree_.file(disk + "/current_link_width", "4\n");
  tree_.file(disk + "/max_link_speed", "32.0 GT/s PCIe\n");
  tree_.file(disk + "/max_link_width", "8\n");
  tree_.file(disk + "/numa_node", "1\n");
  tree_.file("sys/kernel/iommu_groups/17/type", "DMA-FQ\n");
  tree_.link(disk + "/iommu_group", "sys/kernel/iommu_groups/17");
  tree_.directory("sys/bus/pci/drivers/nvme");
  tree_.link(disk + "/driver", "sys/bus/pci/drivers/nvme");
  tree_.file(disk + "/p2pmem/size", "67108864\n");
  tree_.file(disk + "/p2pmem/available", "67043328\n");
  tree_.file(disk + "/p2pmem/published", "1\n");
  tree_.file(disk + "/p2pmem/allocate", "");
  tree_.file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n");
  tree_.file("proc/sys/kernel/osrelease", "7.3.4\n");
  const Topology topology = read();
  ASSERT_THAT(topology.functions, SizeIs(1));
  const Function& function = topology.functions[0];
  EXPECT_EQ(function.link, (Link{16000, 4}));
  EXPECT_EQ(function.most, (Link{32000, 8}));
  EXPECT_EQ(function.numa_node, 1u);
  EXPECT_EQ(function.iommu_group, 17u);
  EXPECT_TRUE(function.translated());
  EXPECT_EQ(function.driver, "nvme");
  EXPECT_EQ(function.vendor, 0x8086);
  ASSERT_TRUE(function.peer_memory);
  EXPECT_EQ(function.peer_memory->available, 67043328u);
  EXPECT_TRUE(function.peer_memory->published && function.peer_memory->allocatable);
  EXPECT_EQ(topology.processor.vendor, "AuthenticAMD");
  EXPECT_EQ(topology.processor.family, 25u);
  EXPECT_EQ(topology.kernel, "7.3.4");
  EXPECT_THAT(topology.problems, IsEmpty());
  // On a bus that begins neither with device 0 nor with a root port.
  EXPECT_FALSE(topology.root_buses.at(0).bridge);
}

TEST_F(ReadTopology, ADomainBehindAnEndPointIsAHierarchyOfItsOwn) {
  add("pci0000:00/0000:00:0e.0", "0x010400\n");
  add("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:00.0", "0x060400\n");
  add("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:00.0/10000:e1:00.0", "0x010802\n");
  const Topology topology = read();
  ASSERT_THAT(topology.functions, SizeIs(3));
  EXPECT_THAT(topology.root_buses, SizeIs(2));
  EXPECT_FALSE(topology.functions[1].parent);
  EXPECT_EQ(topology.functions[2].parent, 1u);
  EXPECT_NE(topology.functions[0].root_bus, topology.functions[2].root_bus);
}

TEST_F(ReadTopology, GarbageIsReported) {
  const std::string disk = add("pci0000:00/0000:00:01.0", "a class\n");
  tree_.file(disk + "/current_link_speed", "\x1b[31mfast\n");
  tree_.file(disk + "/p2pmem/size", std::string(100'000, '9'));
  tree_.file(disk + "/numa_node", "-1\n");
  tree_.file("sys/bus/pci/devices/nonsense", "");
  tree_.link("sys/bus/pci/devices/0000:00:02.0", "sys/devices/nowhere");
  tree_.directory("sys/devices/platform/0000:00:03.0");
  tree_.link("sys/bus/pci/devices/0000:00:03.0", "sys/devices/platform/0000:00:03.0");
  std::filesystem::create_symlink("/dev/zero", tree_.root() + "/" + disk + "/config");
  const Topology topology = read();
  ASSERT_THAT(topology.functions, SizeIs(1));
  EXPECT_FALSE(topology.functions[0].numa_node);
  EXPECT_FALSE(topology.functions[0].peer_memory);
  for (const char* const part :
       {"class", "\"?[31mfast\" is no link speed", "p2pmem/size", "nonsense", "0000:00:02.0", "is on no root bus"}) {
    EXPECT_THAT(topology.problems, Contains(HasSubstr(part)));
  }
  EXPECT_THAT(topology.problems, SizeIs(6));
}

TEST_F(ReadTopology, ALinkOutOfTheTreeIsNotFollowed) {
  add("pci0000:00/0000:00:00.0", "0x060000\n");
  std::filesystem::create_symlink("/", tree_.root() + "/sys/bus/pci/devices/0000:00:04.0");
  const Topology topology = read();
  EXPECT_THAT(topology.functions, SizeIs(1));
  EXPECT_THAT(topology.problems, SizeIs(1));
}

}  // namespace
}  // namespace peerlane::pcie
