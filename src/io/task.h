// Task<T>: a coroutine that does something in steps and gives a T.
//
// A Task is lazy: it starts when it is awaited, or detached with `spawn`. It stays on the reactor (the thread) where it
// was started; to run something on another reactor, see `io::run_on`. A child that completes without having to wait
// returns to its parent as a plain call does: no trip through the event loop, no growth of the stack in loops.
//
// What often has its result at once need not be a coroutine: a plain function that returns `ready(value)`, or else the
// Task of a coroutine that does the rest, takes no frame. The hot path is made of such functions. They do their work
// when they are called, not when they are awaited: await them where you call them, or call them in `later`.
//
// Frames come from io/frame_pool.h. Exceptions do not leave a Task: errors are values here, so an exception that
// reaches the end of a Task ends the program.
//
// g++ 12 miscompiles some coroutine expressions. House rules that keep clear of it: name the result of a co_await
// (`auto result = co_await f(x);`) instead of nesting it in a larger expression or a condition; name the arguments of
// an awaited call that own something (strings, vectors, lambdas with captures, all that a conversion would make):
// temporaries there may be destroyed twice; no braced initializer lists there either; parameters of coroutines by value
// or by reference to what outlives them; no coroutine lambdas with captures.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "io/frame_pool.h"

namespace peerlane::io {

template <typename T = void>
class Task;

namespace detail {

/// What becomes of a frame when its coroutine ends.
enum class FrameState : unsigned char {
  kInline,    // the starter is still on the stack and looks at it when control returns
  kAwaited,   // a suspended parent is to be resumed
  kDetached,  // nobody waits: the frame destroys itself
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  FrameState state = FrameState::kInline;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      switch (self.promise().state) {
        case FrameState::kInline:
          break;
        case FrameState::kAwaited:
          return self.promise().continuation;
        case FrameState::kDetached:
          self.destroy();
          break;
      }
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), value_(std::move(other.value_)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  /// Starts the task and waits for its end. Only once per Task.
  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> child;
      Value& value;
      bool await_ready() const noexcept { return !child; }
      bool await_suspend(std::coroutine_handle<> parent) const noexcept {
        child.resume();
        if (child.done()) return false;
        child.promise().continuation = parent;
        child.promise().state = detail::FrameState::kAwaited;
        return true;
      }
      T await_resume() const {
        if (child) return child.promise().take();
        if constexpr (!std::is_void_v<T>) return std::move(*value);
      }
    };
    return Awaiter{handle_, value_};
  }

 private:
  using Value = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

  friend promise_type;
  friend void spawn(Task<void> task);
  template <typename U>
  friend Task<U> ready(U value);
  friend Task<void> ready();
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  explicit Task(Value value) noexcept : value_(std::move(value)) {}

  std::coroutine_handle<promise_type> handle_;  // of the coroutine; null if the result is there
  Value value_;
};

template <typename T>
Task<T> detail::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> detail::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

/// A task that is done, with this result.
template <typename T>
Task<T> ready(T value) {
  return Task<T>(typename Task<T>::Value(std::move(value)));
}
inline Task<void> ready() {
  return Task<void>(Task<void>::Value());
}

/// The Task that `make()` gives, which is called only when this one is awaited. `make` holds nothing that it would have
/// to destroy.
template <typename Make>
auto later(Make make) -> decltype(make()) {
  static_assert(std::is_trivially_destructible_v<Make>);
  auto task = make();
  auto result = co_await std::move(task);
  co_return result;
}

/// Starts `task` here and now and lets it run to its end by itself. Whoever owns what the task uses must keep that
/// alive, or count the task in a Gate.
inline void spawn(Task<void> task) {
  const auto handle = std::exchange(task.handle_, nullptr);
  if (!handle) return;
  handle.resume();
  if (handle.done()) {
    handle.destroy();
  } else {
    handle.promise().state = detail::FrameState::kDetached;
  }
}

}  // namespace peerlane::io
