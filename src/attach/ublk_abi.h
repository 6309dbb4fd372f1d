// The kernel's interface to user-space block devices, as far as it is used here: linux/ublk_cmd.h, whose newer parts
// Debian 12's headers do not have. Names are the kernel's, without UBLK_ and in our spelling.
//
// A device N is made with commands to /dev/ublk-control. Its server opens /dev/ublkcN, maps the descriptors of each
// queue's requests, and gives the kernel one command for each request that may be under way (a tag). The kernel
// completes it when there is a request; the server's next command for the tag commits the result and waits for the next
// request. /dev/ublkbN is the disk.
#pragma once

#include <cstdint>
#include <type_traits>

#include <sys/ioctl.h>

namespace peerlane::attach::ublk {

// --- Commands to /dev/ublk-control: in the 80 bytes at the end of a large submission entry (SQE128) ---

struct ControlCommand {  // struct ublksrv_ctrl_cmd
  std::uint32_t device;
  std::uint16_t queue;  // 0xffff: none
  std::uint16_t length;
  std::uint64_t address;
  std::uint64_t data;
  std::uint16_t path_length;
  std::uint16_t pad;
  std::uint32_t reserved;
};
static_assert(sizeof(ControlCommand) == 32);

inline constexpr std::uint32_t kAnyDevice = 0xffffffff;
inline constexpr std::uint16_t kNoQueue = 0xffff;

inline constexpr std::uint32_t kGetDeviceInfo = _IOR('u', 0x02, ControlCommand);
inline constexpr std::uint32_t kAddDevice = _IOWR('u', 0x04, ControlCommand);
inline constexpr std::uint32_t kDeleteDevice = _IOWR('u', 0x05, ControlCommand);
inline constexpr std::uint32_t kStartDevice = _IOWR('u', 0x06, ControlCommand);
inline constexpr std::uint32_t kStopDevice = _IOWR('u', 0x07, ControlCommand);
inline constexpr std::uint32_t kSetParameters = _IOWR('u', 0x08, ControlCommand);
inline constexpr std::uint32_t kStartRecovery = _IOWR('u', 0x10, ControlCommand);
inline constexpr std::uint32_t kEndRecovery = _IOWR('u', 0x11, ControlCommand);
inline constexpr std::uint32_t kGetFeatures = _IOR('u', 0x13, ControlCommand);        // Linux 6.5
inline constexpr std::uint32_t kDeleteDeviceAsync = _IOR('u', 0x14, ControlCommand);  // Linux 6.9
inline constexpr std::uint32_t kUpdateSize = _IOWR('u', 0x15, ControlCommand);  // Linux 6.16, feature kSizeUpdates

// Features, and flags of a device.
inline constexpr std::uint64_t kRecovery = 1u << 3;         // it stays when its server dies, and requests wait
inline constexpr std::uint64_t kRecoveryReissue = 1u << 4;  // those that were with the server are given to the next one
inline constexpr std::uint64_t kSizeUpdates = 1u << 10;

enum class State : std::uint16_t {
  kDead = 0,
  kLive = 1,
  kQuiesced = 2,  // its server has died
  kFailing = 3,   // the same, and requests fail
};

struct DeviceInfo {  // struct ublksrv_ctrl_dev_info
  std::uint16_t queues;
  std::uint16_t depth;
  State state;
  std::uint16_t pad0;
  std::uint32_t io_bytes;  // the longest read or write
  std::uint32_t device;
  std::int32_t server;  // its process
  std::uint32_t pad1;
  std::uint64_t flags;
  std::uint64_t server_flags;  // the server's own: kept for it, without meaning to the kernel
  std::uint32_t owner_user;
  std::uint32_t owner_group;
  std::uint64_t reserved1;
  std::uint64_t reserved2;
};
static_assert(sizeof(DeviceInfo) == 64);

// --- Parameters of a device ---

inline constexpr std::uint32_t kReadOnly = 1u << 0;
inline constexpr std::uint32_t kVolatileCache = 1u << 2;
inline constexpr std::uint32_t kFua = 1u << 3;

struct BasicParameters {
  std::uint32_t attributes;
  std::uint8_t logical_block_shift;
  std::uint8_t physical_block_shift;
  std::uint8_t optimal_io_shift;
  std::uint8_t least_io_shift;
  std::uint32_t most_sectors;
  std::uint32_t chunk_sectors;
  std::uint64_t sectors;
  std::uint64_t virtual_boundary_mask;
};

struct DiscardParameters {
  std::uint32_t alignment;
  std::uint32_t granularity;
  std::uint32_t most_discard_sectors;
  std::uint32_t most_write_zeroes_sectors;
  std::uint16_t most_segments;
  std::uint16_t reserved;
};

inline constexpr std::uint32_t kHasBasic = 1u << 0;
inline constexpr std::uint32_t kHasDiscard = 1u << 1;

/// The beginning of struct ublk_params: its length says where it ends, so that older and newer kernels understand it.
struct Parameters {
  std::uint32_t length;
  std::uint32_t types;
  BasicParameters basic;
  DiscardParameters discard;
  std::uint32_t pad;
};
static_assert(sizeof(BasicParameters) == 32 && sizeof(DiscardParameters) == 20 && sizeof(Parameters) == 64);

inline constexpr unsigned kSectorShift = 9;  // sectors have 512 bytes, whatever the logical block size

// --- Requests, through /dev/ublkcN ---

struct QueueCommand {  // struct ublksrv_io_cmd: in the 16 bytes at the end of a submission entry
  std::uint16_t queue;
  std::uint16_t tag;
  std::int32_t result;    // bytes, or -errno
  std::uint64_t address;  // of the tag's buffer: the kernel copies there what is written, and from there what was read
};
static_assert(sizeof(QueueCommand) == 16);

inline constexpr std::uint32_t kFetch = _IOWR('u', 0x20, QueueCommand);
inline constexpr std::uint32_t kCommitAndFetch = _IOWR('u', 0x21, QueueCommand);

struct RequestDescriptor {  // struct ublksrv_io_desc; the kernel writes it, mapped read-only
  std::uint32_t operation_and_flags;
  std::uint32_t sectors;
  std::uint64_t first_sector;
  std::uint64_t address;
};
static_assert(sizeof(RequestDescriptor) == 24);

inline constexpr unsigned kMostDepth = 4096;  // descriptors of a queue begin so many after those of the one before it

// Operations: the low byte.
inline constexpr std::uint32_t kRead = 0;
inline constexpr std::uint32_t kWrite = 1;
inline constexpr std::uint32_t kFlush = 2;
inline constexpr std::uint32_t kDiscard = 3;
inline constexpr std::uint32_t kWriteZeroes = 5;
// Flags of a request: above it.
inline constexpr std::uint32_t kRequestFua = 1u << 13;
inline constexpr std::uint32_t kRequestNoUnmap = 1u << 15;

}  // namespace peerlane::attach::ublk
