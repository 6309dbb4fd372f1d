// From disk to disk over the bus: the source writes into memory of a device (its own, the destination's or a third
// one's controller memory buffer), the destination reads from it, and this host's memory carries nothing (P2PDMA,
// Documentation/driver-api/pci/p2pdma.rst of Linux).
//
// No system call tells whether the right bytes have moved: where an IOMMU translates, all report success and the data
// is wrong. So the first transfer is read back by both ends through this host's memory and compared, and with it each
// further one until one has been that tells: of bytes that are not all the same. A difference ends this way for good;
// the range is written again by a longer one. Nothing else is written to find out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "copy/direct_way.h"
#include "io/event.h"
#include "pcie/peer_memory.h"

namespace peerlane::copy {

class PeerToPeer final : public Mover {
 public:
  using Providers = std::vector<std::unique_ptr<pcie::PeerMemoryProvider>>;

  /// Takes memory of the first of the providers that has some, when the first piece comes: at most half of what it has,
  /// so that other copies find some too.
  PeerToPeer(const End& source, const End& destination, Providers providers, const MoverTools& tools);
  ~PeerToPeer() override;

  io::Task<Result<void>> move(Piece piece) override;
  std::string through() const override;

 private:
  enum class State : unsigned char {
    kClosed,    // nobody has asked yet
    kProbing,   // the first transfer is under way, and the others wait
    kDoubtful,  // it moved the right bytes, but they were all the same: each transfer is looked at
    kProven,
    kFailed,
  };
  class Slot;

  Result<void> open();
  bool take_memory(pcie::PeerMemoryProvider& provider);
  io::Task<Result<void>> move_part(Piece part);
  io::Task<Result<void>> transfer(Piece part, ByteSpan memory);
  io::Task<Result<void>> look_at(Piece part);
  void fail_for_good(std::string reason);

  const End& source_;
  const End& destination_;
  const int source_descriptor_;
  const int destination_descriptor_;
  const std::uint64_t unit_;
  const Providers providers_;
  io::BufferShare& share_;
  Account& account_;

  State state_ = State::kClosed;
  std::string provider_;
  std::string why_failed_;
  unsigned errors_ = 0;
  std::unique_ptr<pcie::PeerRange> memory_;
  std::size_t slot_bytes_ = 0;
  std::vector<ByteSpan> free_;  // slots
  io::Event changed_;           // the state, or a slot is free
};

}  // namespace peerlane::copy
