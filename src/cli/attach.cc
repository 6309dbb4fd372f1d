#include "cli/attach.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/prctl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/ublk_device.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/units.h"
#include "cli/attach_disk.h"
#include "cli/service_manager.h"
#include "cli/stop_signals.h"

namespace peerlane::cli {
namespace {

using attach::UblkControl;
using attach::UblkDevice;
using nlohmann::ordered_json;

ExitCode give_up(const Error& error) {
  fmt::print(stderr, "peerlane: {}\n", error.text());
  return ExitCode::kFailure;
}

log::Level level_of(const std::string& name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "warning") return log::Level::kWarning;
  return name == "error" ? log::Level::kError : log::Level::kInfo;
}

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// --- What is attached, for people: the kernel does not keep the disk's name ---

std::string note_path(std::uint32_t device) {
  return fmt::format("/run/peerlane/ublkb{}", device);
}

/// Notes which disk a device shows, for as long as it does. Whether that succeeds matters to `--list` only.
class Note {
 public:
  Note(std::uint32_t device, const std::string& disk) : path_(note_path(device)) {
    std::error_code ignored;
    std::filesystem::create_directory("/run/peerlane", ignored);
    std::ofstream(path_) << disk << '\n';
  }
  ~Note() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;

 private:
  const std::string path_;
};

const char* name_of(attach::ublk::State state) {
  switch (state) {
    case attach::ublk::State::kLive:
      return "live";
    case attach::ublk::State::kQuiesced:
      return "waiting";  // for a server
    case attach::ublk::State::kFailing:
      return "failing";
    case attach::ublk::State::kDead:
      break;
  }
  return "dead";
}

ExitCode list(bool json) {
  UblkControl control;
  if (const auto opened = control.open(); !opened) return give_up(opened.error());
  ordered_json all = ordered_json::array();
  for (const auto& info : attach::attached_devices(control)) {
    std::string disk;
    std::ifstream note(note_path(info.device));
    std::getline(note, disk);
    const std::uint64_t size = attach::size_of(info.device);
    if (json) {
      all.push_back({{"device", attach::disk_path(info.device)},
                     {"state", name_of(info.state)},
                     {"size", size},
                     {"queues", info.queues},
                     {"depth", info.depth},
                     {"pid", info.server},
                     {"disk", disk}});
    } else {
      fmt::print("{} {}, {} bytes, {} queues of {}, process {}{}{}\n", attach::disk_path(info.device),
                 name_of(info.state), size, info.queues, info.depth, info.server, disk.empty() ? "" : ": ", disk);
    }
  }
  if (json) fmt::print("{}\n", text_of(all));
  return ExitCode::kOk;
}

// --- Serving ---

/// Told once, with the line for standard output, when the disk can be used.
using Announce = std::function<void(const std::string& line)>;

/// Serves until the disk is taken away: by a signal, unless it is in use, or by `peerlane detach`.
ExitCode serve_until_detached(UblkDevice& device, const DiskOnThreads& disk, const StopSignals& signals) {
  const block::Descriptor signal_end(signals.descriptor());
  constexpr auto kGrowthPoll = std::chrono::milliseconds(limits::kGrowthPoll);
  while (true) {
    pollfd events[] = {{device.ended_descriptor(), POLLIN, 0}, {signal_end.get(), POLLIN, 0}};
    poll(events, 2, static_cast<int>(kGrowthPoll.count()));
    if (events[0].revents != 0) {
      log::info("{} has been detached", device.path());
      return ExitCode::kOk;
    }
    if (events[1].revents != 0) {
      signalfd_siginfo signal{};
      [[maybe_unused]] const ssize_t got = read(signal_end.get(), &signal, sizeof signal);
      const auto stopped = device.stop(false);
      if (stopped) break;
      log::error("asked to stop: {}; it is served until then", stopped.error().text());
    }
    disk.refresh_size();
    const auto followed = device.follow_size();
    if (!followed) log::warning("{}", followed.error().text());
    if (followed && *followed) log::info("{} has {} bytes now", device.path(), disk.device().geometry().size);
  }
  notify_stopping();
  signals.taken();
  if (!device.wait_until_ended()) {
    log::error("{}: its disk did not let go of a request in time: ending without it", device.path());
    // The device still belongs to the threads that wait for that disk.
    _exit(static_cast<int>(ExitCode::kFailure));
  }
  const auto removed = device.remove();
  if (!removed) log::error("{}", removed.error().text());
  return removed ? ExitCode::kOk : ExitCode::kFailure;
}

std::string ready_line(const UblkDevice& device, const block::Device& disk, bool json) {
  if (!json) return device.path();
  return text_of({{"device", device.path()},
                  {"disk", disk.identity().spec},
                  {"size", disk.geometry().size},
                  {"queues", device.info().queues},
                  {"taken_over", device.taken_over()}});
}

ExitCode serve_disk(const AttachArguments& arguments, const Announce& announce) {
  const StopSignals signals;
  // Memory that we ask for must not be made free by writing to our own disk. Not granted without privileges.
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  UblkControl control;
  if (const auto opened = control.open(); !opened) return give_up(opened.error());
  const auto processors = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  attach::UblkOptions options;
  options.queues = std::min(processors, arguments.queues != 0 ? arguments.queues : limits::kAttachQueues);
  options.depth = arguments.depth;
  const auto threads = attach::ReactorThreads::start(options.queues);
  if (!threads) return give_up(threads.error());
  block::OpenOptions open_options;
  open_options.read_only = arguments.read_only;
  open_options.direct = !arguments.no_direct;
  open_options.patience = limits::kServerPredecessorWait;
  const auto disk = DiskOnThreads::open(**threads, arguments.disk, open_options);
  if (!disk) return give_up(disk.error());
  const auto device = UblkDevice::attach(control, **threads, (*disk)->device(), options);
  // What the kernel may still ask for must not be taken down before the process has ended.
  if (!device) _exit(static_cast<int>(give_up(device.error())));

  const std::string spec = (*disk)->device().identity().spec;
  const Note note((*device)->number(), spec);
  announce(ready_line(**device, (*disk)->device(), arguments.json));
  log::info("{} is {}{}, {} queues", (*device)->path(), spec, (*device)->taken_over() ? ", taken over" : "",
            (*device)->info().queues);
  notify_ready();
  return serve_until_detached(**device, **disk, signals);
}

void print_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// --- In the background ---

/// Becomes a process that nobody's terminal matters to: nothing to read, nowhere to write but the log.
void leave_terminal(const std::string& log_file) {
  const block::Descriptor nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  const block::Descriptor log(
      log_file.empty() ? -1 : open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  dup2(nothing.get(), STDIN_FILENO);
  dup2(nothing.get(), STDOUT_FILENO);
  dup2(log.get() >= 0 ? log.get() : nothing.get(), STDERR_FILENO);
}

/// Serves in a child, and returns when the disk can be used or it is clear that it cannot.
ExitCode serve_in_background(const AttachArguments& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return give_up(Error::from_errno(errno, "cannot create a pipe"));
  const pid_t child = fork();
  if (child < 0) return give_up(Error::from_errno(errno, "cannot start a process"));
  if (child == 0) {
    close(ends[0]);
    setsid();
    return serve_disk(arguments, [&](const std::string& line) {
      // Before the parent hears of it and ends: its caller may wait for our standard error to be closed.
      leave_terminal(arguments.log_file);
      std::FILE* const parent = fdopen(ends[1], "w");
      if (parent == nullptr) return;
      fmt::print(parent, "{}\n", line);
      std::fclose(parent);
    });
  }
  close(ends[1]);
  std::FILE* const from_child = fdopen(ends[0], "r");
  std::string line;
  for (int c = std::fgetc(from_child); c != EOF; c = std::fgetc(from_child)) line += static_cast<char>(c);
  std::fclose(from_child);
  if (!line.empty()) {
    fmt::print("{}", line);
    return ExitCode::kOk;
  }
  int status = 0;
  waitpid(child, &status, 0);
  // It has said why.
  return WIFEXITED(status) ? static_cast<ExitCode>(WEXITSTATUS(status)) : ExitCode::kFailure;
}

}  // namespace

ExitCode attach(const AttachArguments& arguments) {
  log::init(level_of(arguments.log_level), false);
  if (arguments.list) return list(arguments.json);
  return arguments.foreground ? serve_disk(arguments, print_line) : serve_in_background(arguments);
}

ExitCode detach(const DetachArguments& arguments) {
  const auto number = attach::parse_disk_path(arguments.disk);
  if (!number) {
    give_up(number.error());
    return ExitCode::kUsage;
  }
  UblkControl control;
  if (const auto opened = control.open(); !opened) return give_up(opened.error());
  if (const auto detached = attach::detach(control, *number, arguments.force); !detached) {
    return give_up(detached.error());
  }
  // A server that was killed has left its note behind.
  std::error_code ignored;
  std::filesystem::remove(note_path(*number), ignored);
  return ExitCode::kOk;
}

}  // namespace peerlane::cli
