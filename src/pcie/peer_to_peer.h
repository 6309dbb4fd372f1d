// Who can reach whose memory over PCI Express, by the rules of Linux 7 (drivers/pci/p2pdma.c), with the reason, and
// what would change it. Decides from values; reads and tries nothing. What is said here is what the kernel is going to
// do with a request: whether the hardware then moves the right bytes only a transfer tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pcie/topology.h"

namespace peerlane::pcie {

/// How the kernel maps one device's memory for another one, worst first.
enum class Mapping : std::uint8_t {
  kNotSupported,       // not at all: requests fail
  kUnknown,            // depends on what was not visible
  kThroughHostBridge,  // up to the root complex, which forwards
  kBusAddress,         // switches forward, the root complex does not see it
};

std::string_view to_string(Mapping mapping);

/// What may be used. The default is kSameSwitch.
enum class Policy : std::uint8_t {
  kOff,
  kSameSwitch,  // kBusAddress only: nothing that a host bridge has to forward
  kKernel,      // whatever the kernel maps
};

std::string_view to_string(Policy policy);

/// Reads "off", "same-switch", "kernel". Errors: EINVAL.
Result<Policy> parse_policy(std::string_view text);

bool allows(Policy policy, Mapping mapping);

/// Of a client (who reads or writes) and a provider (whose memory it is).
struct PairVerdict {
  Mapping mapping = Mapping::kNotSupported;
  unsigned distance = 0;             // the kernel's: steps from function to function, 0 for the provider itself
  std::string reason;                // a sentence without a full stop
  std::string remedy;                // sentences; empty if nothing is to be remedied
  std::vector<Address> redirecting;  // functions on the way whose ACS redirects
};

/// Both are indices of topology.functions.
PairVerdict judge_pair(const Topology& topology, std::size_t provider, std::size_t client);

/// Of a source, a provider of memory and a destination: the source writes to the memory, the destination reads from it.
struct TripleVerdict {
  std::size_t provider = 0;
  Mapping mapping = Mapping::kNotSupported;  // the worse one of the two
  unsigned distance = 0;                     // the sum
  std::string reason;
  std::string remedy;
  bool translated = false;  // an IOMMU translates addresses of one of the three: trust it only after a first transfer

  /// The slowest link that data cross, in bytes a second; nothing if one is not known.
  std::optional<std::uint64_t> bandwidth;
};

TripleVerdict judge_triple(const Topology& topology, std::size_t source, std::size_t provider, std::size_t destination);

/// Verdicts for every function that has peer memory for programs, best first: by mapping, by distance, by free memory.
std::vector<TripleVerdict> judge_providers(const Topology& topology, std::size_t source, std::size_t destination);

/// The slowest link from one function to another: by way of the switch above both, or of the root complex. Nothing if a
/// link is not known or none is crossed. In bytes a second.
std::optional<std::uint64_t> bandwidth_between(const Topology& topology, std::size_t from, std::size_t to);

/// The slowest link from a function to the root complex, which is what bounds a copy through the host's memory.
std::optional<std::uint64_t> bandwidth_to_host(const Topology& topology, std::size_t from);

}  // namespace peerlane::pcie
