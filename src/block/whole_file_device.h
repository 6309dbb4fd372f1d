// A regular file as a disk that has all of its bytes: for copies, which must be exact.
//
// Other disks from files leave out a trailing part that fills no logical block. Here the geometry is the file's size
// rounded up: of the last block, what lies behind the end of the file reads as zeroes and is not written. bytes() is
// the exact size. An empty file is a disk of size 0.
//
// A growing file is one whose end is not known yet: it takes writes anywhere, which make it longer, by whole blocks;
// resize() gives it its exact size at the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "block/file_device.h"

namespace peerlane::block {

class WholeFileDevice final : public FileDevice {
 public:
  enum class Growth : unsigned char { kFixed, kGrowing };

  /// Opens and locks the regular file at `path`, as open_device does.
  static Result<std::unique_ptr<WholeFileDevice>> open(const std::string& path, const OpenOptions& options,
                                                       Growth growth);

  Geometry geometry() const override;
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  /// Its unit is a page of the file: the last one, if the file ends inside it, is not to be had that way.
  std::optional<Backing> backing() const override;

  /// The size of the file in bytes.
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  /// Makes the file `bytes` long; a part that is new reads as zeroes and takes no space. Nothing may be under way.
  Result<void> resize(std::uint64_t bytes);

  /// Which file it is, in a form that tells it from one of the same name that came later: device and inode.
  std::string file_identity() const;
  /// Changes whenever the file's content does: the time of its last modification.
  std::string version() const;

 private:
  WholeFileDevice(Opened opened, Descriptor buffered, Growth growth, std::uint64_t page);

  std::uint64_t edge() const;
  io::Task<Result<void>> read_edge(std::uint64_t offset, ByteSpan into);
  io::Task<Result<void>> write_edge(std::uint64_t offset, ByteView from, WriteFlags flags);

  const Descriptor buffered_;
  const Growth growth_;
  const std::uint64_t page_;  // in the page cache, and in the file system
  std::atomic<std::uint64_t> bytes_;
};

}  // namespace peerlane::block
