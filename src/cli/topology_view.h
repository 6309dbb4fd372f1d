// What `peerlane topology` shows, as values: the lines of the tree and the pairs of disks, for text, JSON and SVG
// alike.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "pcie/block_devices.h"
#include "pcie/disk_pair.h"
#include "pcie/peer_to_peer.h"
#include "pcie/topology.h"

namespace peerlane::cli {

/// A line of the tree.
struct TopologyRow {
  enum class Kind : std::uint8_t { kRootBus, kPort, kFunction, kController, kMemory, kDisk };
  Kind kind = Kind::kFunction;
  unsigned depth = 0;
  std::string name;  // what it is called
  std::string text;  // what there is to say of it
};

/// A path that was asked for.
struct TopologyPath {
  std::string path;
  pcie::Beneath beneath;
  std::string error;  // instead of `beneath`, if it is not empty
};

struct TopologyPair {
  std::size_t source = 0;  // an index of TopologyView::disks, as `destination`
  std::size_t destination = 0;
  pcie::DiskPair verdict;
};

/// A transfer that was tried.
struct TopologyProbe {
  std::size_t disk = 0;      // an index of TopologyView::disks
  std::size_t provider = 0;  // of Topology::functions
  std::string error;         // empty: the right bytes came
};

struct TopologyView {
  pcie::Topology topology;
  pcie::Disks devices;
  pcie::Policy policy = pcie::Policy::kSameSwitch;
  std::vector<TopologyRow> rows;
  std::vector<TopologyPath> paths;
  std::vector<const pcie::BlockDevice*> disks;  // those of the matrix; of `devices`
  std::vector<TopologyPair> pairs;              // row by row, without the diagonal
  std::vector<TopologyProbe> probes;            // by providers, then disks
  std::size_t left_out = 0;                     // disks that the matrix has no room for

  TopologyView() = default;
  TopologyView(const TopologyView&) = delete;  // `disks` points into it
  TopologyView& operator=(const TopologyView&) = delete;

  const TopologyPair* find(std::size_t source, std::size_t destination) const;
};

/// Fills in rows, disks and pairs from the rest. `all`: also functions that lead to no disk and no peer memory.
void complete(TopologyView& view, bool all);

/// Tries each provider's memory with each disk that a pair would use it with, and takes back the verdicts that do not
/// hold. For a tree that is this machine's. Blocks.
void probe(TopologyView& view, const pcie::Sysfs& sysfs);

/// "7.88 GB/s", as links are measured: powers of ten.
std::string format_bandwidth(std::uint64_t bytes_per_second);

/// The way of a copy in a word: "bus", "bridge", "host", or "?" if it depends on what was not visible.
std::string way_word(const pcie::DiskPair& pair);

/// For people; with escape sequences for a terminal if `colour`.
std::string to_text(const TopologyView& view, bool colour);

nlohmann::ordered_json to_json(const TopologyView& view);

/// A drawing of the tree and the matrix.
std::string to_svg(const TopologyView& view);

}  // namespace peerlane::cli
