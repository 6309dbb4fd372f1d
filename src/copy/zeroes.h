// The short ways for what the source has as zeroes: nothing at all where the destination is known to have them already,
// or zeroes that the destination makes by itself, without data.
#pragma once

#include "copy/end.h"
#include "copy/way.h"

namespace peerlane::copy {

class Zeroes final : public Mover {
 public:
  /// All arguments outlive this.
  Zeroes(const End& destination, Account& account) : destination_(destination), account_(account) {}

  /// Makes the part of the piece zeroes that is not known to be so. ENOTSUP if the destination cannot, or does it so
  /// that somebody would have to look what has become of it.
  io::Task<Result<void>> move(Piece piece) override;

 private:
  io::Task<Result<void>> make(std::uint64_t offset, std::uint64_t length);
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length);

  const End& destination_;
  Account& account_;
};

}  // namespace peerlane::copy
