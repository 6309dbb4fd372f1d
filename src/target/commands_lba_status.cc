// GET LBA STATUS (SBC-4 §5.6, §5.7).

#include <algorithm>
#include <vector>

#include "base/limits.h"
#include "scsi/lba_status.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::size_t kLbaOffset = 2;
// In the form of 32 bytes, which also says how far to look: 0 is as far as there is.
constexpr std::size_t kLbaOffset32 = 12;
constexpr std::size_t kScanLengthOffset32 = 20;
constexpr std::uint64_t kMostBlocks = 0xffffffff;  // of one descriptor

/// Descriptors for `extents`, which need not begin and end at logical blocks: a block that has space in part is mapped.
class Descriptors {
 public:
  explicit Descriptors(std::uint32_t block_size) : block_size_(block_size) {}

  void add(const block::Extent& extent) {
    const std::uint64_t end = extent.offset + extent.length;
    const std::uint64_t end_block = extent.allocated ? (end + block_size_ - 1) / block_size_ : end / block_size_;
    const std::uint64_t begin_block =
        extent.allocated ? extent.offset / block_size_ : (extent.offset + block_size_ - 1) / block_size_;
    const std::uint64_t begin = list_.empty() ? begin_block : std::max(begin_block, next_);
    if (begin >= end_block) return;
    const auto status = extent.allocated ? scsi::ProvisioningStatus::kMapped : scsi::ProvisioningStatus::kDeallocated;
    if (!list_.empty() && list_.back().status == status) {
      list_.back().count = {end_block - list_.back().lba.value};
    } else {
      list_.push_back({{begin}, {end_block - begin}, status});
    }
    next_ = end_block;
  }

  std::vector<scsi::LbaStatus> take() {
    for (scsi::LbaStatus& descriptor : list_) descriptor.count.value = std::min(descriptor.count.value, kMostBlocks);
    return std::move(list_);
  }

 private:
  const std::uint32_t block_size_;
  std::uint64_t next_ = 0;
  std::vector<scsi::LbaStatus> list_;
};

}  // namespace

io::Task<Completion> get_lba_status(CommandContext context) {
  LogicalUnit& unit = context.unit;
  const bool variable = context.description.operation == scsi::OperationCode::kVariableLength;
  const scsi::Lba lba{get_be64(context.cdb(), variable ? kLbaOffset32 : kLbaOffset)};
  const std::uint64_t scan = variable ? get_be32(context.cdb(), kScanLengthOffset32) : 0;
  const std::uint64_t capacity = unit.capacity().value;
  if (lba.value >= capacity) co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kLbaOutOfRange));
  const std::uint64_t blocks = std::min(capacity - lba.value, scan != 0 ? scan : kMostBlocks);

  std::vector<scsi::LbaStatus> descriptors;
  if (unit.capabilities().allocation) {
    auto extents = co_await unit.device().allocation(lba.value * unit.block_size(), blocks * unit.block_size(),
                                                     limits::kMaxLbaStatusDescriptors);
    if (!extents) co_return device_failure(extents.error(), MediumAccess::kRead, lba);
    Descriptors found(unit.block_size());
    for (const block::Extent& extent : *extents) found.add(extent);
    descriptors = found.take();
  } else {
    // Nobody knows, so nobody may rely on any block having no space.
    descriptors.push_back({lba, {blocks}, scsi::ProvisioningStatus::kMapped});
  }
  std::optional<io::Buffer> buffer = co_await context.command.allocate(kAnswerBytes);
  if (!buffer) co_return Completion::good();
  const std::size_t size = scsi::encode_lba_status(descriptors, buffer->bytes());
  send_answer(context.command, context.description, std::move(*buffer), size);
  co_return Completion::good();
}

}  // namespace peerlane::target
