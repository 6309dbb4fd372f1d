// One core of a service: a thread with its reactor, the connections that it serves, and on the first worker the
// listening sockets. Connections are handed to a worker once, when they are accepted, and stay there.
#pragma once

#include <atomic>
#include <future>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "io/listener.h"
#include "io/reactor.h"
#include "target/accepted_connection.h"
#include "target/service.h"

namespace peerlane::target {

class Worker {
 public:
  /// Starts the thread and its reactor, with the time that it polls before it sleeps; the error is the reactor's.
  /// `service` outlives the worker.
  static Result<std::unique_ptr<Worker>> start(Service& service, unsigned number, io::Duration poll);

  /// Ends the thread. end_connections() has completed on all workers of the service.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // --- From any thread ---

  /// Serves the connected socket `fd` from now on.
  void take(int fd, std::uint16_t portal_group);
  /// Connections that it serves, or is about to.
  unsigned load() const { return load_.load(std::memory_order_relaxed); }

  /// Accepts connections on `fd`, which is listening, and gives each to the least loaded of `workers`.
  void listen(int fd, std::uint16_t portal_group, std::vector<Worker*> workers);
  /// Has the service look for disks that have grown, every limits::kGrowthPoll.
  void watch_sizes();

  /// The end comes in steps, each of which all workers finish before the next begins, since they give each other work:
  /// no more connections are accepted; then those that there are end in an orderly way. A future is ready when its step
  /// is done.
  std::future<void> stop_listening();
  std::future<void> end_connections();
  /// The last step, on one worker: the disks are closed.
  std::future<void> close_disks();

  const io::Features& features() const { return reactor_->features(); }

 private:
  Worker(Service& service, unsigned number) : service_(service), number_(number) {}
  void run(io::Duration poll, std::promise<Result<void>> started);
  io::Task<void> serve(int fd, std::uint16_t portal_group);
  io::Task<void> accept_all(io::Listener& listener, std::uint16_t portal_group, std::vector<Worker*> workers);
  io::Task<void> close_listeners(std::promise<void> done);
  io::Task<void> stop_connections(std::promise<void> done);
  io::Task<void> stop_disks(std::promise<void> done);

  Service& service_;
  const unsigned number_;
  std::atomic<unsigned> load_{0};

  // On the worker's own thread
  io::Reactor* reactor_ = nullptr;
  std::list<io::Listener> listeners_;
  std::list<AcceptedConnection*> connections_;
  std::unique_ptr<io::Timer> size_timer_;
  bool stopping_ = false;
  io::Gate gate_;

  std::jthread thread_;
};

}  // namespace peerlane::target
