#include "copy/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/units.h"

namespace peerlane::copy {
namespace {

// The routes of every plan, by what is known of the source.
constexpr std::size_t kDataRoute = 0;
constexpr std::size_t kHoleRoute = 1;     // where nothing is known of the destination
constexpr std::size_t kNothingRoute = 2;  // where the destination is known to be zeroes
constexpr std::size_t kOddRoute = 3;      // data that fill no whole block of a direct way

constexpr std::array kDirectWays{Way::kClone, Way::kServerCopy, Way::kNvmeCopy, Way::kPeerToPeer, Way::kThirdParty};

std::uint64_t round_down(std::uint64_t value, std::uint64_t step) {
  return value - value % step;
}
std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return round_down(value + step - 1, step);
}

std::string bytes(std::uint64_t count) {
  return count < 1024 ? fmt::format("{} bytes", count) : fmt::format("{} bytes ({})", count, format_size(count));
}

/// Appends extents, and makes one of two neighbours that take the same route.
class ExtentList {
 public:
  void add(std::uint64_t begin, std::uint64_t end, std::size_t route) {
    if (begin >= end) return;
    if (!list_.empty() && list_.back().route == route) {
      list_.back().length += end - begin;
    } else {
      list_.push_back({begin, end - begin, route});
    }
  }
  std::vector<PlannedExtent> take() { return std::move(list_); }

 private:
  std::vector<PlannedExtent> list_;
};

}  // namespace

class Planner {
 public:
  static io::Task<Result<Plan>> make(End source, End destination, PlanOptions options) {
    Plan plan(source, destination, options);
    const auto ranges = set_ranges(plan);
    if (!ranges) co_return std::unexpected(ranges.error());
    const std::string no_map = why_no_map(plan);
    plan.mapped_ = no_map.empty();
    const std::vector<Refusal> refusals = co_await find_direct_ways(plan);
    const auto found = check_only(plan, refusals);
    if (!found) co_return std::unexpected(found.error());
    plan.routes_ = {data_route(plan, no_map, refusals), hole_route(plan),
                    Route{.way = Way::kSkip, .zero = true, .refusals = {}}, odd_route(plan)};
    // Zeroes that this host would have to send are moved like data if data must not be sent.
    if (plan.only() && plan.routes_[kHoleRoute].way == Way::kHostMemory) plan.mapped_ = false;
    co_return std::move(plan);
  }

 private:
  static Result<void> set_ranges(Plan& plan) {
    const End& source = plan.source_;
    const End& destination = plan.destination_;
    const PlanOptions& options = plan.options_;
    if (destination.device->capabilities().read_only) {
      return fail(EROFS, fmt::format("{} cannot be written to: it is read-only", destination.name));
    }
    if (options.source_offset > source.size) {
      return fail(EINVAL, fmt::format("the offset {} is behind the end of {}, which has {}", options.source_offset,
                                      source.name, bytes(source.size)));
    }
    const std::uint64_t there = source.size - options.source_offset;
    const std::uint64_t wanted = options.length.value_or(there);
    if (wanted > there) {
      return fail(EINVAL, fmt::format("{} has only {} from offset {} on, and {} are to be copied", source.name,
                                      bytes(there), options.source_offset, bytes(wanted)));
    }
    const std::uint64_t room = destination.size - std::min(options.destination_offset, destination.size);
    const bool open_end = source.stream != nullptr;
    if (!open_end && wanted > room) {
      return fail(ENOSPC, fmt::format("{} is too small: {} are to be copied, and it has room for {}{}",
                                      destination.name, bytes(wanted), bytes(room),
                                      options.destination_offset == 0 ? "" : " from the offset on that was given"));
    }
    plan.most_ = std::min(wanted, room);
    plan.length_ = open_end ? kUnknown : wanted;
    plan.overlapping_ = source.device == destination.device &&
                        options.source_offset < options.destination_offset + wanted &&
                        options.destination_offset < options.source_offset + wanted;
    return {};
  }

  /// Why what the source says about its allocation is not followed; empty: it is.
  static std::string why_no_map(const Plan& plan) {
    if (plan.options_.sparse == Sparse::kNever) return "every byte is to be written (sparse=never)";
    if (plan.source_.stream != nullptr) return "a stream does not tell where it has data";
    if (plan.overlapping_) return "the two ranges overlap, so that what is allocated changes while it is copied";
    if (!plan.source_.device->capabilities().allocation) {
      return fmt::format("{} does not tell where it has data", plan.source_.name);
    }
    return {};
  }

