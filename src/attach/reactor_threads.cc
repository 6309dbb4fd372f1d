#include "attach/reactor_threads.h"

#include <future>
#include <utility>

namespace peerlane::attach {
namespace {

/// The life of a thread: its reactor, once it is there or why it is not, goes to `created`.
void live(std::promise<Result<io::Reactor*>>& created) {
  auto reactor = io::Reactor::create();
  if (!reactor) {
    created.set_value(std::unexpected(std::move(reactor.error())));
    return;
  }
  created.set_value(reactor->get());
  (*reactor)->run();
}

io::Task<void> run_then_tell(const std::function<io::Task<void>()>& make, std::promise<void>& ended) {
  auto task = make();
  co_await std::move(task);
  ended.set_value();
}

}  // namespace

Result<std::unique_ptr<ReactorThreads>> ReactorThreads::start(unsigned count) {
  std::unique_ptr<ReactorThreads> threads(new ReactorThreads);
  for (unsigned i = 0; i < count; ++i) {
    std::promise<Result<io::Reactor*>> created;
    std::thread thread([&created] { live(created); });
    auto reactor = created.get_future().get();
    if (!reactor) {
      thread.join();
      return std::unexpected(std::move(reactor.error()));
    }
    threads->threads_.push_back({std::move(thread), *reactor});
  }
  return threads;
}

ReactorThreads::~ReactorThreads() {
  for (const Thread& thread : threads_) thread.reactor->stop();
  for (Thread& thread : threads_) thread.thread.join();
}

void ReactorThreads::run(std::size_t index, const std::function<io::Task<void>()>& make) const {
  std::promise<void> ended;
  reactor(index).post([&make, &ended] { io::spawn(run_then_tell(make, ended)); });
  ended.get_future().get();
}

}  // namespace peerlane::attach
