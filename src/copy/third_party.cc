#include "copy/third_party.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"

namespace peerlane::copy {

struct ThirdParty::Request {
  block::CopyRange range;
  block::CopyWatch watch;
};

io::Task<Result<DirectWay>> consider_third_party(const End& source, const End& destination) {
  block::CopyOffload* const from = source.device->copy_offload();
  block::CopyOffload* const to = destination.device->copy_offload();
  if (from == nullptr || to == nullptr) {
    co_return fail(ENOTSUP, fmt::format("{} is no disk of a target", from == nullptr ? source.name : destination.name));
  }
  auto offered = co_await to->offer_copy_from(*from);
  if (!offered) co_return std::unexpected(offered.error());
  std::shared_ptr<block::OffloadedCopy> storage = std::move(*offered);
  const block::CopyOffer& offer = storage->offer();
  DirectWay way;
  way.way = Way::kThirdParty;
  way.unit = offer.unit;
  way.most = offer.most;
  way.through = offer.way.empty() ? storage->place() : fmt::format("{}, which runs {}", storage->place(), offer.way);
  way.refusals = offer.refusals;
  way.make_mover = [storage](const End& first, const End& second, const MoverTools& tools) -> std::unique_ptr<Mover> {
    return std::make_unique<ThirdParty>(first, second, storage, tools);
  };
  co_return way;
}

ThirdParty::ThirdParty(const End& source, const End& destination, std::shared_ptr<block::OffloadedCopy> storage,
                       const MoverTools& tools)
    : source_(source), destination_(destination), storage_(std::move(storage)), account_(tools.account) {}

ThirdParty::~ThirdParty() = default;

io::Task<Result<void>> ThirdParty::move(Piece piece) {
  while (under_way_.size() >= limits::kThirdPartyDepth && !canceled_) co_await ended_;
  if (canceled_) co_return fail(ECANCELED, "interrupted");
  if (refusals_ >= limits::kThirdPartyRefusals) co_return fail(ENOTSUP, refusal_);
  Request request{.range = {.from = piece.source, .to = piece.destination, .length = piece.length}, .watch = {}};
  under_way_.push_back(&request);
  auto asking = io::later([this, &request] { return ask(request); });
  auto reading = source_.device->around(piece.source, piece.length, std::move(asking));
  auto done = co_await destination_.device->around(piece.destination, piece.length, std::move(reading));
  std::erase(under_way_, &request);
  if (done) {
    account_.add(Way::kThirdParty, piece.length);
  } else if (done.error().code == ENOTSUP) {
    ++refusals_;
    refusal_ = done.error().text();
  } else if (!canceled_) {
    done = std::unexpected(explain("copying to", destination_.name, piece.destination, done.error()));
  }
  ended_.wake_all();
  co_return done;
}

io::Task<Result<void>> ThirdParty::ask(Request& request) {
  return storage_->copy(request.range, request.watch);
}

std::uint64_t ThirdParty::moving() const {
  std::uint64_t bytes = 0;
  for (const Request* const request : under_way_) {
    bytes += std::min(request->watch.moved.load(std::memory_order_relaxed), request->range.length);
  }
  return bytes;
}

void ThirdParty::cancel() {
  canceled_ = true;
  for (Request* const request : under_way_) request->watch.canceled.store(true, std::memory_order_relaxed);
  ended_.wake_all();
}

io::Task<void> ThirdParty::conclude() {
  if (account_.of(Way::kThirdParty) == 0) co_return;
  auto told = co_await storage_->account();
  told_ = std::move(told);
}

std::string ThirdParty::through() const {
  std::string place = storage_->place();
  return told_ && !told_->last.empty() ? fmt::format("{}, which ran {}", place, told_->last) : place;
}

}  // namespace peerlane::copy
