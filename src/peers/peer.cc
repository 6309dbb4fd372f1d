#include "peers/peer.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "target/access.h"

namespace peerlane::peers {
namespace {

constexpr std::uint16_t kTcp = 6;  // INTERNET PROTOCOL NUMBER

}  // namespace

Peer::Peer(io::Reactor& reactor, target::PeerDeclaration declaration, LocalDisks& local_disks, io::Duration idle)
    : reactor_(reactor),
      declaration_(std::move(declaration)),
      local_disks_(local_disks),
      idle_time_(idle),
      idle_(reactor, [this] { look_if_idle(); }) {}

Peer::~Peer() {
  assert(session_ == nullptr && running_.inside() == 0);
}

bool Peer::admits(const target::PeerAsker& asker) const {
  const auto& targets = declaration_.targets;
  const auto& initiators = declaration_.initiators;
  const bool from_here = targets.empty() || std::ranges::find(targets, asker.target) != targets.end();
  const auto matches = [&](const auto& entry) { return target::matches_initiator(entry, asker.initiator); };
  return from_here && (initiators.empty() || std::ranges::any_of(initiators, matches));
}

bool Peer::is_at(const scsi::IpEndpoint& endpoint) const {
  if (endpoint.protocol != kTcp || endpoint.port != declaration_.port) return false;
  std::array<std::uint8_t, 16> address{};
  const int family = endpoint.ipv6 ? AF_INET6 : AF_INET;
  return inet_pton(family, declaration_.host.c_str(), address.data()) == 1 && address == endpoint.address;
}

bool Peer::knows(const scsi::Designator& designator) const {
  return session_ != nullptr && session_->usable() && session_->knows(designator);
}

io::Task<Result<Peer::Found>> Peer::find(Wanted wanted) {
  const io::Gate::Pass pass(running_);
  while (looking_ && !stopping_) co_await looked_;
  if (stopping_) co_return fail(ECANCELED, "the service stops");
  looking_ = true;
  auto looking = look(std::move(wanted));
  auto found = co_await std::move(looking);
  looking_ = false;
  looked_.wake_all();
  if (!found) {
    co_return fail(found.error().code, fmt::format("{} at {}:{}: {}", declaration_.target, declaration_.host,
                                                   declaration_.port, found.error().text()));
  }
  co_return Found{std::move(found->lun), declaration_.writable, std::move(found->shared)};
}

/// With a new session where the one that there is has lost track of its units.
io::Task<Result<PeerSession::Found>> Peer::look(Wanted wanted) {
  for (bool again = false;; again = true) {
    auto logged_in = co_await log_in();
    if (!logged_in) co_return std::unexpected(std::move(logged_in.error()));
    const std::shared_ptr<PeerSession> session = session_;
    auto finding = session->find(wanted);
    auto found = co_await std::move(finding);
    if (found || found.error().code != ESTALE || again || stopping_) co_return found;
    retire();
  }
}

io::Task<Result<void>> Peer::log_in() {
  if (session_ != nullptr && !session_->usable()) retire();
  if (session_ != nullptr) co_return Result<void>();
  if (failure_ && reactor_.now() - failed_ < limits::kPeerPause) co_return std::unexpected(*failure_);
  auto session = co_await PeerSession::open(reactor_, declaration_, local_disks_);
  if (!session) {
    failure_ = session.error();
    failed_ = reactor_.now();
    co_return std::unexpected(std::move(session.error()));
  }
  failure_.reset();
  session_ = std::move(*session);
  if (stopping_) {
    retire();
    co_return fail(ECANCELED, "the service stops");
  }
  log::info("logged in to {} at {}:{} for copies", declaration_.target, declaration_.host, declaration_.port);
  idle_.arm_after(idle_time_);
  co_return Result<void>();
}

/// Does without the session from now on. It ends when its disks are back.
void Peer::retire() {
  if (session_ == nullptr) return;
  idle_.disarm();
  retired_.push_back(std::exchange(session_, nullptr));
  io::spawn(end_session(retired_.back()));
}

io::Task<void> Peer::end_session(std::shared_ptr<PeerSession> session) {
  const io::Gate::Pass pass(running_);
  co_await session->end();
  std::erase(retired_, session);
}

void Peer::look_if_idle() {
  const io::TimePoint due = session_->last_use() + idle_time_;
  if (!looking_ && session_->idle() && reactor_.now() >= due) {
    log::info("no copies from or to {} for a while: logged out", declaration_.target);
    retire();
  } else {
    idle_.arm_at(std::max(due, reactor_.now() + std::min<io::Duration>(idle_time_, limits::kPeerPause)));
  }
}

void Peer::stop() {
  stopping_ = true;
  looked_.wake_all();
  retire();
  const auto retired = retired_;
  for (const std::shared_ptr<PeerSession>& session : retired) session->cut_short();
}

io::Task<void> Peer::end() {
  co_await running_.drained();
  co_await io::yield(reactor_);
}

}  // namespace peerlane::peers
