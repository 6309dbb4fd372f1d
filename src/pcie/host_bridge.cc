#include "pcie/host_bridge.h"

#include <algorithm>

namespace peerlane::pcie {
namespace {

constexpr std::uint16_t kIntel = 0x8086;
constexpr std::uint16_t kNvidia = 0x10de;
constexpr std::uint16_t kGoogle = 0x1ae0;  // any device
constexpr unsigned kZen = 0x17;            // its family

struct Entry {
  std::uint16_t vendor;
  std::uint16_t device;
  Forwarding forwarding;
};

constexpr Entry kKnown[] = {
    {kIntel, 0x3c00, Forwarding::kWithinBridge},                                               // Xeon E5, Core i7
    {kIntel, 0x3c01, Forwarding::kWithinBridge}, {kIntel, 0x2f00, Forwarding::kWithinBridge},  // Xeon E5 v3, E7 v3
    {kIntel, 0x2f01, Forwarding::kWithinBridge}, {kIntel, 0x2030, Forwarding::kAcross},        // Skylake-E
    {kIntel, 0x2031, Forwarding::kAcross},       {kIntel, 0x2032, Forwarding::kAcross},
    {kIntel, 0x2033, Forwarding::kAcross},       {kIntel, 0x2020, Forwarding::kAcross},
    {kIntel, 0x09a2, Forwarding::kAcross},  // Ice Lake and later
    {kIntel, 0x0b25, Forwarding::kAcross},  // root buses that begin with an accelerator: DSA of Sapphire Rapids
    {kIntel, 0x0cfe, Forwarding::kAcross},  // IAX of Sapphire Rapids
    {kIntel, 0x11fb, Forwarding::kAcross},  // DSA of Granite Rapids D
    {kIntel, 0x1212, Forwarding::kAcross},  // DSA of Diamond Rapids
    {kIntel, 0x1216, Forwarding::kAcross},  // IAA of Diamond Rapids
    {kIntel, 0x4940, Forwarding::kAcross},  // QAT
    {kIntel, 0x4942, Forwarding::kAcross},       {kIntel, 0x4944, Forwarding::kAcross},
    {kIntel, 0x4946, Forwarding::kAcross},       {kIntel, 0x4948, Forwarding::kAcross},
    {kNvidia, 0x2f95, Forwarding::kAcross},      {kNvidia, 0x2f96, Forwarding::kAcross},
    {kNvidia, 0x2f97, Forwarding::kAcross},      {kNvidia, 0x2f98, Forwarding::kAcross},
};

}  // namespace

Forwarding host_bridge_forwarding(std::uint16_t vendor, std::uint16_t device) {
  if (vendor == kGoogle) return Forwarding::kAcross;
  const auto at = std::ranges::find_if(
      kKnown, [&](const Entry& entry) { return entry.vendor == vendor && entry.device == device; });
  return at == std::end(kKnown) ? Forwarding::kNotKnown : at->forwarding;
}

bool processor_forwards(const Processor& processor) {
  return processor.vendor == "AuthenticAMD" && processor.family >= kZen;
}

}  // namespace peerlane::pcie
