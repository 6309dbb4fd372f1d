// The disk copies inside itself: NVMe's Copy command, within a namespace, or between two of one controller where that
// takes Copy Descriptor Format 2.
//
// The command goes to the namespace past the kernel's page cache: what other programs have written through that is
// brought to the disk before, and what the cache holds of the destination is dropped behind.
#pragma once

#include "block/descriptor_device.h"
#include "copy/direct_way.h"
#include "copy/nvme_command.h"
#include "io/background.h"

namespace peerlane::copy {

/// Where such a copy goes on between two ends.
struct NvmeCopyPlace {
  std::string path;  // of the destination's namespace, a block device
  std::uint32_t source_nsid = 0;
  std::uint32_t destination_nsid = 0;
  std::uint64_t source_offset = 0;  // bytes: where the ends begin in their namespaces
  std::uint64_t destination_offset = 0;
  nvme::CopyLimits limits;
};

class NvmeCopy final : public Mover {
 public:
  NvmeCopy(const End& source, const End& destination, NvmeCopyPlace place, const MoverTools& tools);

  io::Task<Result<void>> move(Piece piece) override;

 private:
  io::Task<Result<void>> send(Piece piece);
  int carry_out(const Piece& piece);

  const End& source_;
  const End& destination_;
  const NvmeCopyPlace place_;
  const block::Descriptor namespace_;
  Account& account_;
  io::Background background_;
};

}  // namespace peerlane::copy
