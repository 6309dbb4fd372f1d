#include "attach/ublk_control.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/limits.h"

namespace peerlane::attach {
namespace {

constexpr const char* kPath = "/dev/ublk-control";
constexpr const char* kWayWithout =
    "without ublk, nbdkit's peerlane plugin offers a disk to this host: nbdkit peerlane DISK";

Error cannot_open(int code) {
  if (code == ENOENT || code == ENXIO || code == ENODEV) {
    return {ENOTSUP, fmt::format("this kernel has no ublk ({} is missing): load its module with \"modprobe ublk_drv\" "
                                 "(Linux 6.5 or later); {}",
                                 kPath, kWayWithout)};
  }
  if (code == EACCES || code == EPERM) {
    return {code, fmt::format("{} may not be opened: attaching disks needs to be root; {}", kPath, kWayWithout)};
  }
  return Error::from_errno(code, fmt::format("cannot open {}", kPath));
}

ublk::ControlCommand command_for(std::uint32_t device) {
  ublk::ControlCommand command{};
  command.device = device;
  command.queue = ublk::kNoQueue;
  return command;
}

}  // namespace

UblkControl::~UblkControl() {
  if (ring_open_) io_uring_queue_exit(&ring_);
  if (fd_ >= 0) close(fd_);
}

Result<void> UblkControl::open() {
  fd_ = ::open(kPath, O_RDWR | O_CLOEXEC);
  if (fd_ < 0) return std::unexpected(cannot_open(errno));
  const int opened = io_uring_queue_init(4, &ring_, IORING_SETUP_SQE128);
  if (opened < 0) return std::unexpected(Error::from_errno(-opened, "cannot create an io_uring for commands"));
  ring_open_ = true;

  auto command = command_for(ublk::kAnyDevice);
  command.address = reinterpret_cast<std::uintptr_t>(&buffer_.features);
  command.length = sizeof buffer_.features;
  const auto asked = execute(ublk::kGetFeatures, command, "asking what it can do");
  if (!asked && (asked.error().code == EPERM || asked.error().code == EACCES)) {
    return std::unexpected(cannot_open(asked.error().code));
  }
  if (!asked) {
    return fail(ENOTSUP, fmt::format("this kernel's ublk is too old: attaching disks needs Linux 6.5 or later ({}); {}",
                                     asked.error().text(), kWayWithout));
  }
  features_ = buffer_.features;
  return {};
}

Result<void> UblkControl::execute(std::uint32_t operation, const ublk::ControlCommand& command, const char* doing) {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) return fail(EBUSY, "commands to ublk that have not been answered fill the queue");
  // An entry of this ring is twice as long as its type; what follows it is the command's.
  std::memset(static_cast<void*>(sqe), 0, 2 * sizeof *sqe);
  io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd_, nullptr, 0, 0);
  sqe->cmd_op = operation;
  std::memcpy(static_cast<void*>(sqe->cmd), &command, sizeof command);
  const auto what = [&] {
    return command.device == ublk::kAnyDevice ? fmt::format("ublk: {}", doing)
                                              : fmt::format("{}: {}", disk_path(command.device), doing);
  };
  const int submitted = io_uring_submit(&ring_);
  if (submitted < 0) return std::unexpected(Error::from_errno(-submitted, what()));
  __kernel_timespec timeout{};
  timeout.tv_sec = std::chrono::seconds(limits::kUblkTimeout).count();
  io_uring_cqe* cqe = nullptr;
  int waited = -EINTR;
  while (waited == -EINTR) waited = io_uring_wait_cqe_timeout(&ring_, &cqe, &timeout);
  if (waited < 0) return std::unexpected(Error::from_errno(waited == -ETIME ? ETIMEDOUT : -waited, what()));
  const int result = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  if (result < 0) return std::unexpected(Error::from_errno(-result, what()));
  return {};
}

Result<void> UblkControl::add(ublk::DeviceInfo& info) {
  auto command = command_for(info.device);
  buffer_.info = info;
  command.address = reinterpret_cast<std::uintptr_t>(&buffer_.info);
  command.length = sizeof buffer_.info;
  auto done = execute(ublk::kAddDevice, command, "making a device");
  if (done) info = buffer_.info;
  return done;
}

Result<void> UblkControl::set_parameters(std::uint32_t device, ublk::Parameters parameters) {
  auto command = command_for(device);
  buffer_.parameters = parameters;
  command.address = reinterpret_cast<std::uintptr_t>(&buffer_.parameters);
  command.length = sizeof buffer_.parameters;
  return execute(ublk::kSetParameters, command, "describing the disk");
}

Result<void> UblkControl::start(std::uint32_t device) {
  auto command = command_for(device);
  command.data = static_cast<std::uint64_t>(getpid());
  return execute(ublk::kStartDevice, command, "starting it");
}

Result<void> UblkControl::stop(std::uint32_t device) {
  return execute(ublk::kStopDevice, command_for(device), "stopping it");
}

Result<void> UblkControl::remove(std::uint32_t device, bool wait) {
  if (!wait) {
    constexpr int kNotSupported = 524;  // ENOTSUPP, which the kernel should keep to itself
    auto done = execute(ublk::kDeleteDeviceAsync, command_for(device), "removing it");
    const bool known = done || (done.error().code != EOPNOTSUPP && done.error().code != kNotSupported);
    if (known) return done;
  }
  return execute(ublk::kDeleteDevice, command_for(device), "removing it");
}

Result<ublk::DeviceInfo> UblkControl::info(std::uint32_t device) {
  auto command = command_for(device);
  command.address = reinterpret_cast<std::uintptr_t>(&buffer_.info);
  command.length = sizeof buffer_.info;
  if (auto done = execute(ublk::kGetDeviceInfo, command, "asking what it is"); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return buffer_.info;
}

Result<void> UblkControl::start_recovery(std::uint32_t device) {
  return execute(ublk::kStartRecovery, command_for(device), "taking it over");
}

Result<void> UblkControl::end_recovery(std::uint32_t device) {
  auto command = command_for(device);
  command.data = static_cast<std::uint64_t>(getpid());
  return execute(ublk::kEndRecovery, command, "going on with it");
}

Result<void> UblkControl::update_size(std::uint32_t device, std::uint64_t size) {
  auto command = command_for(device);
  command.data = size >> ublk::kSectorShift;
  return execute(ublk::kUpdateSize, command, "changing its size");
}

std::vector<std::uint32_t> UblkControl::devices() {
  std::vector<std::uint32_t> numbers;
  std::error_code ignored;  // without the directory there are none
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/ublk-char", ignored)) {
    const std::string name = entry.path().filename();
    constexpr std::string_view kPrefix = "ublkc";
    std::uint32_t number = 0;
    if (!name.starts_with(kPrefix)) continue;
    const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string disk_path(std::uint32_t device) {
  return fmt::format("/dev/ublkb{}", device);
}
std::string server_path(std::uint32_t device) {
  return fmt::format("/dev/ublkc{}", device);
}

}  // namespace peerlane::attach
