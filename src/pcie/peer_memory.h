// Memory of a device on the bus, for transfers between other devices: a controller memory buffer (NVM Express Base
// Specification §8.2.1) or what else a driver offers.
//
// Whoever allocates has it alone until he gives it back, and it reads as zeroes then: it is wiped before its first use,
// since its last owner may have been killed, and again before it is given back. It is memory of a device: a processor's
// access to it is slow, and faults when the device is gone. Wipe and fill by the functions here, which survive that,
// and leave the rest to DMA.
//
// A provider is an interface, since kernels grow several ways to have such memory; nobody else knows which one it is.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "pcie/sysfs.h"
#include "pcie/topology.h"

namespace peerlane::pcie {

/// A range of peer memory, mapped into this process, readable and writable by DMA of other devices. Thread-safe as far
/// as the bytes are the caller's.
class PeerRange {
 public:
  PeerRange() = default;
  PeerRange(const PeerRange&) = delete;
  PeerRange& operator=(const PeerRange&) = delete;
  /// Wipes it and gives it back.
  virtual ~PeerRange() = default;

  /// All of it; begins at a page.
  virtual ByteSpan bytes() const = 0;
};

class PeerMemoryProvider {
 public:
  PeerMemoryProvider() = default;
  PeerMemoryProvider(const PeerMemoryProvider&) = delete;
  PeerMemoryProvider& operator=(const PeerMemoryProvider&) = delete;
  virtual ~PeerMemoryProvider() = default;

  /// For people: "0000:03:00.0".
  virtual const std::string& name() const = 0;

  /// Bytes that nobody has now; 0 where that cannot be told.
  virtual std::uint64_t available() const = 0;

  /// A range of `bytes`, a multiple of 4096, wiped. Errors, with a sentence: ENOMEM if there is not as much, EACCES for
  /// who may not, ENODEV if the device is gone. Blocks for the time of wiping it.
  virtual Result<std::unique_ptr<PeerRange>> allocate(std::size_t bytes) = 0;
};

/// The provider of a function that has peer memory for programs: Linux's p2pmem/allocate in sysfs.
std::unique_ptr<PeerMemoryProvider> open_provider(const Sysfs& sysfs, const Function& function);

/// Makes `bytes` of peer memory, or of any other, zeroes or random. Errors: EFAULT if they are gone with their device.
Result<void> wipe(ByteSpan bytes);
Result<void> scramble(ByteSpan bytes);

}  // namespace peerlane::pcie
