#include "io/listener.h"

#include <chrono>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/patience.h"

namespace peerlane::io {
namespace {

constexpr int kBacklog = 1024;
constexpr auto kRetryDelay = std::chrono::milliseconds(100);

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// A numeric address as the system wants it; length 0 if it is none.
Address parse_address(const std::string& host, std::uint16_t port) {
  Address address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.length = sizeof v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.length = sizeof v6;
  }
  return address;
}

std::string format_address(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  return "unknown";
}

/// A listening socket, or -1 with errno.
int open_listening(Address& address) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (address.storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (bind(fd, address.get(), address.length) == 0 && listen(fd, kBacklog) == 0) return fd;
  const int code = errno;
  close(fd);
  errno = code;
  return -1;
}

}  // namespace

Result<int> listen_on(const std::string& host, std::uint16_t port) {
  Address address = parse_address(host, port);
  if (address.length == 0) return fail(EINVAL, fmt::format("\"{}\" is not a numeric IPv4 or IPv6 address", host));
  int fd = -1;
  int code = 0;
  outlast_predecessor(fmt::format("{} port {}", host, port), limits::kServerPredecessorWait, [&] {
    fd = open_listening(address);
    code = fd < 0 ? errno : 0;
    return code != EADDRINUSE;
  });
  if (fd < 0) {
    const char* const remedy = code == EADDRINUSE      ? "; another program listens there, choose another port"
                               : code == EADDRNOTAVAIL ? "; this host has no such address"
                               : code == EACCES        ? "; ports below 1024 need privileges"
                                                       : "";
    return fail(code, fmt::format("cannot listen on {} port {}: {}{}", host, port, std::strerror(code), remedy));
  }
  return fd;
}

void close_socket(int fd) {
  ::close(fd);
}

std::string local_address(int fd) {
  Address address;
  address.length = sizeof address.storage;
  return getsockname(fd, address.get(), &address.length) == 0 ? format_address(address.storage) : "unknown";
}

std::string peer_address(int fd) {
  Address address;
  address.length = sizeof address.storage;
  return getpeername(fd, address.get(), &address.length) == 0 ? format_address(address.storage) : "unknown";
}

Listener::Listener(Reactor& reactor, int fd) : reactor_(reactor), fd_(fd) {
  accepting_.listener = this;
}

Listener::~Listener() {
  for (const int fd : accepted_) ::close(fd);
  if (fd_ >= 0) ::close(fd_);
}

void Listener::arm() {
  armed_ = true;
  reactor_.submit(accepting_, fd_, [this](io_uring_sqe* sqe) {
    if (reactor_.features().multishot) {
      io_uring_prep_multishot_accept(sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
    } else {
      io_uring_prep_accept(sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
    }
  });
}

void Listener::Accepting::complete(int result, unsigned flags) {
  if (result >= 0) {
    listener->accepted_.push_back(result);
  } else {
    listener->last_error_ = -result;
  }
  if ((flags & IORING_CQE_F_MORE) == 0) listener->armed_ = false;
  listener->changed_.wake_all();
}

Task<Result<int>> Listener::accept() {
  for (;;) {
    if (!accepted_.empty()) {
      const int fd = accepted_.front();
      accepted_.erase(accepted_.begin());
      co_return fd;
    }
    if (closing_) co_return fail(ECANCELED);
    const int error = std::exchange(last_error_, 0);
    if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS)
      co_await sleep(reactor_, kRetryDelay);
    if (closing_) continue;
    if (!armed_) arm();
    co_await changed_;
  }
}

Task<void> Listener::close() {
  closing_ = true;
  changed_.wake_all();
  if (armed_) reactor_.cancel(accepting_);
  while (armed_) co_await changed_;
  ::close(std::exchange(fd_, -1));
}

}  // namespace peerlane::io
