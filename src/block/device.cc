#include "block/device.h"

namespace peerlane::block {

std::optional<Backing> Device::backing() const {
  return std::nullopt;
}

io::Task<Result<void>> Device::around(std::uint64_t, std::uint64_t, io::Task<Result<void>> work) {
  return work;
}

void Device::invalidate(std::uint64_t, std::uint64_t) {}

io::Task<Result<void>> Device::close() {
  co_return Result<void>();
}

Statistics Device::statistics() const {
  return {};
}

}  // namespace peerlane::block
