#include "copy/way.h"

#include <utility>

#include <fmt/format.h>

namespace peerlane::copy {

std::string_view name(Way way) {
  switch (way) {
    case Way::kSkip:
      return "skip";
    case Way::kZeroes:
      return "zeroes";
    case Way::kClone:
      return "clone";
    case Way::kServerCopy:
      return "server-side copy";
    case Way::kNvmeCopy:
      return "NVMe Copy";
    case Way::kPeerToPeer:
      return "peer-to-peer";
    case Way::kThirdParty:
      return "third-party copy";
    case Way::kHostMemory:
      return "host memory";
  }
  return "";
}

Result<Way> parse_way(std::string_view text) {
  constexpr std::pair<std::string_view, Way> kNames[] = {{"clone", Way::kClone},
                                                         {"server-side-copy", Way::kServerCopy},
                                                         {"nvme-copy", Way::kNvmeCopy},
                                                         {"peer-to-peer", Way::kPeerToPeer},
                                                         {"third-party", Way::kThirdParty},
                                                         {"host-memory", Way::kHostMemory}};
  for (const auto& [name, way] : kNames) {
    if (text == name) return way;
  }
  return fail(
      EINVAL,
      fmt::format(
          "\"{}\" is no way to copy: give clone, server-side-copy, nvme-copy, peer-to-peer, third-party or host-memory",
          text));
}

Error explain(std::string_view doing, std::string_view end, std::uint64_t offset, const Error& error) {
  // Linux has this code for it; here it is what a verification ends with.
  if (error.code == EILSEQ) return explain(doing, end, offset, {EIO, "protection information does not fit the data"});
  return {error.code, fmt::format("{} {} at offset {}: {}", doing, end, offset, error.text())};
}

}  // namespace peerlane::copy
