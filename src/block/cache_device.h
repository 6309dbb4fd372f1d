// A cache before a disk: a filter that keeps pages in memory that it shares with the caches of other disks.
//
// Reads. What is in memory is copied from there; what is not is read from the device, by whole pages, and kept. Who
// wants a page that somebody is just fetching waits for that instead of reading it again. Sequential readers find their
// next pages fetched (block/read_ahead.h).
//
// Writes, as the mode says:
// - write-through: to the device, and into the cache when the device has them. Nothing is promised that the device does
//   not promise.
// - write-back: into the cache, and to the device later (block/write_out.h). So the disk has a volatile cache: what was
//   written may be lost until flush(), which brings it down and then flushes the device. A write with kFua goes through
//   to stable storage. Where no page can be had, too much is dirty, or a part of a page is written of which the rest is
//   not here, a write goes through as well: that is how a writer is slowed down to the speed of the device.
//
// Coherence. All that changes the device holds the range (block/range_locks.h), whole pages of it, so that of two
// changes which overlap one comes first in the cache and on the device. Reads hold nothing: a page that is fetched is
// not kept if it was changed before it came.
//
// What the device changes by itself, it must tell: see Device::around and Device::invalidate.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "block/cache_memory.h"
#include "block/filter_device.h"
#include "block/filter_options.h"
#include "block/range_locks.h"
#include "block/read_ahead.h"
#include "block/write_out.h"

namespace peerlane::block {

class CacheDevice final : public FilterDevice {
 public:
  /// `memory` outlives it. `options.mode` is not kOff.
  CacheDevice(std::unique_ptr<Device> inner, CacheMemory& memory, const CacheOptions& options);
  /// All operations have ended, and close() has, if there were any.
  ~CacheDevice() override;

  Capabilities capabilities() const override;
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override;
  Result<bool> refresh_size() override;
  io::Task<Result<void>> around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) override;
  void invalidate(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> close() override;
  Statistics statistics() const override;

 private:
  /// A run of whole pages, by number.
  struct Pages {
    std::uint64_t first;
    std::uint64_t end;
  };

  static Pages pages_of(std::uint64_t offset, std::uint64_t length);
  std::uint64_t whole_pages() const { return geometry().size / kCachePageBytes; }

  std::uint64_t copy_hits(std::uint64_t offset, ByteSpan into, std::uint64_t page, bool goes_on);
  CacheMemory::Found copy_page(std::uint64_t offset, ByteSpan into, std::uint64_t page, bool again);
  io::Task<Result<void>> read_missing(std::uint64_t offset, ByteSpan into, std::uint64_t page);
  io::Task<Result<void>> fetch(std::uint64_t offset, ByteSpan into, Pages pages, const CacheFill& fill,
                               std::uint64_t claimed);
  std::uint64_t claim(Pages pages, CacheFill& fill);
  ReadAhead::Advice note_read(std::uint64_t offset, std::uint64_t length);
  void start_read_ahead(ReadAhead::Range range);
  io::Task<void> fetch_ahead(Pages pages);

  bool store_dirty(std::uint64_t offset, ByteView from);
  io::Task<Result<void>> write_back(std::uint64_t offset, ByteView from);
  io::Task<Result<void>> write_through(std::uint64_t offset, ByteView from, WriteFlags flags);
  io::Task<Result<void>> change(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work);
  io::Task<Result<void>> change_held(Pages pages, io::Task<Result<void>> work);
  io::Task<Result<void>> flush_dirty();
  io::Task<Result<std::vector<Extent>>> allocation_of_settled(std::uint64_t offset, std::uint64_t length,
                                                              std::size_t most);

  CacheMemory& memory_;
  CacheOwner owner_;
  RangeLocks locks_;
  std::optional<WriteOut> write_out_;  // in write-back mode
  std::mutex read_ahead_mutex_;
  ReadAhead read_ahead_;
  SharedGate fetching_ahead_;
};

}  // namespace peerlane::block