  /// Fills in the ways, and gives the reasons against the others.
  static io::Task<std::vector<Refusal>> find_direct_ways(Plan& plan) {
    const PlanOptions& options = plan.options_;
    std::string reason;
    if (options.sparse == Sparse::kAlways) reason = "zeroes are to be found in the data, which takes reading them";
    if (plan.overlapping_) reason = "the two ranges overlap";
    if (options.only == Way::kHostMemory) reason = "only host memory is wanted";
    std::vector<Refusal> refusals;
    if (!reason.empty()) {
      for (const Way way : kDirectWays) refusals.push_back({way, reason});
      co_return refusals;
    }
    DirectWays found = co_await options.find_ways(plan.source_, plan.destination_, options.policy);
    for (DirectWay& way : found.open) {
      reason = why_not(plan, way);
      if (reason.empty()) {
        plan.direct_ways_.push_back(std::move(way));
      } else {
        found.refusals.push_back({way.way, reason});
      }
    }
    refusals = std::move(found.refusals);
    std::ranges::sort(refusals, {}, &Refusal::way);
    co_return refusals;
  }

  /// What is against a way that is open between the two disks.
  static std::string why_not(const Plan& plan, const DirectWay& way) {
    const PlanOptions& options = plan.options_;
    if (options.only && options.only != way.way) return fmt::format("only {} is wanted", name(*options.only));
    // Neither a file system nor remote storage promises that blocks which are copied have space of their own.
    const bool writes_all = way.way == Way::kNvmeCopy || way.way == Way::kPeerToPeer;
    if (!writes_all && options.sparse == Sparse::kNever) return "every byte is to be written (sparse=never)";
    if (options.source_offset % way.unit != options.destination_offset % way.unit) {
      return fmt::format("the two offsets lie at different places of a block of {} bytes", way.unit);
    }
    return {};
  }

  static Result<void> check_only(const Plan& plan, const std::vector<Refusal>& refusals) {
    const std::optional<Way> only = plan.only();
    if (!only || *only == Way::kHostMemory) return {};
    for (const Refusal& refusal : refusals) {
      if (refusal.way != *only) continue;
      return fail(EOPNOTSUPP, fmt::format("only {} is wanted, and it cannot be had: {}", name(*only), refusal.reason));
    }
    const DirectWay& way = plan.direct_ways_.front();
    const std::uint64_t end = plan.options_.destination_offset + plan.most_;
    const bool whole_end = end % way.unit == 0 || plan.ends_both(way, plan.most_);
    if (plan.options_.destination_offset % way.unit != 0 || !whole_end) {
      return fail(EOPNOTSUPP, fmt::format("only {} is wanted, and the copy begins or ends inside a block of {} bytes",
                                          name(*only), way.unit));
    }
    return {};
  }

  static Route data_route(const Plan& plan, const std::string& no_map, const std::vector<Refusal>& direct) {
    const std::string reason = no_map.empty() ? "the source has data there" : no_map;
    Route route{.way = Way::kHostMemory, .zero = false, .refusals = {{Way::kSkip, reason}, {Way::kZeroes, reason}}};
    if (!plan.direct_ways_.empty()) route.way = plan.direct_ways_.front().way;
    for (const Refusal& refusal : direct) {
      if (refusal.way < route.way) route.refusals.push_back(refusal);
    }
    return route;
  }

  static Route odd_route(const Plan& plan) {
    Route route{.way = Way::kHostMemory, .zero = false, .refusals = {}};
    for (const DirectWay& way : plan.direct_ways_) {
      route.refusals.push_back({way.way, fmt::format("these bytes fill no block of {} bytes", plan.direct_unit())});
    }
    return route;
  }

  static Route hole_route(const Plan& plan) {
    const block::Capabilities can = plan.destination_.device->capabilities();
    const Refusal not_skipped{Way::kSkip, "nobody knows that the destination reads as zeroes there"};
    if (can.write_zeroes || (can.unmap && can.allocation)) {
      return {.way = Way::kZeroes, .zero = true, .refusals = {not_skipped}};
    }
    const Refusal no_zeroes{Way::kZeroes,
                            fmt::format("{} cannot make zeroes without being sent data", plan.destination_.name)};
    return {.way = Way::kHostMemory, .zero = true, .refusals = {not_skipped, no_zeroes}};
  }
};

namespace {

/// Turns what the source says into extents at the destination's blocks.
class Window {
 public:
  Window(const Plan& plan, std::uint64_t position) : plan_(plan), first_(position), at_(position) {}

  void add(const block::Extent& extent) {
    const std::uint64_t begin = std::max(at_, relative(extent.offset));
    const std::uint64_t end = std::min(plan_.length(), relative(extent.offset + extent.length));
    if (begin < end && !extent.allocated) add_hole(begin, end);
    covered_ = std::max(covered_, end);
  }

