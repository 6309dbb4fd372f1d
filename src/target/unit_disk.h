// A logical unit as the copy engine sees it: a disk that an I_T nexus reads or writes by itself, with all the care for
// other commands that its own reads and writes would take.
//
// Each access has a pass of the unit's range lock, and is refused with EACCES once reservations forbid it to the nexus,
// with EIO while the unit is being sanitized. Accesses that wait for a range end with ECANCELED when the copy is to
// end. Direct ways hold a pass of one unit while they wait for one of another: so that no two of them wait for each
// other, they wait limits::kCopyPassWait only, and then have ENOTSUP: the bytes go by host memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "block/device.h"
#include "target/logical_unit.h"
#include "target/range_lock.h"

namespace peerlane::target {

class UnitDisk final : public block::Device {
 public:
  /// kBoth: source and destination are one unit. All that a direct way touches then counts as written.
  enum class Use : std::uint8_t { kRead, kWrite, kBoth };

  /// Borrows the nexus, and `ending`, which says that the copy is to end. All on the nexus's reactor.
  UnitDisk(ItlNexus& nexus, Use use, const bool& ending) : nexus_(nexus), use_(use), ending_(ending) {}

  block::Geometry geometry() const override;
  block::Capabilities capabilities() const override;
  block::Identity identity() const override { return unit().device().identity(); }
  std::uint32_t memory_alignment() const override { return unit().device().memory_alignment(); }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;
  io::Task<Result<void>> flush() override { return unit().device().flush(); }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override;
  Result<bool> refresh_size() override { return false; }
  std::optional<block::Backing> backing() const override { return unit().device().backing(); }
  block::CopyOffload* copy_offload() override { return unit().device().copy_offload(); }
  io::Task<Result<void>> around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) override;

 private:
  LogicalUnit& unit() const { return nexus_.unit(); }
  io::Task<Result<void>> enter(RangeLock::Pass& pass, std::optional<io::Duration> patience = std::nullopt);

  ItlNexus& nexus_;
  const Use use_;
  const bool& ending_;
};

}  // namespace peerlane::target
