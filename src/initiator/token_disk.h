// What a ROD token of another target stands for, as a disk to be read: READ USING TOKEN (scsi/token_read.h) to the
// logical unit that the token is of. Peerlane's targets have the command, no others do.
#pragma once

#include <cstdint>
#include <memory>

#include "block/device.h"
#include "initiator/lun.h"
#include "scsi/rod_token.h"
#include "scsi/token_read.h"

namespace peerlane::initiator {

class TokenDisk final : public block::Device {
 public:
  /// `lun` is the unit that the token names as its creator. All of the token is compared with what its target has made.
  /// On the unit's home reactor. Errors: ENOKEY, no such token; EKEYEXPIRED, EKEYREVOKED; ENOTSUP, the target does not
  /// let tokens be used so; those of Lun::execute().
  static io::Task<Result<std::shared_ptr<TokenDisk>>> open(std::shared_ptr<Lun> lun, const scsi::RodTokenBytes& token);

  block::Geometry geometry() const override;
  block::Capabilities capabilities() const override;
  block::Identity identity() const override { return {lun_->identity().spec + " by token", {}}; }
  std::uint32_t memory_alignment() const override { return 1; }

  /// Errors besides those of Lun::read(): EKEYEXPIRED, EKEYREVOKED, ENOKEY.
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;

  io::Task<Result<void>> write(std::uint64_t, ByteView, block::WriteFlags) override { return refuse(); }
  io::Task<Result<void>> flush() override { return io::ready(Result<void>()); }
  io::Task<Result<void>> unmap(std::uint64_t, std::uint64_t) override { return refuse(); }
  io::Task<Result<void>> write_zeroes(std::uint64_t, std::uint64_t, bool) override { return refuse(); }
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t, std::uint64_t, std::size_t) override {
    return io::ready(Result<std::vector<block::Extent>>(fail(ENOTSUP)));
  }
  Result<bool> refresh_size() override { return false; }

 private:
  TokenDisk(std::shared_ptr<Lun> lun, scsi::RodTokenKey key, std::uint64_t size)
      : lun_(std::move(lun)), key_(key), size_(size) {}

  static io::Task<Result<void>> refuse() { return io::ready(Result<void>(fail(EROFS))); }
  io::Task<Result<void>> read_here(std::uint64_t offset, ByteSpan into);
  io::Task<Result<void>> read_piece(std::uint64_t offset, ByteSpan into);
  io::Task<void> read_there(std::uint64_t offset, ByteSpan into, Result<void>& done);

  const std::shared_ptr<Lun> lun_;
  const scsi::RodTokenKey key_;
  const std::uint64_t size_;  // bytes
};

}  // namespace peerlane::initiator
