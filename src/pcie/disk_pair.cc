#include "pcie/disk_pair.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/units.h"

namespace peerlane::pcie {
namespace {

using Kind = BlockDevice::Kind;

/// One end: the functions by which it is reached, or why there are none.
struct End {
  std::vector<std::size_t> functions;
  std::string hindrance;
};

End end_of(const Disks& disks, const BlockDevice& device) {
  End end;
  if (device.kind != Kind::kNamespace && device.kind != Kind::kNamespaceHead) {
    end.hindrance = fmt::format("{} is no NVMe disk, and Linux passes peer memory to those only", device.name);
    return end;
  }
  for (const std::size_t i : disks.controllers_of(device)) {
    const Controller& controller = disks.controllers[i];
    if (controller.function) {
      end.functions.push_back(*controller.function);
    } else {
      end.hindrance = fmt::format("{} is reached over {}, not over PCI Express", device.name,
                                  controller.transport.empty() ? "something unknown" : controller.transport);
    }
  }
  if (end.functions.empty() && end.hindrance.empty()) {
    end.hindrance = fmt::format("the controller of {} cannot be told", device.name);
  }
  return end;
}

/// The worst verdict of all pairs of paths, for one provider.
TripleVerdict judge_paths(const Topology& topology, const End& source, std::size_t provider, const End& destination) {
  std::optional<TripleVerdict> worst;
  for (const std::size_t from : source.functions) {
    for (const std::size_t to : destination.functions) {
      TripleVerdict verdict = judge_triple(topology, from, provider, to);
      if (!worst || verdict.mapping < worst->mapping) worst = std::move(verdict);
    }
  }
  return *worst;
}

/// Linux's memremap_compat_align() on x86-64, of which the size of a buffer must be a multiple.
constexpr std::uint64_t kBufferUnit = 2u << 20;

/// Why a controller memory buffer is none for peer-to-peer transfers; empty if it could be one.
std::string flaw_of(const ControllerMemory& memory) {
  if (!memory.read_data || !memory.write_data) {
    return "is not for data of both reads and writes (CMBSZ.RDS, CMBSZ.WDS)";
  }
  if (memory.size % kBufferUnit != 0) {
    return fmt::format("has {}, and Linux takes multiples of {} only", format_size(memory.size),
                       format_size(kBufferUnit));
  }
  return {};
}

/// Why there is no peer memory although there may be some that Linux keeps to itself, or a controller memory buffer.
void explain_no_memory(const Topology& topology, const Disks& disks, DiskPair& pair) {
  pair.reason = "no device of this machine offers peer memory";
  pair.remedy =
      "It takes an NVMe disk with a controller memory buffer for data of reads and writes, or another device whose "
      "driver "
      "offers its memory, behind the same switch.";
  for (const Function& function : topology.functions) {
    if (!function.peer_memory || function.peer_memory->size == 0) continue;
    pair.reason += fmt::format(" to programs; that of {} is for the kernel only", to_string(function.address));
    pair.remedy = "Use Linux 6.2 or later.";
    return;
  }
  std::string buffer;  // the first one, or one against which nothing speaks
  for (const Controller& controller : disks.controllers) {
    if (!controller.memory || controller.memory->size == 0) continue;
    const std::string flaw = flaw_of(*controller.memory);
    if (!flaw.empty() && !buffer.empty()) continue;
    buffer = fmt::format("; the controller memory buffer of {} {}", controller.name,
                         flaw.empty() ? "could be such, but Linux does not offer it" : flaw);
    if (!flaw.empty()) continue;
    pair.remedy = "Use a kernel with CONFIG_PCI_P2PDMA.";
    break;
  }
  pair.reason += buffer;
}

std::optional<std::uint64_t> host_bandwidth(const Topology& topology, const End& source, const End& destination) {
  std::optional<std::uint64_t> slowest;
  for (const End* const end : {&source, &destination}) {
    if (end->functions.empty()) return std::nullopt;
    for (const std::size_t i : end->functions) {
      const auto bandwidth = bandwidth_to_host(topology, i);
      if (!bandwidth) return std::nullopt;
      slowest = std::min(slowest.value_or(UINT64_MAX), *bandwidth);
    }
  }
  return slowest;
}

void apply(Policy policy, DiskPair& pair) {
  const TripleVerdict& best = pair.providers.front();
  pair.reason = best.reason;
  pair.remedy = best.remedy;
  pair.peer_to_peer = allows(policy, best.mapping);
  if (pair.peer_to_peer) {
    pair.bandwidth = best.bandwidth;
  } else if (best.mapping >= Mapping::kThroughHostBridge) {
    pair.reason = fmt::format("policy {} does not allow it: {}", to_string(policy), best.reason);
  }
}

}  // namespace

DiskPair judge_disks(const Topology& topology, const Disks& disks, const BlockDevice& source,
                     const BlockDevice& destination, Policy policy) {
  DiskPair pair;
  const End from = end_of(disks, source);
  const End to = end_of(disks, destination);
  pair.bandwidth = host_bandwidth(topology, from, to);
  for (const End* const end : {&from, &to}) {
    if (end->hindrance.empty()) continue;
    pair.reason = end->hindrance;
    return pair;
  }
  // Those of judge_providers are all that have memory; each is judged again by all paths.
  for (const TripleVerdict& verdict : judge_providers(topology, from.functions.front(), to.functions.front())) {
    const TripleVerdict judged = judge_paths(topology, from, verdict.provider, to);
    // The best first; of equal ones in the order in which they came.
    const auto place =
        std::ranges::upper_bound(pair.providers, judged.mapping, std::ranges::greater{}, &TripleVerdict::mapping);
    pair.providers.insert(place, judged);
  }
  if (pair.providers.empty()) {
    explain_no_memory(topology, disks, pair);
  } else {
    apply(policy, pair);
  }
  return pair;
}

}  // namespace peerlane::pcie
