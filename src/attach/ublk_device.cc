#include "attach/ublk_device.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace peerlane::attach {
namespace {

using Clock = std::chrono::steady_clock;

/// Calls `attempt` until it gives something or the time for predecessors is over.
template <typename Attempt>
auto patiently(Attempt attempt) {
  const auto end = Clock::now() + limits::kUblkPredecessorWait;
  auto result = attempt();
  while (!result && Clock::now() < end) {
    std::this_thread::sleep_for(limits::kUblkLook);
    result = attempt();
  }
  return result;
}

/// The device that shows the disk with this mark, if there is one that has been started.
std::optional<ublk::DeviceInfo> find(UblkControl& control, std::uint64_t mark) {
  for (const ublk::DeviceInfo& info : attached_devices(control)) {
    if (info.server_flags == mark && info.state != ublk::State::kDead) return info;
  }
  return std::nullopt;
}

/// The server's end of a device. A new one may not have its name yet, or the rights that udev gives it.
Result<int> open_server_end(std::uint32_t device) {
  const std::string path = server_path(device);
  return patiently([&]() -> Result<int> {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return std::unexpected(Error::from_errno(errno, fmt::format("cannot open {}", path)));
    return fd;
  });
}

}  // namespace

Result<std::unique_ptr<UblkDevice>> UblkDevice::attach(UblkControl& control, ReactorThreads& threads,
                                                       block::Device& device, const UblkOptions& options) {
  const int event = eventfd(0, EFD_CLOEXEC);
  if (event < 0) return std::unexpected(Error::from_errno(errno, "cannot create an eventfd"));
  std::unique_ptr<UblkDevice> attached(new UblkDevice(control, threads, device, event));
  const std::uint64_t mark = mark_of(device.identity().stable);
  if (names_a_disk(mark)) {
    const auto found = attached->take_over(mark);
    if (!found) return std::unexpected(found.error());
    attached->taken_over_ = *found;
  }
  if (!attached->taken_over_) {
    if (auto made = attached->make(options, mark); !made) return std::unexpected(std::move(made.error()));
  }
  auto serving = attached->serve();
  if (serving) return attached;

  if (attached->taken_over_) {
    // It stays as it was found: the next server may have more luck. Its queues are ours until this process ends.
    static_cast<void>(attached.release());
  } else {
    const auto stopped = control.stop(attached->number());
    const bool over = attached->queues_.empty() || (stopped && attached->wait_until_ended());
    if (over) static_cast<void>(attached->remove());
    if (!over) static_cast<void>(attached.release());
  }
  return std::unexpected(std::move(serving.error()));
}

Result<void> UblkDevice::make(const UblkOptions& options, std::uint64_t mark) {
  info_.queues = static_cast<std::uint16_t>(options.queues);
  info_.depth = static_cast<std::uint16_t>(options.depth);
  info_.io_bytes = limits::kAttachIoBytes;
  info_.device = ublk::kAnyDevice;
  info_.server_flags = mark;
  info_.flags = control_.features() & ublk::kSizeUpdates;
  if (names_a_disk(mark)) info_.flags |= ublk::kRecovery | ublk::kRecoveryReissue;
  if (auto added = control_.add(info_); !added) return added;
  told_size_ = device_.geometry().size;
  auto described =
      control_.set_parameters(number(), parameters_of(device_.geometry(), device_.capabilities(), info_.io_bytes));
  if (!described) static_cast<void>(control_.remove(number(), true));
  return described;
}

Result<bool> UblkDevice::take_over(std::uint64_t mark) {
  // A server that was killed a moment ago may not have let go of everything yet.
  std::optional<ublk::DeviceInfo> found;
  const auto taken = patiently([&]() -> Result<void> {
    found = find(control_, mark);
    if (!found) return {};
    if (found->state == ublk::State::kLive) {
      return fail(EBUSY, fmt::format("this disk is attached already: {}, served by process {}; see: peerlane attach "
                                     "--list",
                                     disk_path(found->device), found->server));
    }
    return control_.start_recovery(found->device);
  });
  if (!taken) return std::unexpected(taken.error());
  if (!found) return false;
  info_ = *found;
  told_size_ = size_of(number());
  return true;
}

