#include "pcie/peer_to_peer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pcie/host_bridge.h"

namespace peerlane::pcie {
namespace {

/// A function and all bridges above it, bottom up.
std::vector<std::size_t> ancestry(const Topology& topology, std::size_t function) {
  std::vector<std::size_t> line = {function};
  // Bounded, in case that a tree that somebody made up has a circle.
  while (const auto parent = topology.functions[line.back()].parent) {
    if (line.size() > topology.functions.size()) break;
    line.push_back(*parent);
  }
  return line;
}

/// The way between two functions: both lines up to where they meet.
struct Way {
  std::vector<std::size_t> from;       // without `meeting`
  std::vector<std::size_t> to;         // without `meeting`
  std::optional<std::size_t> meeting;  // the bridge (or function) that both have; nothing: the root complex
};

Way way_between(const Topology& topology, std::size_t from, std::size_t to) {
  Way way{ancestry(topology, from), ancestry(topology, to), std::nullopt};
  while (!way.from.empty() && !way.to.empty() && way.from.back() == way.to.back()) {
    way.meeting = way.from.back();
    way.from.pop_back();
    way.to.pop_back();
  }
  return way;
}

std::string names(const std::vector<Address>& addresses, std::string_view separator) {
  std::vector<std::string> texts;
  for (const Address& address : addresses) texts.push_back(to_string(address));
  return fmt::format("{}", fmt::join(texts, separator));
}

/// Whether the root complex forwards between the root buses of two functions, and how that is known.
struct HostBridgeVerdict {
  bool forwards = false;
  std::string reason;
};

std::string bridge_name(const Topology& topology, const RootBus& bus) {
  if (!bus.bridge) return fmt::format("{}, whose kind cannot be told", bus.name);
  const Function& bridge = topology.functions[*bus.bridge];
  return fmt::format("{} ({:04x}:{:04x})", bus.name, bridge.vendor, bridge.device);
}

HostBridgeVerdict judge_host_bridges(const Topology& topology, std::size_t a, std::size_t b) {
  if (processor_forwards(topology.processor)) {
    return {true, "this processor (AMD Zen or later) forwards between its root ports"};
  }
  const bool same = topology.functions[a].root_bus == topology.functions[b].root_bus;
  for (const std::size_t function : {a, b}) {
    const RootBus& bus = topology.root_buses[topology.functions[function].root_bus];
    const Function* const bridge = bus.bridge ? &topology.functions[*bus.bridge] : nullptr;
    const Forwarding forwarding =
        bridge == nullptr ? Forwarding::kNotKnown : host_bridge_forwarding(bridge->vendor, bridge->device);
    if (forwarding == Forwarding::kNotKnown) {
      return {false, fmt::format("Linux does not have host bridge {} on its list of those that forward between devices",
                                 bridge_name(topology, bus))};
    }
    if (forwarding == Forwarding::kWithinBridge && !same) {
      return {false, fmt::format("host bridge {} forwards between its own root ports only, and the other device is "
                                 "below another host bridge",
                                 bridge_name(topology, bus))};
    }
  }
  return {true, fmt::format("host bridge {} is on Linux's list of those that forward between devices",
                            bridge_name(topology, topology.root_buses[topology.functions[a].root_bus]))};
}

constexpr std::string_view kMoveRemedy =
    "Put both devices behind one PCIe switch, or use a machine whose host bridge Linux trusts.";

std::string redirect_remedy(const std::vector<Address>& redirecting) {
  return fmt::format(
      "The kernel parameter pci=disable_acs_redir={} would let requests take the short way. It means that devices "
      "there "
      "can reach each other without the IOMMU's check.",
      names(redirecting, ";"));
}

PairVerdict without_meeting(const Topology& topology, std::size_t provider, std::size_t client, PairVerdict verdict) {
  const HostBridgeVerdict host = judge_host_bridges(topology, provider, client);
  verdict.redirecting.clear();  // what comes by the root complex anyway is not redirected
  verdict.mapping = host.forwards ? Mapping::kThroughHostBridge : Mapping::kNotSupported;
  verdict.reason = fmt::format("there is no switch above both, and {}", host.reason);
  if (!host.forwards) verdict.remedy = kMoveRemedy;
  return verdict;
}

/// Of two devices that would reach each other by a switch, if nothing redirected.
std::string redirect_reason(const std::vector<Address>& redirecting, const HostBridgeVerdict& host) {
  return fmt::format("ACS redirect is on at {}, which sends requests up to the root complex, and {}",
                     names(redirecting, ", "), host.reason);
}

PairVerdict with_redirect(const Topology& topology, std::size_t provider, std::size_t client, PairVerdict verdict) {
  const HostBridgeVerdict host = judge_host_bridges(topology, provider, client);
  verdict.mapping = host.forwards ? Mapping::kThroughHostBridge : Mapping::kNotSupported;
  verdict.reason = redirect_reason(verdict.redirecting, host);
  verdict.remedy = redirect_remedy(verdict.redirecting);
  return verdict;
}

std::string close_reason(const Topology& topology, const Way& way) {
  if (way.from.empty() && way.to.empty()) return "it is the same device";
  const Function& meeting = topology.functions[*way.meeting];
  return fmt::format("both are behind {} {}, and no ACS redirect is on between them",
                     meeting.role == Role::kUpstreamPort ? "the switch at" : "the bridge", to_string(meeting.address));
}

}  // namespace

PairVerdict judge_pair(const Topology& topology, std::size_t provider, std::size_t client) {
  const Way way = way_between(topology, provider, client);
  PairVerdict verdict;
  verdict.distance = static_cast<unsigned>(way.from.size() + way.to.size());
  std::vector<std::size_t> passed = way.from;
  // Linux looks at where they meet as well, and at the end points themselves.
  if (way.meeting) passed.push_back(*way.meeting);
  passed.insert(passed.end(), way.to.begin(), way.to.end());
  std::vector<Address> unseen;
  for (const std::size_t i : passed) {
    const Function& function = topology.functions[i];
    if (function.acs.redirects()) verdict.redirecting.push_back(function.address);
    if (function.acs.state == Acs::State::kNotVisible) unseen.push_back(function.address);
  }
  if (!way.meeting) return without_meeting(topology, provider, client, std::move(verdict));
  if (!verdict.redirecting.empty()) return with_redirect(topology, provider, client, std::move(verdict));
  if (!unseen.empty()) {
    verdict.mapping = Mapping::kUnknown;
    verdict.reason = fmt::format("whether ACS redirect is on at {} is not visible", names(unseen, ", "));
    verdict.remedy = "Ask again as root.";
    return verdict;
  }
  verdict.mapping = Mapping::kBusAddress;
  verdict.reason = close_reason(topology, way);
  return verdict;
}

namespace {

/// The slower one of two, where nothing means that there is no link, and 0 that one is not known.
using Slowest = std::optional<std::uint64_t>;

void cross(Slowest& slowest, const Function& function) {
  // A root or downstream port's link is that of the function below it.
  if (function.role == Role::kRootPort || function.role == Role::kDownstreamPort) return;
  // What has no link that is known may be as slow as any.
  if (!function.link.known()) {
    slowest = 0;
    return;
  }
  slowest = std::min(slowest.value_or(UINT64_MAX), function.link.bytes_per_second());
}

std::optional<std::uint64_t> known(Slowest slowest) {
  return slowest == std::optional<std::uint64_t>(0) ? std::nullopt : slowest;
}

Slowest slowest_between(const Topology& topology, std::size_t from, std::size_t to, bool by_host) {
  const Way way =
      by_host ? Way{ancestry(topology, from), ancestry(topology, to), std::nullopt} : way_between(topology, from, to);
  Slowest slowest;
  for (const std::size_t i : way.from) cross(slowest, topology.functions[i]);
  for (const std::size_t i : way.to) cross(slowest, topology.functions[i]);
  return slowest;
}

std::vector<Address> united(std::vector<Address> a, const std::vector<Address>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::ranges::sort(a);
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

/// One sentence for all that redirects, and what else the two say.
std::string triple_remedy(const PairVerdict& writes, const PairVerdict& reads) {
  const std::vector<Address> redirecting = united(writes.redirecting, reads.redirecting);
  std::string remedy = redirecting.empty() ? "" : redirect_remedy(redirecting);
  for (const PairVerdict* const verdict : {&writes, &reads}) {
    if (!verdict->redirecting.empty() || verdict->remedy.empty() || remedy.ends_with(verdict->remedy)) continue;
    remedy += (remedy.empty() ? "" : " ") + verdict->remedy;
  }
  return remedy;
}

std::string triple_reason(const Topology& topology, const PairVerdict& writes, const PairVerdict& reads,
                          std::size_t source, std::size_t provider, std::size_t destination) {
  const auto name = [&](std::size_t i) { return to_string(topology.functions[i].address); };
  if (provider == source && writes.mapping == Mapping::kBusAddress) return reads.reason;
  if (provider == destination && reads.mapping == Mapping::kBusAddress) return writes.reason;
  if (writes.reason == reads.reason) return writes.reason;
  if (!writes.redirecting.empty() && !reads.redirecting.empty()) {
    return redirect_reason(united(writes.redirecting, reads.redirecting),
                           judge_host_bridges(topology, provider, source));
  }
  if (writes.mapping != reads.mapping) {
    const bool first = writes.mapping < reads.mapping;
    return fmt::format("from {} to {}: {}", name(first ? source : provider), name(first ? provider : destination),
                       first ? writes.reason : reads.reason);
  }
  return fmt::format("from {} to {}: {}; from there to {}: {}", name(source), name(provider), writes.reason,
                     name(destination), reads.reason);
}

}  // namespace

TripleVerdict judge_triple(const Topology& topology, std::size_t source, std::size_t provider,
                           std::size_t destination) {
  const PairVerdict writes = judge_pair(topology, provider, source);
  const PairVerdict reads = judge_pair(topology, provider, destination);
  TripleVerdict verdict;
  verdict.provider = provider;
  verdict.mapping = std::min(writes.mapping, reads.mapping);
  verdict.distance = writes.distance + reads.distance;
  verdict.reason = triple_reason(topology, writes, reads, source, provider, destination);
  verdict.remedy = triple_remedy(writes, reads);
  for (const std::size_t i : {source, provider, destination}) {
    verdict.translated = verdict.translated || topology.functions[i].translated();
  }
  const Slowest in =
      slowest_between(topology, source, provider, writes.mapping == Mapping::kThroughHostBridge && source != provider);
  const Slowest out = slowest_between(topology, provider, destination,
                                      reads.mapping == Mapping::kThroughHostBridge && provider != destination);
  if (in || out) verdict.bandwidth = known(std::min(in.value_or(UINT64_MAX), out.value_or(UINT64_MAX)));
  return verdict;
}

std::vector<TripleVerdict> judge_providers(const Topology& topology, std::size_t source, std::size_t destination) {
  std::vector<TripleVerdict> verdicts;
  for (std::size_t i = 0; i < topology.functions.size(); ++i) {
    const auto& memory = topology.functions[i].peer_memory;
    if (memory && memory->size != 0 && memory->allocatable)
      verdicts.push_back(judge_triple(topology, source, i, destination));
  }
  std::ranges::sort(verdicts, [&](const TripleVerdict& a, const TripleVerdict& b) {
    if (a.mapping != b.mapping) return a.mapping > b.mapping;
    if (a.distance != b.distance) return a.distance < b.distance;
    const std::uint64_t room_a = topology.functions[a.provider].peer_memory->available;
    const std::uint64_t room_b = topology.functions[b.provider].peer_memory->available;
    return room_a != room_b ? room_a > room_b : a.provider < b.provider;
  });
  return verdicts;
}

std::optional<std::uint64_t> bandwidth_between(const Topology& topology, std::size_t from, std::size_t to) {
  return known(slowest_between(topology, from, to, false));
}

std::optional<std::uint64_t> bandwidth_to_host(const Topology& topology, std::size_t from) {
  Slowest slowest;
  for (const std::size_t i : ancestry(topology, from)) cross(slowest, topology.functions[i]);
  return known(slowest);
}

std::string_view to_string(Mapping mapping) {
  switch (mapping) {
    case Mapping::kNotSupported:
      return "not supported";
    case Mapping::kUnknown:
      return "unknown";
    case Mapping::kThroughHostBridge:
      return "through host bridge";
    case Mapping::kBusAddress:
      return "bus address";
  }
  return "";
}

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::kOff:
      return "off";
    case Policy::kSameSwitch:
      return "same-switch";
    case Policy::kKernel:
      return "kernel";
  }
  return "";
}

Result<Policy> parse_policy(std::string_view text) {
  for (const Policy policy : {Policy::kOff, Policy::kSameSwitch, Policy::kKernel}) {
    if (text == to_string(policy)) return policy;
  }
  return fail(EINVAL, fmt::format("\"{}\" is no policy; give off, same-switch or kernel", text));
}

bool allows(Policy policy, Mapping mapping) {
  switch (policy) {
    case Policy::kOff:
      return false;
    case Policy::kSameSwitch:
      return mapping == Mapping::kBusAddress;
    case Policy::kKernel:
      return mapping == Mapping::kBusAddress || mapping == Mapping::kThroughHostBridge;
  }
  return false;
}

}  // namespace peerlane::pcie
