// What the ends of a copy are made of: files and block devices of this host, and the NVMe disks beneath them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

#include "block/device.h"
#include "copy/end.h"
#include "pcie/block_devices.h"
#include "pcie/sysfs.h"
#include "pcie/topology.h"

namespace peerlane::copy {

/// One end, as the system has it now. Its descriptor is the device's.
struct Storage {
  enum class Kind : unsigned char { kNone, kFile, kBlockDevice };

  Kind kind = Kind::kNone;
  std::string name;  // of the end, for people
  block::Backing backing;
  dev_t device = 0;               // of a file: that of its file system; otherwise its own number
  ino_t inode = 0;                // of a file
  std::uint64_t disk = 0;         // of a block device: a number that no disk has had before (diskseq); 0: nobody knows
  std::uint64_t start = 0;        // of a partition: its first sector
  std::uint64_t file_system = 0;  // of a file: statfs(2)'s f_type
  std::uint32_t block = 0;        // of a file: bytes of its file system's blocks; otherwise of its own
  bool direct_io = false;         // reads and writes go to the disk without a copy in memory

  std::string path() const;  // by which it can be opened again

  std::string file_system_name() const;
};

Storage storage_of(const End& end);

/// The bus and the disks of this machine, as they are now.
struct Machine {
  pcie::Sysfs sysfs;
  pcie::Topology topology;
  pcie::Disks disks;
};

Machine look_at_machine();

/// The same without the bus: its topology is empty, and nobody knows on which functions the disks are. Reading the
/// configuration space of all functions takes a millisecond for each on some machines.
Machine look_at_disks();

/// Where an end's blocks lie.
struct DiskBeneath {
  const pcie::BlockDevice* disk = nullptr;  // an NVMe namespace or the head of several paths to one; of machine.disks
  std::uint64_t offset = 0;  // bytes: of a partition, where it begins on the disk; of a file nothing is known
};

/// The one NVMe disk beneath an end. The error says why there is none.
Result<DiskBeneath> disk_beneath(const Machine& machine, const Storage& storage);

}  // namespace peerlane::copy
