// The filters of a disk, as a whole: which there are, and in which order they stand.
//
//   who uses the disk -> throttle -> cache -> delay -> faults -> the disk
//
// The throttle limits what its users get, cached or not. Delays and faults stand for a disk that is slow or broken, so
// the cache sees them.
#pragma once

#include <memory>

#include "block/cache_memory.h"
#include "block/device.h"
#include "block/filter_options.h"

namespace peerlane::block {

/// `device` with the filters that are asked for. `memory` may be null if none asks for a cache; it outlives the device.
std::unique_ptr<Device> add_filters(std::unique_ptr<Device> device, const FilterOptions& options, CacheMemory* memory);

}  // namespace peerlane::block
