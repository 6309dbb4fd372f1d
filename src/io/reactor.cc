#include "io/reactor.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>
#include <immintrin.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/sanitizers.h"

namespace peerlane::io {
namespace {

thread_local Reactor* current_reactor = nullptr;

constexpr unsigned kFileSlots = limits::kSessions + limits::kLoginsPending + 512;

/// Stands for all rings' memory. liburing maps and unmaps it by system calls that ThreadSanitizer does not see: where
/// one ring gets the addresses of an earlier one, of another thread, it would take both threads' use for a race.
char memory_of_rings;

/// Opens a ring, the best sort of it that this kernel has; the result is as io_uring_queue_init's.
int open_ring(io_uring& ring, bool& defer_taskrun) {
  io_uring_params params{};
  if (defer_taskrun) {
    params.flags =
        IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    params.cq_entries = 4 * limits::kRingEntries;
    if (io_uring_queue_init_params(limits::kRingEntries, &ring, &params) == 0) return 0;
    defer_taskrun = false;
  }
  params = {};
  params.flags = IORING_SETUP_CQSIZE;
  params.cq_entries = 4 * limits::kRingEntries;
  return io_uring_queue_init_params(limits::kRingEntries, &ring, &params);
}

Error no_ring(int code) {
  switch (code) {
    case ENOSYS:
      return {code, "this kernel has no io_uring; Peerlane needs Linux 5.19 or later with io_uring enabled"};
    case EPERM:
    case EACCES:
      return {
          code,
          "io_uring is not allowed here: set the sysctl kernel.io_uring_disabled to 0, or allow the io_uring system "
          "calls in the container's seccomp profile"};
    case ENOMEM:
      return {
          code,
          "no memory for an io_uring: raise the limit of locked memory (ulimit -l, or LimitMEMLOCK= of the service)"};
    default:
      return Error::from_errno(code, "cannot create an io_uring");
  }
}

}  // namespace

std::string Features::text() const {
  std::string list;
  const auto add = [&list](bool has, const char* name) {
    if (has) list += (list.empty() ? "" : " ") + std::string(name);
  };
  add(defer_taskrun, "defer-taskrun");
  add(registered_files, "registered-files");
  add(registered_buffers, "registered-buffers");
  add(receive_ring, "receive-ring");
  add(multishot, "multishot");
  return list.empty() ? "none" : list;
}

Result<std::unique_ptr<Reactor>> Reactor::create(const Features& wanted) {
  std::unique_ptr<Reactor> reactor(new Reactor(wanted));
  auto opened = reactor->open();
  if (!opened) return std::unexpected(opened.error());
  return reactor;
}

Reactor::Reactor(const Features& wanted)
    : features_(wanted), now_(Clock::now()), buffers_(*this, limits::kPoolBytes, limits::kPoolRegisteredBytes) {
  wakeup_.reactor = this;
}

Result<void> Reactor::open() {
  assert(current_reactor == nullptr);
  const int opened = open_ring(ring_, features_.defer_taskrun);
  if (opened != 0) return std::unexpected(no_ring(-opened));
  now_after(&memory_of_rings);
  ring_open_ = true;
  current_reactor = this;
  io_uring_register_ring_fd(&ring_);  // saves a file look-up per system call; no harm where it fails

  if (features_.registered_files) features_.registered_files = io_uring_register_files_sparse(&ring_, kFileSlots) == 0;
  if (features_.registered_files) {
    for (unsigned slot = kFileSlots; slot-- > 0;) free_slots_.push_back(static_cast<int>(slot));
  }
  if (features_.registered_buffers) {
    const iovec region{buffers_.region().data(), buffers_.region().size()};
    features_.registered_buffers = io_uring_register_buffers(&ring_, &region, 1) == 0;
  }
  if (features_.receive_ring) receive_buffers_ = ReceiveBuffers::create(ring_);
  features_.receive_ring = receive_buffers_ != nullptr;
  if (!features_.receive_ring) features_.multishot = false;

  wakeup_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wakeup_fd_ < 0) return std::unexpected(Error::from_errno(errno, "cannot create an eventfd"));
  arm_wakeup();
  return {};
}

Reactor::~Reactor() {
  receive_buffers_.reset();
  now_before(&memory_of_rings);
  if (ring_open_) io_uring_queue_exit(&ring_);
  const std::scoped_lock lock(posted_mutex_);
  if (wakeup_fd_ >= 0) close(wakeup_fd_);
  if (current_reactor == this) current_reactor = nullptr;
}

Reactor& Reactor::current() {
  assert(current_reactor != nullptr);
  return *current_reactor;
}

bool Reactor::here() const {
  return current_reactor == this;
}

void Reactor::run() {
  assert(here());
  stopping_ = false;
  while (!stopping_) {
    fire_timers();
    run_posted();
    deferred_.run();
    if (stopping_) break;
    if (poll_ == Duration::zero() || !poll_for_completions()) wait();
    now_ = Clock::now();
    dispatch_completions();
  }
}

void Reactor::stop() {
  post([this] { stopping_ = true; });
}

/// Submits what is queued and looks for completions until there is one (true), or the time for it is over.
bool Reactor::poll_for_completions() {
  io_uring_submit(&ring_);
  TimePoint end = Clock::now() + poll_;
  if (!timers_.empty()) end = std::min(end, (*timers_.begin())->when());
  do {
    // The flag is set where completions wait for us to ask for them (DEFER_TASKRUN): a system call only then.
    if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0) io_uring_get_events(&ring_);
    if (io_uring_cq_ready(&ring_) != 0) return true;
    _mm_pause();
  } while (Clock::now() < end);
  return false;
}

