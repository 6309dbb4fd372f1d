// The disk copies inside itself: NVMe's Copy command, within a namespace (Copy Descriptor Formats 0 and 1), or between
// two of one controller where that is enabled (2 and 3).
//
// The command goes to the namespace past the kernel's page cache: what other programs have written through that is
// brought to the disk before, and what the cache holds of the destination is dropped behind.
#pragma once

#include <atomic>

#include "base/limits.h"
#include "block/descriptor_device.h"
#include "copy/direct_way.h"
#include "copy/nvme_command.h"
#include "io/background_share.h"

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
  void cancel() override { canceled_ = true; }

 private:
  io::Task<Result<void>> send(Piece piece);
  int carry_out(const Piece& piece);
  int give_commands(const Piece& piece);

  const End& source_;
  const End& destination_;
  const NvmeCopyPlace place_;
  const block::Descriptor namespace_;
  Account& account_;
  std::atomic<bool> canceled_{false};
  io::BackgroundShare threads_{limits::kDirectThreads};
};

}  // namespace peerlane::copy
