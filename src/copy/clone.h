// The file system lets both files share the blocks until one of them is written to: no data moves at all
// (FICLONERANGE, ioctl_ficlonerange(2)). XFS with reflink, btrfs.
#pragma once

#include "base/limits.h"
#include "copy/direct_way.h"
#include "io/background_share.h"

namespace peerlane::copy {

class Clone final : public Mover {
 public:
  Clone(const End& source, const End& destination, const MoverTools& tools);

  io::Task<Result<void>> move(Piece piece) override;

 private:
  io::Task<Result<void>> share(Piece piece);

  const End& source_;
  const End& destination_;
  const int source_descriptor_;
  const int destination_descriptor_;
  Account& account_;
  io::BackgroundShare threads_{limits::kDirectThreads};
};

}  // namespace peerlane::copy
