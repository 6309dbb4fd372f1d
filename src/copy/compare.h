// Verification: what the destination has is read back and compared with the source, byte by byte.
//
// Zeroes that the source is known to have are not read; at the destination they are looked for in its map where it has
// one. Reads go past the page cache where the disks were opened so.
#pragma once

#include <cstdint>

#include "copy/end.h"
#include "copy/way.h"
#include "io/buffer_pool.h"

namespace peerlane::copy {

class Compare final : public Mover {
 public:
  /// Takes its buffers on `share`, at most two of limits::kMaxBufferBytes for each piece under way. All arguments
  /// outlive this.
  Compare(const End& source, const End& destination, io::BufferShare& share);

  /// Compares instead of moving. A difference is an error of code EILSEQ.
  io::Task<Result<void>> move(Piece piece) override;

  /// The offset, at the destination, of the first byte that differs, of all pieces so far; UINT64_MAX: there is none.
  std::uint64_t first_difference() const { return first_difference_; }

 private:
  io::Task<Result<void>> compare_data(Piece piece);
  io::Task<Result<void>> compare_zeroes(std::uint64_t offset, std::uint64_t length);

  const End& source_;
  const End& destination_;
  io::BufferShare& share_;
  std::uint64_t first_difference_ = UINT64_MAX;
};

}  // namespace peerlane::copy
