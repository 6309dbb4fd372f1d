#include "block/filters.h"

#include <cassert>
#include <utility>

#include "block/cache_device.h"
#include "block/delay_device.h"
#include "block/fault_device.h"
#include "block/throttle_device.h"

namespace peerlane::block {

std::unique_ptr<Device> add_filters(std::unique_ptr<Device> device, const FilterOptions& options, CacheMemory* memory) {
  if (!options.faults.empty()) device = std::make_unique<FaultDevice>(std::move(device), options.faults);
  if (options.delay.any()) device = std::make_unique<DelayDevice>(std::move(device), options.delay);
  if (options.cache.mode != CacheMode::kOff) {
    assert(memory != nullptr);
    device = std::make_unique<CacheDevice>(std::move(device), *memory, options.cache);
  }
  if (options.throttle.any()) device = std::make_unique<ThrottleDevice>(std::move(device), options.throttle);
  return device;
}

}  // namespace peerlane::block
