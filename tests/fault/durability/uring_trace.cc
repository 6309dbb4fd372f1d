// Preloaded into a server under test (LD_PRELOAD): notes what it asks of its disk, and when, as seen at the calls of
// liburing. Operations of io_uring are no system calls of their own, so that strace(1) does not show them.
//
// URING_TRACE_LOG names the file of the notes; URING_TRACE_DISK the disk. Everything is appended with write(2), so the
// notes survive SIGKILL. Completions are noted before the program can have seen them, since it looks at the ring only
// after these calls have returned, and before the submissions that they may have led to: whatever stands before a
// submission in the notes has happened before it.
//
// A note is a letter and three 64-bit numbers in host order, then data:
//   W id offset length|dsync<<32   a write was submitted; its data follow
//   F id 0 0                       an fsync was submitted
//   C id result 0                  that operation has completed
//   S 0 0 0                        something is sent to an initiator
//   Y 0 0 length                   fsync(2) of the file whose path follows has returned
//   R 0 0 length                   a file was renamed; the new path follows

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

class Trace {
 public:
  static Trace& instance() {
    static auto* const trace = new Trace();  // lives as long as the process: threads may outlast main()
    return *trace;
  }

  void before(io_uring* ring) {
    const std::lock_guard lock(mutex_);
    completions(ring);
    for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; ++at) {
      submission(ring->sq.sqes[at & *ring->sq.kring_mask]);
    }
  }

  void after(io_uring* ring) {
    const std::lock_guard lock(mutex_);
    completions(ring);
  }

  void file(char what, const std::string& path) {
    const std::lock_guard lock(mutex_);
    note(what, 0, 0, path.size(), path.data(), path.size());
  }

 private:
  Trace() {
    log_ = open(std::getenv("URING_TRACE_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_ < 0 || stat(std::getenv("URING_TRACE_DISK"), &disk_) != 0) {
      std::perror("uring_trace");
      std::abort();
    }
  }

  bool is_disk(int fd) const {
    struct stat status{};
    return fstat(fd, &status) == 0 && status.st_ino == disk_.st_ino && status.st_dev == disk_.st_dev;
  }

  void submission(const io_uring_sqe& sqe) {
    switch (sqe.opcode) {
      case IORING_OP_WRITE:
      case IORING_OP_WRITE_FIXED:
        if (is_disk(sqe.fd)) {
          const std::uint64_t dsync = (sqe.rw_flags & (RWF_DSYNC | RWF_SYNC)) != 0 ? 1 : 0;
          note('W', start(sqe), sqe.off, sqe.len | dsync << 32, reinterpret_cast<const void*>(sqe.addr), sqe.len);
        }
        break;
      case IORING_OP_FSYNC:
        if (is_disk(sqe.fd)) note('F', start(sqe), 0, 0);
        break;
      case IORING_OP_SEND:
      case IORING_OP_SENDMSG:
      case IORING_OP_SEND_ZC:
        note('S', 0, 0, 0);
        break;
      default:
        break;
    }
  }

  std::uint64_t start(const io_uring_sqe& sqe) { return under_way_[sqe.user_data] = ++last_id_; }

  void completions(io_uring* ring) {
    unsigned& seen = seen_[ring];
    const unsigned tail = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
    for (; seen != tail; ++seen) {
      const io_uring_cqe& cqe = ring->cq.cqes[seen & *ring->cq.kring_mask];
      const auto at = under_way_.find(cqe.user_data);
      if (at == under_way_.end()) continue;
      note('C', at->second, static_cast<std::uint64_t>(static_cast<std::int64_t>(cqe.res)), 0);
      under_way_.erase(at);
    }
  }

  void note(char what, std::uint64_t one, std::uint64_t two, std::uint64_t three, const void* data = nullptr,
            std::size_t size = 0) {
    std::array<char, 1 + 3 * sizeof(std::uint64_t)> head{what};
    const std::uint64_t numbers[] = {one, two, three};
    std::memcpy(head.data() + 1, numbers, sizeof numbers);
    const iovec parts[] = {{head.data(), head.size()}, {const_cast<void*>(data), size}};
    if (writev(log_, parts, 2) != static_cast<ssize_t>(head.size() + size)) std::abort();
  }

  std::mutex mutex_;
  int log_ = -1;
  struct stat disk_{};
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> under_way_;  // id by user_data
  std::unordered_map<const io_uring*, unsigned> seen_;          // completions of a ring
};

std::string path_of(int fd) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), path.data(), path.size());
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace

extern "C" {

int io_uring_submit(io_uring* ring) {
  static auto* const real = next<int(io_uring*)>("io_uring_submit");
  Trace::instance().before(ring);
  const int result = real(ring);
  Trace::instance().after(ring);
  return result;
}

int io_uring_submit_and_wait(io_uring* ring, unsigned wait_nr) {
  static auto* const real = next<int(io_uring*, unsigned)>("io_uring_submit_and_wait");
  Trace::instance().before(ring);
  const int result = real(ring, wait_nr);
  Trace::instance().after(ring);
  return result;
}

int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr, __kernel_timespec* ts,
                                     sigset_t* sigmask) {
  static auto* const real =
      next<int(io_uring*, io_uring_cqe**, unsigned, __kernel_timespec*, sigset_t*)>("io_uring_submit_and_wait_timeout");
  Trace::instance().before(ring);
  const int result = real(ring, cqe_ptr, wait_nr, ts, sigmask);
  Trace::instance().after(ring);
  return result;
}

int io_uring_submit_and_get_events(io_uring* ring) {
  static auto* const real = next<int(io_uring*)>("io_uring_submit_and_get_events");
  Trace::instance().before(ring);
  const int result = real(ring);
  Trace::instance().after(ring);
  return result;
}

int io_uring_get_events(io_uring* ring) {
  static auto* const real = next<int(io_uring*)>("io_uring_get_events");
  const int result = real(ring);
  Trace::instance().after(ring);
  return result;
}

int fsync(int fd) {
  static auto* const real = next<int(int)>("fsync");
  const int result = real(fd);
  if (result == 0) Trace::instance().file('Y', path_of(fd));
  return result;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("rename");
  const int result = real(from, to);
  if (result == 0) Trace::instance().file('R', to);
  return result;
}
}
