// A reactor: one thread's event loop over one io_uring, with the files, sockets, timers and buffers that the thread
// owns.
//
// A Reactor is created and run on one thread, and everything but post() and stop() is called on that thread only.
// Operations are awaited by coroutines:
//
//     const int got = co_await reactor.read(fd, bytes, offset);   // the result of the system call, or -errno
//
// What the kernel offers is probed when the reactor is created, and each feature has a plain fallback (see Features).
// Without io_uring at all there is no reactor: create() says why.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <liburing.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "io/background.h"
#include "io/buffer_pool.h"
#include "io/executor.h"
#include "io/receive_buffers.h"

namespace peerlane::io {

/// What is under way in the ring, and what to do when it completes. Must stay in place until its last completion.
class Operation {
 public:
  /// `result` as the system call's, or -errno; `flags` as in io_uring_cqe. Another completion follows if flags has
  /// IORING_CQE_F_MORE.
  virtual void complete(int result, unsigned flags) = 0;

 protected:
  Operation() = default;
  ~Operation() = default;  // nobody owns an Operation through this type
};

/// Features of the kernel that a reactor uses when it can. Tests switch them off to exercise the fallbacks.
struct Features {
  bool defer_taskrun = true;       // SINGLE_ISSUER and DEFER_TASKRUN: completions run when the loop asks for them
  bool registered_files = true;    // no reference counting of the file per operation
  bool registered_buffers = true;  // no pinning of pages per operation
  bool receive_ring = true;        // provided buffer ring: idle connections hold no receive buffer
  bool multishot = true;           // one accept or receive request, many completions

  std::string text() const;  // "defer-taskrun registered-files ...", for the log
};

class Reactor final : public Executor {
 public:
  /// A reactor for the calling thread. Uses at most the features in `wanted`. Fails where io_uring is not to be had,
  /// with a sentence for the user.
  static Result<std::unique_ptr<Reactor>> create(const Features& wanted = {});
  ~Reactor() override;

  /// The reactor of the calling thread; it must have one.
  static Reactor& current();

  /// Runs the loop until stop(). Operations that are under way then stay so: end what you started before you stop.
  void run();
  /// Ends run() after the current round. Any thread.
  void stop();

  TimePoint now() const override { return now_; }
  void post(std::function<void()> work) override;
  void defer(Deferred& deferred) override { deferred_.add(deferred); }
  bool here() const override;

  /// Before it sleeps, the loop looks again and again for this long: a shorter answer for a busy processor. 0 (the
  /// default): it sleeps at once.
  void set_poll(Duration poll) { poll_ = poll; }

  const Features& features() const { return features_; }
  BufferPool& buffers() { return buffers_; }
  ReceiveBuffers& receive_buffers() { return *receive_buffers_; }
  /// For system calls that block: limits::kBackgroundThreads at the same time, and the others wait.
  Background& background() { return background_; }

  // --- Operations. Each is awaited once, and what it points to stays in place until then. ---

  /// One request that gives one result.
  class [[nodiscard]] Call final : public Operation {
   public:
    explicit Call(io_uring_sqe* sqe) { io_uring_sqe_set_data(sqe, static_cast<Operation*>(this)); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    int await_resume() const noexcept { return result_; }
    void complete(int result, unsigned flags) override {
      static_cast<void>(flags);
      result_ = result;
      waiting_.resume();
    }

   private:
    std::coroutine_handle<> waiting_;
    int result_ = 0;
  };

  Call read(int fd, ByteSpan into, std::uint64_t offset);
  /// `rw_flags`: RWF_DSYNC or 0.
  Call write(int fd, ByteView from, std::uint64_t offset, int rw_flags);
  Call fdatasync(int fd);
  Call fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t length);
  Call receive(int fd, ByteSpan into, int flags);
  Call send(int fd, const msghdr& message, int flags);
  Call poll(int fd, unsigned events);

  /// Starts a request that completes on `operation`, once or many times. `prepare` fills in the request.
  template <typename Prepare>
  void submit(Operation& operation, int fd, Prepare&& prepare) {
    io_uring_sqe* const sqe = next_sqe();
    prepare(sqe);
    use_registered_file(sqe, fd);
    io_uring_sqe_set_data(sqe, &operation);
  }

  /// Asks the kernel to end `operation`; it still completes, with -ECANCELED or what it came to.
  void cancel(Operation& operation);

  /// Registers a descriptor that this reactor will use often. It must be forgotten before it is closed.
  void adopt_file(int fd);
  void forget_file(int fd);

 private:
  explicit Reactor(const Features& wanted);
  Result<void> open();

  io_uring_sqe* next_sqe();
  void use_registered_file(io_uring_sqe* sqe, int fd);
  bool in_registered_buffers(ByteView bytes) const;

  void arm(Timer& timer) override;
  void disarm(Timer& timer) override;
  void fire_timers();
  void run_posted();
  bool poll_for_completions();
  void wait();
  void dispatch_completions();
  void arm_wakeup();

  struct Wakeup final : Operation {
    Reactor* reactor = nullptr;
    std::uint64_t count = 0;
    void complete(int result, unsigned flags) override;
  };
  struct EarlierTimer {
    bool operator()(const Timer* a, const Timer* b) const {
      return a->when() != b->when() ? a->when() < b->when() : a < b;
    }
  };

  io_uring ring_{};
  bool ring_open_ = false;
  Features features_;
  TimePoint now_{};
  Duration poll_{0};
  BufferPool buffers_;
  std::unique_ptr<ReceiveBuffers> receive_buffers_;
  std::vector<int> file_slots_;  // by descriptor: its slot in the ring's file table, or -1
  std::vector<int> free_slots_;
  std::set<Timer*, EarlierTimer> timers_;
  DeferredQueue deferred_;
  bool stopping_ = false;

  int wakeup_fd_ = -1;
  Wakeup wakeup_;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by posted_mutex_
  std::vector<std::function<void()>> running_;

  Background background_{limits::kBackgroundThreads};  // last: its threads post their results here
};

}  // namespace peerlane::io
