#include "cli/peer_thread.h"

#include <future>
#include <utility>

#include "base/limits.h"

namespace peerlane::cli {
namespace {

io::Task<void> end(std::unique_ptr<peers::Peers> peers, std::promise<void>& ended) {
  co_await peers->end();
  peers.reset();
  ended.set_value();
}

}  // namespace

Result<std::unique_ptr<PeerThread>> PeerThread::start(const std::vector<target::PeerDeclaration>& declared) {
  if (declared.empty()) return nullptr;
  std::unique_ptr<PeerThread> started(new PeerThread());
  auto thread = ReactorThread::start();
  if (!thread) return std::unexpected(std::move(thread.error()));
  started->thread_ = std::move(*thread);
  auto peers = peers::Peers::create(started->thread_->reactor(), declared);
  if (!peers) return std::unexpected(std::move(peers.error()));
  started->peers_ = std::move(*peers);
  return started;
}

void PeerThread::begin_stop() {
  thread_->reactor().post([peers = peers_.get()] { peers->stop(); });
}

bool PeerThread::stop() {
  std::promise<void> ended;
  thread_->reactor().post([this, &ended] {
    peers_->stop();
    io::spawn(end(std::move(peers_), ended));
  });
  return ended.get_future().wait_for(limits::kLogoutTimeout + limits::kStopMargin) == std::future_status::ready;
}

}  // namespace peerlane::cli
