// A disk in memory: sparse, gone with the process. For tests, measurements and scratch space.
//
// Pages that were never written, or were unmapped, take no memory and read as zeroes. Every operation completes at
// once, on any thread. Operations that overlap while both are under way may see each other in parts, as on any disk.
//
// Its content is in its final place as soon as a write completes: there is no cache before it that a flush could empty,
// so it reports no volatile cache. (That the whole medium is volatile is another matter: a flush would not make it
// safer.)
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "block/device.h"

namespace peerlane::block {

class RamDevice final : public Device {
 public:
  /// A disk of `size` bytes, less a last part that fills no logical block, of blocks of 512 or 4096 bytes. `spec` is
  /// how the user named it. Errors: EINVAL if there is not one block or the block size is another, ENOMEM if the size
  /// cannot be mapped.
  static Result<std::unique_ptr<RamDevice>> create(std::uint64_t size, std::uint32_t logical_block_size, bool read_only,
                                                   std::string spec);
  ~RamDevice() override;

  Geometry geometry() const override;
  Capabilities capabilities() const override;
  Identity identity() const override;
  std::uint32_t memory_alignment() const override { return 1; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override;
  Result<Space> space() const override;
  Result<bool> refresh_size() override { return false; }

 private:
  using MapWord = std::atomic<std::uint64_t>;

  RamDevice(ByteSpan memory, std::span<MapWord> map, std::uint64_t size, std::uint32_t logical_block_size,
            bool read_only, std::string spec);

  bool contains(std::uint64_t offset, std::uint64_t length) const;
  void mark_allocated(std::uint64_t first_page, std::uint64_t end_page);
  void mark_unallocated(std::uint64_t first_page, std::uint64_t end_page);
  Result<void> release(std::uint64_t offset, std::uint64_t length);

  ByteSpan memory_;         // whole pages
  std::span<MapWord> map_;  // one bit per page: whether it may hold anything but zeroes
  std::uint64_t size_;
  std::uint32_t logical_block_size_;
  bool read_only_;
  std::string spec_;
};

}  // namespace peerlane::block
