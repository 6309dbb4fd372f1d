// What goes on in a logical unit after the command that asked for it has had its status (IMMED set to one), and must
// have ended before the unit goes.
//
//     io::Task<void> flush_later(LogicalUnit& unit, Background::Pass pass) { ... }
//
//     if (auto pass = unit.background().enter()) io::spawn(flush_later(unit, std::move(*pass)));
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace peerlane::target {

class Background {
 public:
  /// Held as long as the work goes on.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : background_(std::exchange(other.background_, nullptr)) {}
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (background_ != nullptr) background_->leave();
    }

    /// Whether the service is about to end: what takes long is to be broken off.
    bool stopping() const { return background_->stopping_.load(std::memory_order_relaxed); }

   private:
    friend class Background;
    explicit Pass(Background& background) : background_(&background) {}

    Background* background_;
  };

  Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Nothing if the service is about to end: then nothing may be begun.
  std::optional<Pass> enter();

  /// Lets nothing begin any more, asks what is going on to end and waits for it. False: it has not ended by `deadline`.
  bool stop(std::chrono::steady_clock::time_point deadline);

 private:
  void leave();

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  unsigned inside_ = 0;
};

}  // namespace peerlane::target
