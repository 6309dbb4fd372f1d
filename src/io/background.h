// Threads for system calls that block and that io_uring does not have (ioctl, mostly): a reactor's coroutines hand them
// over and are resumed when they are done. Each reactor has some (io::Reactor::background()).
//
//     const int result = co_await reactor.background().run(reactor, [&] { return ioctl(fd, request, &argument); });
#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "io/executor.h"

namespace peerlane::io {

/// A few threads and a queue before them. A call that has begun is not broken off; whoever makes calls bounds how many
/// wait. All calls must have ended before this goes.
class Background {
 public:
  /// `threads`: as many calls go on at the same time. They are started when there are calls for
  /// them, and then stay.
  explicit Background(unsigned threads) : most_threads_(threads) {}
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background();

  /// Carries out `work()` on one of the threads, and resumes the caller on `home`, which is its own, with the result:
  /// that of `work`, or -errno if it was -1. `work` refers to what it needs, and holds nothing.
  template <typename Work>
  auto run(Executor& home, Work work) {
    static_assert(std::is_trivially_destructible_v<Work>);
    return CallOf<Work>(*this, home, work);
  }

 private:
  class [[nodiscard]] Call {
   public:
    Call(Background& background, Executor& home) : background_(background), home_(home) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      waiting_ = waiting;
      background_.add(*this);
    }
    int await_resume() const noexcept { return result_; }

    void carry_out();

   protected:
    ~Call() = default;  // nobody owns a Call through this type

   private:
    virtual int work() = 0;

    Background& background_;
    Executor& home_;
    std::coroutine_handle<> waiting_;
    int result_ = 0;
  };

  template <typename Work>
  class CallOf final : public Call {
   public:
    CallOf(Background& background, Executor& home, Work work) : Call(background, home), work_(work) {}

   private:
    int work() override { return work_(); }

    Work work_;
  };

  void add(Call& call);
  void serve();

  const unsigned most_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call*> queue_;  // guarded by mutex_, as what follows
  unsigned idle_ = 0;
  bool ending_ = false;
  std::vector<std::jthread> threads_;  // of the thread that makes calls
};

}  // namespace peerlane::io
