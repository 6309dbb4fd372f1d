// What one user has of a reactor's threads for system calls that block: so many calls at a time.
//
//     const int result = co_await threads.run([&] { return ioctl(fd, request, &argument); });
#pragma once

#include "io/event.h"
#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::io {

/// Lives on one reactor, and outlives its calls.
class BackgroundShare {
 public:
  /// `most`: calls that go on at the same time. Further ones wait here for their turn.
  explicit BackgroundShare(unsigned most) : most_(most) {}
  BackgroundShare(const BackgroundShare&) = delete;
  BackgroundShare& operator=(const BackgroundShare&) = delete;

  /// As Background::run() of the reactor.
  template <typename Work>
  Task<int> run(Work work) {
    while (calls_ >= most_) co_await ended_;
    ++calls_;
    Reactor& home = Reactor::current();
    const int result = co_await home.background().run(home, work);
    --calls_;
    ended_.wake_all();
    co_return result;
  }

 private:
  const unsigned most_;
  unsigned calls_ = 0;
  Event ended_;
};

}  // namespace peerlane::io
