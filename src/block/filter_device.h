// A filter: a disk that is another disk with something added. It owns the device that it wraps and passes everything on
// to it; each kind of filter overrides only what it changes.
//
// Filters stack (see block/filters.h) and are used as every device is: from all reactors at the same time.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "block/device.h"

namespace peerlane::block {

class FilterDevice : public Device {
 public:
  Geometry geometry() const override { return inner_->geometry(); }
  Capabilities capabilities() const override { return inner_->capabilities(); }
  Identity identity() const override { return inner_->identity(); }
  std::uint32_t memory_alignment() const override { return inner_->memory_alignment(); }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override { return inner_->read(offset, into); }
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override {
    return inner_->write(offset, from, flags);
  }
  io::Task<Result<void>> flush() override { return inner_->flush(); }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    return inner_->unmap(offset, length);
  }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override {
    return inner_->write_zeroes(offset, length, may_unmap);
  }
  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override {
    return inner_->allocation(offset, length, most);
  }
  Result<Space> space() const override { return inner_->space(); }
  Result<bool> refresh_size() override { return inner_->refresh_size(); }
  std::optional<Backing> backing() const override { return inner_->backing(); }
  CopyOffload* copy_offload() override { return inner_->copy_offload(); }

  io::Task<Result<void>> around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) override {
    return inner_->around(offset, length, std::move(work));
  }
  void invalidate(std::uint64_t offset, std::uint64_t length) override { inner_->invalidate(offset, length); }
  io::Task<Result<void>> close() override { return inner_->close(); }
  Statistics statistics() const override { return inner_->statistics(); }

 protected:
  explicit FilterDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
  Device& inner() const { return *inner_; }

 private:
  const std::unique_ptr<Device> inner_;
};

}  // namespace peerlane::block