  /// The extents. What comes before the last block that is known as a whole is in them.
  std::vector<PlannedExtent> take() {
    std::uint64_t end = covered_;
    if (end != plan_.length()) end = to_block(end, false);
    if (end <= first_) end = std::min(plan_.length(), to_block(first_ + 1, true));
    add_data(at_, end);
    return list_.take();
  }

  /// All of the rest is data.
  std::vector<PlannedExtent> take_all() {
    add_data(at_, plan_.most());
    return list_.take();
  }

 private:
  /// A place of the source as a position in the copy; what lies before the copy is at 0.
  std::uint64_t relative(std::uint64_t offset) const { return offset - std::min(offset, plan_.source_offset()); }

  /// The position of the destination's block boundary at or next to a position.
  std::uint64_t to_block(std::uint64_t position, bool up) const {
    return to_boundary(position, plan_.destination().block(), up);
  }
  std::uint64_t to_boundary(std::uint64_t position, std::uint64_t block, bool up) const {
    const std::uint64_t offset = position + plan_.destination_offset();
    const std::uint64_t boundary = up ? round_up(offset, block) : round_down(offset, block);
    return boundary - std::min(boundary, plan_.destination_offset());
  }

  /// What fills whole blocks of the direct ways, and what is left of it at either end.
  void add_data(std::uint64_t begin, std::uint64_t end) {
    if (plan_.direct_ways().empty()) {
      list_.add(begin, end, kDataRoute);
      return;
    }
    const std::uint64_t unit = plan_.direct_unit();
    const std::uint64_t whole_begin = std::min(to_boundary(begin, unit, true), end);
    const bool to_the_end = plan_.ends_both(plan_.direct_ways().front(), end);
    const std::uint64_t whole_end = std::max(to_the_end ? end : to_boundary(end, unit, false), whole_begin);
    list_.add(begin, whole_begin, kOddRoute);
    list_.add(whole_begin, whole_end, kDataRoute);
    list_.add(whole_end, end, kOddRoute);
  }

  /// The whole blocks of a hole; what is left of it at either end is read like data, and is zeroes.
  void add_hole(std::uint64_t begin, std::uint64_t end) {
    begin = to_block(begin, true);
    const bool to_the_end = end == plan_.length() && to_offset(end) == plan_.destination().size;
    if (!to_the_end) end = to_block(end, false);
    if (begin >= end) return;
    add_data(at_, begin);
    const std::uint64_t zero_from = to_zero_from();
    list_.add(begin, std::min(end, zero_from), kHoleRoute);
    list_.add(std::max(begin, zero_from), end, kNothingRoute);
    at_ = end;
  }

  std::uint64_t to_offset(std::uint64_t position) const { return position + plan_.destination_offset(); }

  /// The position from which on the destination is known to be zeroes.
  std::uint64_t to_zero_from() const {
    const std::uint64_t from = plan_.destination().zero_from;
    if (from == kUnknown) return kUnknown;
    return from <= plan_.destination_offset() ? 0 : to_block(from - plan_.destination_offset(), true);
  }

  const Plan& plan_;
  const std::uint64_t first_;
  std::uint64_t at_;  // what comes before is in the list
  std::uint64_t covered_ = 0;
  ExtentList list_;
};

}  // namespace

std::uint64_t Plan::direct_unit() const {
  std::uint64_t unit = 1;
  for (const DirectWay& way : direct_ways_) unit = std::max(unit, way.unit);
  return unit;
}

bool Plan::ends_both(const DirectWay& way, std::uint64_t position) const {
  return way.to_end && position == most_ && source_offset() + position == source_.size &&
         destination_offset() + position == destination_.size;
}

io::Task<Result<std::vector<PlannedExtent>>> Plan::window(std::uint64_t position) const {
  std::vector<PlannedExtent> extents;
  if (position >= most_) co_return extents;
  if (!mapped_) {
    extents = Window(*this, position).take_all();
    co_return extents;
  }
  const block::Geometry geometry = source_.device->geometry();
  const std::uint64_t from = round_down(source_offset() + position, geometry.logical_block_size);
  const std::uint64_t to = std::min(round_up(source_offset() + length_, geometry.logical_block_size), geometry.size);
  const auto map = co_await source_.device->allocation(from, to - from, limits::kPlanExtents);
  if (!map || map->empty()) {
    // Who said that he knows, and does not: all of it counts as data.
    extents = Window(*this, position).take_all();
    co_return extents;
  }
  Window window(*this, position);
  for (const block::Extent& extent : *map) window.add(extent);
  extents = window.take();
  co_return extents;
}

io::Task<Result<Plan>> plan(End source, End destination, PlanOptions options) {
  auto made = co_await Planner::make(std::move(source), std::move(destination), options);
  co_return made;
}

}  // namespace peerlane::copy
