// A copy as data, before anything is done: which bytes, and which way each of them takes.
//
// A plan has a few routes: a way, with the reasons against every shorter one. Its extents each take one route. They are
// found while the copy goes on, a window at a time, from what the source says is allocated: a plan for a disk of many
// TiB in a million pieces takes no more memory than one for a small file. Positions are bytes from the start of the
// copy.
//
// An extent that is not the last begins and ends at a block of the destination, so that no two extents, and no two
// pieces of them, share a block that would have to be read and written back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "copy/direct_way.h"
#include "copy/end.h"
#include "copy/way.h"
#include "io/task.h"
#include "pcie/peer_to_peer.h"

namespace peerlane::copy {

/// What becomes of the parts of the source that read as zeroes.
enum class Sparse : unsigned char {
  kAuto,    // what the source says has no space is made zeroes at the destination without moving data, if it can
  kAlways,  // and so are zeroes that are found in the data
  kNever,   // every byte is read and written
};

struct PlanOptions {
  std::uint64_t source_offset = 0;
  std::optional<std::uint64_t> length = {};  // nothing: to the end of the source
  std::uint64_t destination_offset = 0;
  Sparse sparse = Sparse::kAuto;
  pcie::Policy policy = pcie::Policy::kSameSwitch;  // for peer-to-peer
  std::optional<Way> only = {};                     // how data are moved, and in no other way
  io::Task<DirectWays> (*find_ways)(const End&, const End&, pcie::Policy) = find_direct_ways;  // for tests
};

/// A way and why no shorter one is taken.
struct Route {
  Way way = Way::kHostMemory;
  bool zero = false;              // for parts of the source that are known to read as zeroes
  std::vector<Refusal> refusals;  // one for each shorter way, shortest first
};

struct PlannedExtent {
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  std::size_t route = 0;  // in Plan::routes()
};

class Plan {
 public:
  const End& source() const { return source_; }
  const End& destination() const { return destination_; }
  std::uint64_t source_offset() const { return options_.source_offset; }
  std::uint64_t destination_offset() const { return options_.destination_offset; }
  /// In bytes; kUnknown if that only shows at the end of a stream.
  std::uint64_t length() const { return length_; }
  /// The most that there may be: length(), or what the destination has room for.
  std::uint64_t most() const { return most_; }
  Sparse sparse() const { return options_.sparse; }

  /// The two ranges are on one disk and have bytes in common: they are to be moved one after the other, from the end to
  /// the start if the destination lies behind the source (as memmove does).
  bool overlapping() const { return overlapping_; }
  bool backward() const { return overlapping_ && options_.destination_offset > options_.source_offset; }

  /// Whether parts of the source that have no space are told from its data.
  bool follows_map() const { return mapped_; }

  /// The first is that of data.
  const std::vector<Route>& routes() const { return routes_; }

  /// The direct ways that are open for data, shortest first. The first is that of the route for data; the others, and
  /// host memory, stand in for it where it turns out not to work, unless only() says otherwise.
  const std::vector<DirectWay>& direct_ways() const { return direct_ways_; }
  std::optional<Way> only() const { return options_.only; }
  /// Bytes, a power of two: what their extents are multiples of at the destination. 1 if there are none.
  std::uint64_t direct_unit() const;
  /// Whether a piece of this way may end at this position, since that is where source and destination end.
  bool ends_both(const DirectWay& way, std::uint64_t position) const;

  /// The extents from `position` on, which is 0 or where an extent ended, without gaps: at least one if there is
  /// anything left, at most limits::kPlanExtents or so. Errors of the source name the offset.
  io::Task<Result<std::vector<PlannedExtent>>> window(std::uint64_t position) const;

 private:
  friend class Planner;
  Plan(const End& source, const End& destination, const PlanOptions& options)
      : source_(source), destination_(destination), options_(options) {}

  End source_;
  End destination_;
  PlanOptions options_;
  std::uint64_t length_ = 0;
  std::uint64_t most_ = 0;
  bool overlapping_ = false;
  bool mapped_ = false;  // the source's map is followed
  std::vector<DirectWay> direct_ways_;
  std::vector<Route> routes_;
};

/// Plans a copy. The ends are on one disk if they are the same device. Reads no data, writes nothing; asks the
/// system, and the storage of remote disks, what they can do. Errors, with a sentence for the user: EINVAL for
/// ranges that are not on the source, ENOSPC if the destination has no room for them, EROFS if it cannot be written,
/// EOPNOTSUPP if the only way that is wanted is not open.
io::Task<Result<Plan>> plan(End source, End destination, PlanOptions options);

}  // namespace peerlane::copy
