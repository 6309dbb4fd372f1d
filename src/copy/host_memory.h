// The longest way: read into a buffer of this host, written from it. It works between any two disks.
//
// The buffers are those of the reactor, page-aligned and registered with the kernel where it lets us. A piece whose
// ends lie on blocks of both disks is written from where it was read; others are moved to where the destination needs
// them, and blocks of which only a part is to be written are read and written back.
#pragma once

#include <cstdint>

#include "copy/end.h"
#include "copy/way.h"
#include "io/buffer_pool.h"

namespace peerlane::copy {

class HostMemory final : public Mover {
 public:
  /// Takes its buffers on `share`, at most two of limits::kMaxBufferBytes for each piece under way. Runs of zeroes that
  /// are found in the data go to `zeroes`, unless that is null. All arguments outlive this.
  HostMemory(const End& source, const End& destination, io::BufferShare& share, Mover* zeroes, Account& account);

  io::Task<Result<void>> move(Piece piece) override;

 private:
  io::Task<Result<void>> load(Piece& piece, ByteSpan into);
  io::Task<Result<void>> store(std::uint64_t offset, ByteView data);
  io::Task<Result<void>> store_parts(std::uint64_t offset, ByteView data);
  io::Task<Result<void>> store_unaligned(std::uint64_t offset, ByteView data);
  io::Task<Result<void>> write(std::uint64_t offset, ByteView data);

  const End& source_;
  const End& destination_;
  const std::uint64_t source_block_;
  const std::uint64_t destination_block_;
  io::BufferShare& share_;
  Mover* const zeroes_;
  Account& account_;
};

}  // namespace peerlane::copy
