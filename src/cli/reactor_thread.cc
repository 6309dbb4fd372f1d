#include "cli/reactor_thread.h"

#include <future>
#include <utility>

namespace peerlane::cli {
namespace {

void run_reactor(std::promise<Result<io::Reactor*>> started) {
  const auto reactor = io::Reactor::create();
  if (!reactor) {
    started.set_value(std::unexpected(reactor.error()));
    return;
  }
  started.set_value(reactor->get());
  (*reactor)->run();
}

}  // namespace

Result<std::unique_ptr<ReactorThread>> ReactorThread::start() {
  std::unique_ptr<ReactorThread> thread(new ReactorThread());
  std::promise<Result<io::Reactor*>> started;
  auto result = started.get_future();
  thread->thread_ = std::jthread(run_reactor, std::move(started));
  const auto reactor = result.get();
  if (!reactor) return std::unexpected(reactor.error());
  thread->reactor_ = *reactor;
  return thread;
}

ReactorThread::~ReactorThread() {
  if (reactor_ != nullptr) reactor_->stop();
}

}  // namespace peerlane::cli