/// Submits what is queued and waits for a completion or the next timer.
void Reactor::wait() {
  io_uring_cqe* first = nullptr;
  if (timers_.empty()) {
    io_uring_submit_and_wait(&ring_, 1);
    return;
  }
  const auto left = std::max(Duration::zero(), (*timers_.begin())->when() - now_);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  __kernel_timespec timeout{};
  timeout.tv_sec = seconds.count();
  timeout.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count();
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

void Reactor::dispatch_completions() {
  io_uring_cqe* cqe = nullptr;
  // Bounded by what is there now, so that timers and posted work get their turn.
  for (unsigned left = io_uring_cq_ready(&ring_); left > 0 && io_uring_peek_cqe(&ring_, &cqe) == 0; --left) {
    auto* const operation = static_cast<Operation*>(io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    const unsigned flags = cqe->flags;
    io_uring_cqe_seen(&ring_, cqe);
    if (operation != nullptr) operation->complete(result, flags);
  }
}

io_uring_sqe* Reactor::next_sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

// --- Work from other threads ---

void Reactor::post(std::function<void()> work) {
  // The lock covers the wake-up as well: the work may end the reactor, which must not close the eventfd under our
  // hands.
  const std::scoped_lock lock(posted_mutex_);
  const bool first = posted_.empty();
  posted_.push_back(std::move(work));
  if (!first) return;
  const std::uint64_t one = 1;
  // Can only fail when the counter is full, and then the reactor wakes up anyway.
  [[maybe_unused]] const ssize_t written = ::write(wakeup_fd_, &one, sizeof one);
}

void Reactor::arm_wakeup() {
  submit(wakeup_, wakeup_fd_,
         [this](io_uring_sqe* sqe) { io_uring_prep_read(sqe, wakeup_fd_, &wakeup_.count, sizeof wakeup_.count, 0); });
}

void Reactor::Wakeup::complete(int result, unsigned flags) {
  static_cast<void>(result);
  static_cast<void>(flags);
  reactor->arm_wakeup();
}

void Reactor::run_posted() {
  {
    const std::scoped_lock lock(posted_mutex_);
    running_.swap(posted_);
  }
  for (auto& work : running_) work();
  running_.clear();
}

// --- Timers ---

void Reactor::arm(Timer& timer) {
  timers_.insert(&timer);
}
void Reactor::disarm(Timer& timer) {
  timers_.erase(&timer);
}

void Reactor::fire_timers() {
  while (!timers_.empty() && (*timers_.begin())->when() <= now_) {
    Timer& timer = **timers_.begin();
    timers_.erase(timers_.begin());
    timer.fire();
  }
}

// --- Files ---

void Reactor::adopt_file(int fd) {
  if (!features_.registered_files || free_slots_.empty()) return;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= file_slots_.size()) file_slots_.resize(index + 64, -1);
  const int slot = free_slots_.back();
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(slot), &fd, 1) != 1) return;
  free_slots_.pop_back();
  file_slots_[index] = slot;
}

void Reactor::forget_file(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= file_slots_.size() || file_slots_[index] < 0) return;
  const int none = -1;
  io_uring_register_files_update(&ring_, static_cast<unsigned>(file_slots_[index]), &none, 1);
  free_slots_.push_back(std::exchange(file_slots_[index], -1));
}

void Reactor::use_registered_file(io_uring_sqe* sqe, int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= file_slots_.size() || file_slots_[index] < 0) return;
  sqe->fd = file_slots_[index];
  sqe->flags = static_cast<std::uint8_t>(sqe->flags | IOSQE_FIXED_FILE);
}

bool Reactor::in_registered_buffers(ByteView bytes) const {
  const ByteSpan region = buffers_.region();
  return features_.registered_buffers && bytes.data() >= region.data() &&
         bytes.data() + bytes.size() <= region.data() + region.size();
}

// --- Operations ---

Reactor::Call Reactor::read(int fd, ByteSpan into, std::uint64_t offset) {
  io_uring_sqe* const sqe = next_sqe();
  const auto length = static_cast<unsigned>(into.size());
  if (in_registered_buffers(into)) {
    io_uring_prep_read_fixed(sqe, fd, into.data(), length, offset, 0);
  } else {
    io_uring_prep_read(sqe, fd, into.data(), length, offset);
  }
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::write(int fd, ByteView from, std::uint64_t offset, int rw_flags) {
  io_uring_sqe* const sqe = next_sqe();
  const auto length = static_cast<unsigned>(from.size());
  if (in_registered_buffers(from)) {
    io_uring_prep_write_fixed(sqe, fd, from.data(), length, offset, 0);
  } else {
    io_uring_prep_write(sqe, fd, from.data(), length, offset);
  }
  sqe->rw_flags = rw_flags;
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::fdatasync(int fd) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t length) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_fallocate(sqe, fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::receive(int fd, ByteSpan into, int flags) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_recv(sqe, fd, into.data(), into.size(), flags);
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::send(int fd, const msghdr& message, int flags) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_sendmsg(sqe, fd, &message, static_cast<unsigned>(flags));
  use_registered_file(sqe, fd);
  return Call(sqe);
}

Reactor::Call Reactor::poll(int fd, unsigned events) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_poll_add(sqe, fd, events);
  use_registered_file(sqe, fd);
  return Call(sqe);
}

void Reactor::cancel(Operation& operation) {
  io_uring_sqe* const sqe = next_sqe();
  io_uring_prep_cancel(sqe, &operation, 0);
  io_uring_sqe_set_data(sqe, nullptr);
}

}  // namespace peerlane::io
