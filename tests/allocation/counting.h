// Counts heap allocations by taking the place of malloc in the program that it is linked to.
#pragma once

#include <atomic>
#include <cstdint>

namespace peerlane::allocation {

/// Whether they are counted now, and how many were.
extern std::atomic<bool> counting;
extern std::atomic<std::uint64_t> allocations;

/// Whether the calling thread is one whose allocations count; set before `counting`. Must not allocate.
extern bool (*counts_here)();

}  // namespace peerlane::allocation
