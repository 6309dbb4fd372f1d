// A machine's PCI Express hierarchy (Base Specification §1.3) as values: root buses of the root complex, bridges and
// switch ports, end points, and what Linux knows of each. Nothing here reads anything: read_topology() does, or a test
// fills it in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pcie/address.h"
#include "pcie/config_space.h"
#include "pcie/link.h"
#include "pcie/sysfs.h"

namespace peerlane::pcie {

/// Memory of a device that Linux hands out for peer-to-peer transfers (`p2pmem` in sysfs).
struct PeerMemory {
  std::uint64_t size = 0;       // bytes
  std::uint64_t available = 0;  // of these, not in use
  bool published = false;       // offered to other drivers of the kernel
  bool allocatable = false;     // offered to programs (`p2pmem/allocate`, for root)
};

/// One PCI function.
struct Function {
  Address address;
  std::string path;                   // in sysfs, without the root
  std::optional<std::size_t> parent;  // the bridge above: an index of Topology::functions; nothing on a root bus
  std::size_t root_bus = 0;           // an index of Topology::root_buses
  Role role = Role::kEndpoint;
  bool role_presumed = false;  // its configuration space was not visible: the role follows from its place
  std::uint32_t class_code = 0;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::string driver;  // empty: none
  Link link;           // the link above it; of a root or downstream port the one below it
  Link most;           // what it could be
  std::optional<unsigned> numa_node;
  std::optional<unsigned> iommu_group;
  std::string iommu_type;  // of the group: identity, DMA, DMA-FQ; empty if there is none
  Acs acs;
  std::optional<PeerMemory> peer_memory;

  bool is_bridge() const { return class_code >> 8 == 0x0604; }
  bool is_nvme() const { return class_code == 0x010802; }

  /// Whether the IOMMU translates its addresses.
  bool translated() const { return iommu_type.starts_with("DMA"); }
};

/// A root bus: one host bridge of the root complex.
struct RootBus {
  std::string name;  // Linux's: pci0000:00

  /// The function by which Linux tells which host bridge this is: the first one on the bus, if it is device 0, function
  /// 0, or a root port. An index of Topology::functions.
  std::optional<std::size_t> bridge;
};

struct Processor {
  std::string vendor;  // GenuineIntel, AuthenticAMD, ...; empty on others than x86
  unsigned family = 0;
};

struct Topology {
  std::string kernel;  // its release
  Processor processor;
  std::vector<RootBus> root_buses;
  std::vector<Function> functions;    // in the order of their addresses
  std::vector<std::string> unseen;    // what needs privileges, a sentence each
  std::vector<std::string> problems;  // what could not be understood, a sentence each

  /// The index of a function.
  std::optional<std::size_t> find(const Address& address) const;
};

/// Reads the hierarchy. Never fails as a whole: what cannot be read or understood is in `unseen` or `problems`.
Topology read_topology(const Sysfs& sysfs);

}  // namespace peerlane::pcie
