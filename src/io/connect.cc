#include "io/connect.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/event.h"

namespace peerlane::io {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

struct Found {
  int code = 0;  // of getaddrinfo
  std::vector<Address> addresses;
};

/// `flags`: AI_NUMERICHOST, or 0 for a lookup that may block.
Found resolve(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  Found found;
  found.code = getaddrinfo(host.c_str(), fmt::to_string(port).c_str(), &hints, &list);
  if (found.code != 0) return found;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address& address = found.addresses.emplace_back();
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
  }
  freeaddrinfo(list);
  return found;
}

std::atomic<unsigned> lookups{0};

/// A lookup that a thread is busy with, shared by it and the one who waits. Whoever comes last finds the other gone.
struct Lookup {
  std::string host;
  std::uint16_t port = 0;
  std::mutex mutex;
  Executor* waiting = nullptr;  // null: nobody waits any more
  Event* done = nullptr;        // the waiter's, as long as it waits
  Found found;
};

void look_up(const std::shared_ptr<Lookup>& lookup) {
  Found found = resolve(lookup->host, lookup->port, 0);
  lookups.fetch_sub(1);
  const std::scoped_lock lock(lookup->mutex);
  lookup->found = std::move(found);
  if (lookup->waiting == nullptr) return;
  lookup->waiting->post([lookup] {
    if (lookup->done != nullptr) lookup->done->set();
  });
}

bool start_thread(const std::shared_ptr<Lookup>& lookup) {
  if (lookups.fetch_add(1) >= limits::kLookups) {
    lookups.fetch_sub(1);
    return false;
  }
  try {
    std::thread(look_up, lookup).detach();
  } catch (const std::system_error&) {
    lookups.fetch_sub(1);
    return false;
  }
  return true;
}

Result<std::vector<Address>> outcome(Found found, const std::string& host) {
  if (found.code == 0 && !found.addresses.empty()) return std::move(found.addresses);
  if (found.code == 0 || found.code == EAI_NONAME || found.code == EAI_NODATA) {
    return fail(ENOENT, fmt::format("no host named \"{}\" is known; check the name, or give an address", host));
  }
  return fail(found.code == EAI_AGAIN ? EAGAIN : EIO,
              fmt::format("the name \"{}\" cannot be looked up: {}", host, gai_strerror(found.code)));
}

Task<Result<std::vector<Address>>> addresses_of(Reactor& reactor, std::string host, std::uint16_t port,
                                                TimePoint deadline, Interrupt* interrupt) {
  Found numeric = resolve(host, port, AI_NUMERICHOST);
  if (numeric.code == 0) co_return outcome(std::move(numeric), host);

  const auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  lookup->port = port;
  Event done;
  lookup->waiting = &reactor;
  lookup->done = &done;
  if (!start_thread(lookup)) co_return fail(EAGAIN, "too many host names are being looked up; try again later");
  {
    Timer timer(reactor, [&done] { done.set(); });
    timer.arm_at(deadline);
    const Interrupt::Scope scope(interrupt, [&done] { done.set(); });
    co_await done;
  }
  Found found;
  {
    const std::scoped_lock lock(lookup->mutex);
    lookup->waiting = nullptr;
    found = std::move(lookup->found);
  }
  lookup->done = nullptr;  // only this reactor looks at it
  if (found.code == 0 && found.addresses.empty() && Clock::now() >= deadline) {
    co_return fail(ETIMEDOUT, fmt::format("looking up the name \"{}\" takes too long", host));
  }
  co_return outcome(std::move(found), host);
}

/// A connect that is with the kernel.
struct Connecting final : Operation {
  Event done;
  int result = 0;
  void complete(int outcome, unsigned) override {
    result = outcome;
    done.set();
  }
};

Task<Result<int>> connect_to(Reactor& reactor, const Address& address, TimePoint deadline, Interrupt* interrupt) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return std::unexpected(Error::from_errno(errno, "cannot create a socket"));
  Connecting connecting;
  bool late = false;
  reactor.submit(connecting, fd, [&](io_uring_sqe* sqe) {
    io_uring_prep_connect(sqe, fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length);
  });
  {
    Timer timer(reactor, [&] {
      late = true;
      reactor.cancel(connecting);
    });
    timer.arm_at(deadline);
    const Interrupt::Scope scope(interrupt, [&] { reactor.cancel(connecting); });
    co_await connecting.done;
  }
  if (connecting.result == 0) co_return fd;
  ::close(fd);
  co_return fail(late ? ETIMEDOUT : -connecting.result);
}

std::string sentence(int code, const std::string& host, std::uint16_t port) {
  const char* const hint = code == ECONNREFUSED ? "; nothing listens there: check that the target runs, and its port"
                           : code == ETIMEDOUT  ? "; no answer: check the address, the route and firewalls"
                                                : "";
  return fmt::format("cannot connect to {} port {}: {}{}", host, port, std::system_category().message(code), hint);
}

}  // namespace

Task<Result<int>> connect(Reactor& reactor, std::string host, std::uint16_t port, Duration limit,
                          Interrupt* interrupt) {
  const TimePoint deadline = Clock::now() + limit;
  auto resolving = addresses_of(reactor, host, port, deadline, interrupt);
  auto addresses = co_await std::move(resolving);
  const auto interrupted = [interrupt] { return interrupt != nullptr && interrupt->raised(); };
  if (interrupted()) co_return fail(ECANCELED);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  int code = ENOENT;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    const TimePoint now = Clock::now();
    if (now >= deadline) {
      code = ETIMEDOUT;
      break;
    }
    const TimePoint until = now + (deadline - now) / static_cast<Duration::rep>(addresses->size() - i);
    auto connected = co_await connect_to(reactor, (*addresses)[i], until, interrupt);
    if (connected) co_return *connected;
    if (interrupted()) co_return fail(ECANCELED);
    code = connected.error().code;
  }
  co_return fail(code, sentence(code, host, port));
}

}  // namespace peerlane::io
