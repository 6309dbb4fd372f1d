// Block devices as values: NVMe controllers, their namespaces (also through native multipath, where one head stands for
// several paths), and what lies on them: partitions, device mapper, md, loop devices. From any of them, and from files,
// to the disks beneath.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pcie/sysfs.h"
#include "pcie/topology.h"

namespace peerlane::pcie {

/// CMBSZ of a controller (NVM Express Base Specification §3.1.4.13).
struct ControllerMemory {
  std::uint64_t size = 0;   // bytes
  bool read_data = false;   // RDS: data that the controller has read may go there
  bool write_data = false;  // WDS: data to be written may lie there
};

/// Decodes CMBSZ.
ControllerMemory decode_cmbsz(std::uint32_t value);

/// One NVMe controller.
struct Controller {
  std::string name;       // nvme0
  std::string transport;  // pcie, tcp, rdma, fc, loop
  std::string model;
  std::string serial;
  std::string firmware;
  std::string state;                    // live, resetting, ...
  std::string subsystem;                // nvme-subsys0
  std::string nqn;                      // of the subsystem
  std::optional<std::size_t> function;  // an index of Topology::functions; nothing for fabrics
  std::optional<ControllerMemory> memory;
};

struct BlockDevice {
  enum class Kind : std::uint8_t {
    kNamespace,      // of one NVMe controller
    kNamespaceHead,  // of an NVMe subsystem: native multipath
    kNamespacePath,  // one controller's way to a head; cannot be opened
    kPartition,
    kMapped,  // device mapper
    kRaid,    // md
    kLoop,
    kOther,
  };

  std::string name;        // nvme0n1, sda1, dm-0
  std::string number;      // its device number, "259:0"
  std::uint64_t size = 0;  // bytes
  Kind kind = Kind::kOther;
  std::optional<std::uint32_t> nsid;
  std::string label;                      // device mapper's name
  std::string file;                       // a loop device's
  std::string driver;                     // of kOther: virtio_blk, sd, ...
  std::vector<std::string> beneath;       // names of the block devices that it is made of
  std::optional<std::size_t> controller;  // of namespaces and paths: an index of Disks::controllers
  std::optional<std::size_t> function;    // of kOther: the PCI function above it
};

struct Disks {
  std::vector<Controller> controllers;
  std::vector<BlockDevice> devices;  // by name
  std::vector<std::string> problems;

  const BlockDevice* find(std::string_view name) const;
  const BlockDevice* find_number(std::string_view number) const;

  /// The controllers by which an NVMe namespace or head is reached, as indices.
  std::vector<std::size_t> controllers_of(const BlockDevice& device) const;
};

/// Reads the controllers and block devices. Never fails as a whole.
Disks read_disks(const Sysfs& sysfs, const Topology& topology);

/// What a path stands on.
struct Beneath {
  /// The disks: NVMe namespaces, heads, and others that are made of nothing else. Names.
  std::vector<std::string> disks;

  /// The block devices on the way from the path to them, first to last. Names.
  std::vector<std::string> layers;

  /// Whether every layer is one through which Linux passes peer memory: partitions, but not device mapper, md or loop.
  bool direct = true;
};

/// The disks beneath a block device of this name. Circles and towers of more than limits::kBlockLayers end.
Beneath disks_beneath(const Disks& disks, std::string_view name);

/// The disks beneath a path of this machine: a block device, a file, or a directory. Errors: the system's; ENODEV with
/// a sentence if it lies on no block device (tmpfs, network file systems).
Result<Beneath> disks_beneath_path(const Sysfs& sysfs, const Disks& disks, const std::string& path);

}  // namespace peerlane::pcie
