#include "cli/copy.h"

#include <cstdio>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/copy_ends.h"
#include "cli/copy_report.h"
#include "cli/signal_watch.h"
#include "cli/stop_signals.h"
#include "io/reactor.h"

namespace peerlane::cli {
namespace {

ExitCode exit_code_of(const Error& error) {
  if (error.code == EILSEQ) return ExitCode::kDiffers;
  return error.code == ECANCELED ? ExitCode::kInterrupted : ExitCode::kFailure;
}

class CopyCommand {
 public:
  CopyCommand(const CopyArguments& arguments, CopyOptions options, const StopSignals& signals)
      : arguments_(arguments), options_(std::move(options)), signals_(signals) {}

  io::Task<void> run() {
    auto done = co_await open_and_copy();
    if (!done) {
      fmt::print(stderr, "peerlane: {}\n", done.error().text());
      exit_code_ = exit_code_of(done.error());
    }
    auto closed = co_await ends_.close();
    if (done && !closed) {
      fmt::print(stderr, "peerlane: {}\n", closed.error().text());
      exit_code_ = ExitCode::kFailure;
    }
    io::Reactor::current().stop();
  }

  ExitCode exit_code() const { return exit_code_; }

 private:
  io::Task<Result<void>> open_and_copy() {
    auto opened = co_await ends_.open(arguments_, options_.plan);
    if (!opened) co_return opened;
    const copy::PlanOptions plan_options = options_.plan;
    copy::End source = ends_.source();
    copy::End destination = ends_.destination();
    auto plan = co_await copy::plan(std::move(source), std::move(destination), plan_options);
    if (!plan) co_return std::unexpected(plan.error());
    if (arguments_.explain) {
      const auto text = co_await explain(*plan, arguments_.json);
      if (!text) co_return std::unexpected(text.error());
      fmt::print("{}", *text);
      co_return Result<void>();
    }
    auto copied = co_await run_job(*plan);
    co_return copied;
  }

  io::Task<Result<void>> run_job(const copy::Plan& plan) {
    const auto job = std::make_unique<copy::Job>(plan, options_.job);  // too large for a coroutine's frame
    auto checked = job->check();
    if (!checked) co_return checked;
    auto prepared = ends_.prepare();
    if (!prepared) co_return prepared;
    ends_.keep();
    SignalWatch watch(signals_, [&job] { job->cancel(); });
    const ProgressMode mode = progress_mode(arguments_.progress, arguments_.quiet, isatty(STDERR_FILENO) != 0);
    if (mode == ProgressMode::kBar || mode == ProgressMode::kLines) fmt::print(stderr, "{}\n", start_line(plan));
    ProgressDisplay display(*job, mode);
    io::spawn(watch.run());
    io::spawn(display.run());
    auto done = co_await job->run();
    co_await display.stop();
    co_await watch.stop();
    report(plan, job->summary(), done ? nullptr : &done.error());
    co_return done;
  }

  void report(const copy::Plan& plan, const copy::Summary& summary, const Error* error) const {
    std::FILE* const out = plan.destination().sink != nullptr ? stderr : stdout;
    if (arguments_.json) {
      fmt::print(out, "{}\n", summary_json(plan, summary, error));
    } else if (error == nullptr && !arguments_.quiet) {
      fmt::print(out, "{}\n", summary_line(plan, summary));
    }
  }

  const CopyArguments& arguments_;
  const CopyOptions options_;
  const StopSignals& signals_;
  CopyEnds ends_;
  ExitCode exit_code_ = ExitCode::kOk;
};

}  // namespace

ExitCode copy_disk(const CopyArguments& arguments) {
  const StopSignals signals;
  auto options = to_options(arguments);
  if (!options) {
    fmt::print(stderr, "peerlane: {}\n", options.error().text());
    return ExitCode::kUsage;
  }
  const auto reactor = io::Reactor::create();
  if (!reactor) {
    fmt::print(stderr, "peerlane: {}\n", reactor.error().text());
    return ExitCode::kFailure;
  }
  CopyCommand command(arguments, std::move(*options), signals);
  io::spawn(command.run());
  (*reactor)->run();
  return command.exit_code();
}

}  // namespace peerlane::cli
