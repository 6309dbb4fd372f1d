#include "cli/bench.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/bench_report.h"
#include "cli/disks.h"
#include "cli/reactor_thread.h"
#include "cli/run.h"
#include "cli/signal_watch.h"

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;

double seconds_of(io::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One thread's part: its sessions, and what they count. Made by the first thread; from open() to close() all happens
/// on `reactor`.
class BenchWorker {
 public:
  BenchWorker(io::Reactor& reactor, const BenchArguments& arguments) : reactor_(reactor), arguments_(arguments) {}

  io::Reactor& reactor() { return reactor_; }
  const LoadTally& tally() const { return tally_; }

  /// Takes session `number`. `shared` is the disk of all sessions; null: this one opens its own.
  io::Task<Result<void>> open(Load& load, unsigned number, block::Device* shared) {
    if (shared == nullptr) {
      RemoteOptions options;
      options.depth = load.options().depth;
      auto opening = open_remote_disk(arguments_.disk, options);
      auto opened = co_await std::move(opening);
      if (!opened) co_return std::unexpected(std::move(opened.error()));
      own_.push_back(std::move(*opened));
      shared = own_.back().get();
    }
    sessions_.push_back(std::make_unique<LoadSession>(load, number, *shared, tally_));
    co_return sessions_.back()->prepare(reactor_);
  }

  io::Task<void> run(bool check_written) {
    io::Gate running;
    for (const auto& session : sessions_) io::spawn(run_one(*session, check_written, running));
    co_await running.drained();
    co_await io::yield(reactor_);
  }

  io::Task<void> close() {
    sessions_.clear();
    for (const auto& device : own_) co_await device->close();
    own_.clear();
  }

 private:
  static io::Task<void> run_one(LoadSession& session, bool check_written, io::Gate& running) {
    const io::Gate::Pass pass(running);
    if (check_written) {
      co_await session.check_written();
    } else {
      co_await session.run();
    }
  }

  io::Reactor& reactor_;
  const BenchArguments& arguments_;
  LoadTally tally_;
  std::vector<std::unique_ptr<block::Device>> own_;
  std::vector<std::unique_ptr<LoadSession>> sessions_;
};

class BenchCommand {
 public:
  BenchCommand(const BenchArguments& arguments, const LoadOptions& options, const StopSignals& signals)
      : arguments_(arguments), options_(options), signals_(signals) {}

  io::Task<ExitCode> run() {
    auto ready = co_await open();
    if (ready) {
      SignalWatch watch(signals_, [this] { interrupt(); });
      io::spawn(watch.run());
      co_await measure();
      if (load_->written() != nullptr && !load_->stopping()) {
        co_await on_all_workers([](BenchWorker& worker) { return worker.run(true); });
      }
      co_await watch.stop();
    }
    co_await on_all_workers([](BenchWorker& worker) { return worker.close(); });
    if (disk_) {
      auto closed = co_await disk_->close();
      if (ready && !closed) ready = std::move(closed);
    }
    if (!ready) co_return complain(ready.error(), refused_ ? ExitCode::kUsage : ExitCode::kFailure);
    co_return report();
  }

 private:
  using Work = io::Task<void> (*)(BenchWorker&);

  // --- Opening ---

  io::Task<Result<void>> open() {
    auto opened = co_await open_disk_once();
    if (!opened) co_return opened;
    auto fits = fit_to_disk(arguments_, disk_->geometry(), options_);
    if (!fits) {
      refused_ = true;
      co_return fits;
    }
    load_ = std::make_unique<Load>(options_);
    spec_ = disk_->identity().spec;
    const bool remote = is_remote(arguments_.disk);
    if (remote) {  // each session opens it for itself
      auto closed = co_await disk_->close();
      disk_.reset();
      if (!closed) co_return closed;
    }
    workers_.push_back(std::make_unique<BenchWorker>(io::Reactor::current(), arguments_));
    while (workers_.size() < arguments_.threads) {
      auto thread = ReactorThread::start();
      if (!thread) co_return std::unexpected(thread.error());
      threads_.push_back(std::move(*thread));
      workers_.push_back(std::make_unique<BenchWorker>(threads_.back()->reactor(), arguments_));
    }
    for (unsigned number = 0; number < options_.sessions; ++number) {
      auto session = co_await open_session(*workers_[number % workers_.size()], number);
      if (!session) co_return session;
    }
    co_return Result<void>();
  }

  io::Task<Result<void>> open_disk_once() {
    const block::OpenOptions options{
        .logical_block_size = 0, .read_only = !arguments_.writes(), .direct = !arguments_.no_direct, .exclusive = true};
    auto opening = open_disk(arguments_.disk, options);
    auto opened = co_await std::move(opening);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    disk_ = std::move(*opened);
    co_return Result<void>();
  }

  io::Task<Result<void>> open_session(BenchWorker& worker, unsigned number) {
    Result<void> opened;
    std::function<io::Task<void>()> there = [this, &worker, number, &opened] {
      return keep_result(worker, number, opened);
    };
    auto running = io::run_on(io::Reactor::current(), worker.reactor(), std::move(there));
    co_await std::move(running);
    co_return opened;
  }

  io::Task<void> keep_result(BenchWorker& worker, unsigned number, Result<void>& opened) {
    opened = co_await worker.open(*load_, number, disk_.get());
  }

  // --- Running ---

  /// Does `work` on each worker's reactor at the same time, and waits for all.
  io::Task<void> on_all_workers(Work work) {
    io::Gate gate;
    for (const auto& worker : workers_) io::spawn(on_worker(*worker, work, gate));
    co_await gate.drained();
    co_await io::yield(io::Reactor::current());
  }

  static io::Task<void> on_worker(BenchWorker& worker, Work work, io::Gate& gate) {
    const io::Gate::Pass pass(gate);
    std::function<io::Task<void>()> there = [&worker, work] { return work(worker); };
    auto running = io::run_on(io::Reactor::current(), worker.reactor(), std::move(there));
    co_await std::move(running);
  }

  io::Task<void> measure() {
    io::Reactor& reactor = io::Reactor::current();
    load_->start(io::Clock::now());
    cpu_before_ = processor_seconds();
    io::Timer warm(reactor, [this] { cpu_before_ = processor_seconds(); });
    if (options_.warm_up != io::Duration(0)) warm.arm_at(load_->counts_from());
    shown_at_ = io::Clock::now();
    io::Timer shower(reactor, [this] { show_progress(); });
    progress_ = !arguments_.quiet && isatty(STDERR_FILENO) != 0 ? &shower : nullptr;
    if (progress_ != nullptr) shower.arm_after(kProgressInterval);
    co_await on_all_workers([](BenchWorker& worker) { return worker.run(false); });
    cpu_seconds_ = processor_seconds() - cpu_before_;
    if (progress_ != nullptr) fmt::print(stderr, "\r\x1b[K");
    progress_ = nullptr;
  }

  void show_progress() {
    progress_->arm_after(kProgressInterval);
    std::uint64_t ios = 0;
    for (const auto& worker : workers_) ios += worker->tally().ios.load(std::memory_order_relaxed);
    const io::TimePoint now = io::Clock::now();
    const double rate = static_cast<double>(ios - shown_ios_) / seconds_of(now - shown_at_);
    shown_ios_ = ios;
    shown_at_ = now;
    const double so_far = seconds_of(now - (load_->counts_from() - options_.warm_up));
    const auto whole =
        options_.time == io::Duration(0) ? std::nullopt : std::optional(seconds_of(options_.warm_up + options_.time));
    fmt::print(stderr, "\r{}\x1b[K",
               bench_progress(so_far, whole, rate, rate * static_cast<double>(options_.block_bytes)));
    std::fflush(stderr);
  }

  void interrupt() {
    interrupted_ = true;
    load_->stop();
  }

  // --- Reporting ---

  ExitCode report() const {
    BenchResult result;
    result.disk = spec_;
    result.pattern = arguments_.pattern;
    result.options = options_;
    result.threads = arguments_.threads;
    result.cpu_seconds = cpu_seconds_;
    result.error = load_->error();
    io::TimePoint last = load_->counts_from();
    for (const auto& worker : workers_) {
      const LoadTally& tally = worker->tally();
      result.reads.add(tally.reads);
      result.writes.add(tally.writes);
      result.checked += tally.checked;
      last = std::max(last, tally.last);
    }
    const bool whole_time = options_.time != io::Duration(0) && options_.ios == 0 && !load_->stopping();
    result.seconds = seconds_of(whole_time ? options_.time : last - load_->counts_from());
    if (arguments_.json) {
      print_json(to_json(result));
    } else {
      fmt::print("{}", to_text(result));
    }
    if (result.error) {
      return complain(*result.error, result.error->code == EILSEQ ? ExitCode::kDiffers : ExitCode::kFailure);
    }
    return interrupted_ ? ExitCode::kInterrupted : ExitCode::kOk;
  }

  static constexpr io::Duration kProgressInterval = 1s;

  const BenchArguments& arguments_;
  LoadOptions options_;
  const StopSignals& signals_;
  std::string spec_;
  std::unique_ptr<block::Device> disk_;  // of all sessions; null for logical units of targets
  std::unique_ptr<Load> load_;
  std::vector<std::unique_ptr<ReactorThread>> threads_;
  std::vector<std::unique_ptr<BenchWorker>> workers_;  // the first is on this thread
  double cpu_before_ = 0;
  double cpu_seconds_ = 0;
  io::Timer* progress_ = nullptr;
  std::uint64_t shown_ios_ = 0;
  io::TimePoint shown_at_{};
  bool refused_ = false;
  bool interrupted_ = false;
};

}  // namespace

ExitCode bench(const BenchArguments& arguments) {
  const StopSignals signals;
  auto options = to_load_options(arguments);
  if (!options) return complain(options.error(), ExitCode::kUsage);
  if (arguments.writes() && !arguments.yes && !arguments.disk.starts_with("ram:")) {
    return complain({EPERM, fmt::format("{} would be overwritten; give --yes if nothing on it is needed",
                                        is_remote(arguments.disk) ? "the logical unit" : arguments.disk)},
                    ExitCode::kUsage);
  }
  BenchCommand command(arguments, *options, signals);
  return run_on_reactor([&command] { return command.run(); });
}

}  // namespace peerlane::cli
