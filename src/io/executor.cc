#include "io/executor.h"

#include <utility>

#include "io/event.h"

namespace peerlane::io {

Deferred::~Deferred() {
  if (queue_ != nullptr) queue_->remove(*this);
}

void DeferredQueue::add(Deferred& deferred) {
  if (deferred.queue_ != nullptr) return;
  deferred.queue_ = this;
  deferred.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &deferred;
  last_ = &deferred;
}

void DeferredQueue::remove(Deferred& deferred) {
  (deferred.previous_ != nullptr ? deferred.previous_->next_ : first_) = deferred.next_;
  (deferred.next_ != nullptr ? deferred.next_->previous_ : last_) = deferred.previous_;
  deferred.queue_ = nullptr;
  deferred.next_ = nullptr;
  deferred.previous_ = nullptr;
}

void DeferredQueue::run() {
  while (first_ != nullptr) {
    Deferred& deferred = *first_;
    remove(deferred);
    deferred.run_deferred();
  }
}

Task<void> sleep(Executor& executor, Duration delay) {
  Event expired;
  Timer timer(executor, [&expired] { expired.set(); });
  timer.arm_after(delay);
  co_await expired;
}

namespace {

/// Runs on the other executor; `ended` belongs to the one who waits at home.
Task<void> run_and_report(Executor& home, std::function<Task<void>()> make, Event& ended) {
  co_await make();
  home.post([&ended] { ended.set(); });
}

}  // namespace

Task<void> run_on(Executor& home, Executor& other, std::function<Task<void>()> make) {
  if (&home == &other) {
    co_await make();
    co_return;
  }
  Event ended;
  other.post(
      [&home, &ended, make = std::move(make)]() mutable { spawn(run_and_report(home, std::move(make), ended)); });
  co_await ended;
}

}  // namespace peerlane::io