Result<void> UblkDevice::serve() {
  const auto server_end = open_server_end(number());
  if (!server_end) return std::unexpected(server_end.error());
  server_end_ = std::make_unique<block::Descriptor>(*server_end);

  std::vector<std::unique_ptr<UblkQueue>> queues;
  for (std::uint16_t i = 0; i < info_.queues; ++i) {
    auto queue = UblkQueue::create(info_, i, server_end_->get(), device_, [this] { queue_ended(); });
    if (!queue) return std::unexpected(std::move(queue.error()));
    queues.push_back(std::move(*queue));
  }
  queues_ = std::move(queues);
  queues_alive_ = info_.queues;
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    UblkQueue& queue = *queues_[i];
    threads_.reactor(i % threads_.count()).post([&queue] { queue.serve(); });
  }
  return taken_over_ ? control_.end_recovery(number()) : control_.start(number());
}

void UblkDevice::queue_ended() {
  if (--queues_alive_ != 0) return;
  const std::uint64_t one = 1;
  // Can only fail when the counter is full.
  [[maybe_unused]] const ssize_t written = write(ended_event_.get(), &one, sizeof one);
}

bool UblkDevice::wait_until_ended() const {
  pollfd event{ended_event_.get(), POLLIN, 0};
  constexpr auto kMost = std::chrono::milliseconds(limits::kUblkTimeout);
  return poll(&event, 1, static_cast<int>(kMost.count())) == 1;
}

Result<bool> UblkDevice::follow_size() {
  const std::uint64_t size = device_.geometry().size;
  if (size == told_size_) return false;
  told_size_ = size;
  if ((info_.flags & ublk::kSizeUpdates) == 0) {
    return fail(ENOTSUP, fmt::format("the disk behind {} has {} bytes now; this kernel cannot change its size while it "
                                     "is attached (Linux 6.16 can): detach it and attach it again",
                                     path(), size));
  }
  if (auto updated = control_.update_size(number(), size); !updated) return std::unexpected(std::move(updated.error()));
  return true;
}

Result<void> UblkDevice::stop(bool force) {
  return take_away(control_, number(), force);
}

Result<void> UblkDevice::remove() {
  queues_.clear();
  server_end_.reset();
  auto removed = control_.remove(number(), false);
  // Who detached it may have been faster.
  if (!removed && removed.error().code == ENODEV) return {};
  return removed;
}

Result<void> take_away(UblkControl& control, std::uint32_t device, bool force) {
  const std::string path = disk_path(device);
  // Whoever mounts a disk claims it for itself, and so do we while we take it away: nobody can mount it meanwhile.
  const block::Descriptor claim(force ? -1 : open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
  if (!force && claim.get() < 0 && errno == EBUSY) {
    return fail(EBUSY,
                fmt::format("{} is in use: unmount it, or close what has it open (lsblk {} shows it)", path, path));
  }
  return control.stop(device);
}

Result<void> detach(UblkControl& control, std::uint32_t device, bool force) {
  const auto info = control.info(device);
  if (!info && info.error().code == ENODEV) {
    return fail(ENODEV, fmt::format("there is no {}; see: peerlane attach --list", disk_path(device)));
  }
  if (!info) return std::unexpected(info.error());
  if (!is_marked(info->server_flags)) {
    return fail(EPERM, fmt::format("{} was made by another program, which is the one to remove it", disk_path(device)));
  }
  if (auto taken = take_away(control, device, force); !taken) return taken;
  // A mounted disk that is taken away by force stays a while: as long as it is mounted.
  auto removed = control.remove(device, !force);
  // Its server may have removed it by itself.
  if (!removed && removed.error().code == ENODEV) return {};
  return removed;
}

Result<std::uint32_t> parse_disk_path(const std::string& text) {
  std::string_view rest = text;
  if (rest.starts_with("/dev/")) rest.remove_prefix(5);
  if (rest.starts_with("ublkb")) rest.remove_prefix(5);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (rest.empty() || error != std::errc() || end != rest.data() + rest.size() || number == ublk::kAnyDevice) {
    return fail(EINVAL, fmt::format("\"{}\" is no attached disk: give /dev/ublkbN, as \"peerlane attach --list\" shows "
                                    "it",
                                    text));
  }
  return number;
}

std::uint64_t size_of(std::uint32_t device) {
  std::uint64_t sectors = 0;
  std::ifstream(fmt::format("/sys/block/ublkb{}/size", device)) >> sectors;
  return sectors << ublk::kSectorShift;
}

std::vector<ublk::DeviceInfo> attached_devices(UblkControl& control) {
  std::vector<ublk::DeviceInfo> devices;
  for (const std::uint32_t number : UblkControl::devices()) {
    const auto info = control.info(number);
    if (info && is_marked(info->server_flags)) devices.push_back(*info);
  }
  return devices;
}

}  // namespace peerlane::attach
