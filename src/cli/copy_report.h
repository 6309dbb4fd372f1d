// What `peerlane copy` tells while it runs and when it is done.
#pragma once

#include <optional>
#include <string>

#include "copy/job.h"
#include "copy/plan.h"
#include "copy/progress.h"
#include "io/task.h"

namespace peerlane::cli {

enum class ProgressMode : unsigned char { kNone, kBar, kLines, kJson };

/// What --progress means here; "auto" depends on whether standard error is a terminal.
ProgressMode progress_mode(const std::string& name, bool quiet, bool terminal);

/// Shows a job's progress on standard error until stop().
class ProgressDisplay {
 public:
  ProgressDisplay(const copy::Job& job, ProgressMode mode) : job_(job), mode_(mode) {}
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// Runs until stop(); spawned on the job's reactor.
  io::Task<void> run();
  /// Takes the bar away and waits for the end of run().
  io::Task<void> stop();

 private:
  void show();

  const copy::Job& job_;
  const ProgressMode mode_;
  copy::Speedometer speed_;
  std::size_t shown_ = 0;  // columns that the bar has
  bool stopping_ = false;
  io::Event wake_;
  io::Gate running_;
};

/// One line for people: "42% of 10 GiB, 812 MB/s, 7 s left", with a bar of `bar_columns` before it if that is not 0.
std::string progress_line(const copy::Progress& progress, double rate, std::optional<std::chrono::seconds> left,
                          std::size_t bar_columns);
std::string progress_json(const copy::Progress& progress, double rate, std::optional<std::chrono::seconds> left);

/// What is going to be done, in a line.
std::string start_line(const copy::Plan& plan);

/// The end, for people and for programs. `error` is null if all went well.
std::string summary_line(const copy::Plan& plan, const copy::Summary& summary);
std::string summary_json(const copy::Plan& plan, const copy::Summary& summary, const Error* error);

/// Walks the whole plan and describes it; one JSON object, or text.
io::Task<Result<std::string>> explain(const copy::Plan& plan, bool json);

}  // namespace peerlane::cli
