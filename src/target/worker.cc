#include "target/worker.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "io/socket_stream.h"

namespace peerlane::target {

Result<std::unique_ptr<Worker>> Worker::start(Service& service, unsigned number, io::Duration poll) {
  std::unique_ptr<Worker> worker(new Worker(service, number));
  std::promise<Result<void>> started;
  auto result = started.get_future();
  worker->thread_ = std::jthread(&Worker::run, worker.get(), poll, std::move(started));
  auto began = result.get();
  if (!began) return std::unexpected(began.error());
  return worker;
}

Worker::~Worker() {
  if (reactor_ != nullptr) reactor_->stop();
}

/// The thread.
void Worker::run(io::Duration poll, std::promise<Result<void>> started) {
  pthread_setname_np(pthread_self(), fmt::format("peerlane-{}", number_).c_str());
  auto reactor = io::Reactor::create();
  if (!reactor) {
    started.set_value(std::unexpected(reactor.error()));
    return;
  }
  reactor_ = reactor->get();
  reactor_->set_poll(poll);
  started.set_value({});
  reactor_->run();
  size_timer_.reset();
  listeners_.clear();
}

void Worker::take(int fd, std::uint16_t portal_group) {
  load_.fetch_add(1, std::memory_order_relaxed);
  reactor_->post([this, fd, portal_group] { io::spawn(serve(fd, portal_group)); });
}

io::Task<void> Worker::serve(int fd, std::uint16_t portal_group) {
  if (stopping_) {
    ::close(fd);
    load_.fetch_sub(1, std::memory_order_relaxed);
    co_return;
  }
  const io::Gate::Pass pass(gate_);
  io::SocketStream stream(*reactor_, fd);
  {
    AcceptedConnection connection(service_, *reactor_, reactor_->buffers(), stream, portal_group);
    const auto at = connections_.insert(connections_.end(), &connection);
    co_await connection.run();
    connections_.erase(at);
  }
  co_await stream.close();
  load_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::listen(int fd, std::uint16_t portal_group, std::vector<Worker*> workers) {
  reactor_->post([this, fd, portal_group, workers = std::move(workers)] {
    listeners_.emplace_back(*reactor_, fd);
    io::spawn(accept_all(listeners_.back(), portal_group, workers));
  });
}

io::Task<void> Worker::accept_all(io::Listener& listener, std::uint16_t portal_group, std::vector<Worker*> workers) {
  const io::Gate::Pass pass(gate_);
  for (;;) {
    auto accepted = co_await listener.accept();
    if (!accepted) {
      if (accepted.error().code != ECANCELED) log::error("cannot accept connections: {}", accepted.error().text());
      co_return;
    }
    Worker* const least = *std::ranges::min_element(workers, {}, [](const Worker* worker) { return worker->load(); });
    least->take(*accepted, portal_group);
  }
}

void Worker::watch_sizes() {
  reactor_->post([this] {
    size_timer_ = std::make_unique<io::Timer>(*reactor_, [this] {
      service_.look_after_disks();
      size_timer_->arm_after(limits::kGrowthPoll);
    });
    size_timer_->arm_after(limits::kGrowthPoll);
  });
}

std::future<void> Worker::stop_listening() {
  auto done = std::make_shared<std::promise<void>>();
  auto stopped = done->get_future();
  reactor_->post([this, done] { io::spawn(close_listeners(std::move(*done))); });
  return stopped;
}

io::Task<void> Worker::close_listeners(std::promise<void> done) {
  for (io::Listener& listener : listeners_) co_await listener.close();
  done.set_value();
}

std::future<void> Worker::end_connections() {
  auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  reactor_->post([this, done] { io::spawn(stop_connections(std::move(*done))); });
  return ended;
}

io::Task<void> Worker::stop_connections(std::promise<void> done) {
  stopping_ = true;
  for (AcceptedConnection* const connection : connections_) connection->stop();
  co_await gate_.drained();
  done.set_value();
}

std::future<void> Worker::close_disks() {
  auto done = std::make_shared<std::promise<void>>();
  auto closed = done->get_future();
  reactor_->post([this, done] { io::spawn(stop_disks(std::move(*done))); });
  return closed;
}

io::Task<void> Worker::stop_disks(std::promise<void> done) {
  size_timer_.reset();
  co_await service_.close_disks();
  done.set_value();
}

}  // namespace peerlane::target
