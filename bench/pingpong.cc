// What the loopback itself allows for given sizes of requests and responses: the limit to compare a target with. It
// does what any server must do (receive requests, send answers) and nothing else.
//
//   pingpong server PORT                          serves connections, one at a time, until it is killed
//   pingpong client PORT REQUEST RESPONSE DEPTH SECONDS
//
// The client sends requests of REQUEST bytes, which ask for RESPONSE bytes each, and keeps DEPTH of them outstanding.
// Both ends block; the server answers all requests that one receive brings with one send.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::size_t kBufferBytes = 4u << 20;

/// The first bytes of a request.
struct Sizes {
  std::uint32_t request;
  std::uint32_t response;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_flag(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

bool send_all(int fd, const std::uint8_t* bytes, std::size_t count) {
  while (count != 0) {
    const ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    count -= static_cast<std::size_t>(sent);
  }
  return true;
}

/// Answers the whole requests among the `have` bytes; how many bytes those were, or nothing when the peer is gone.
ssize_t answer(int fd, const std::uint8_t* requests, std::size_t have, std::vector<std::uint8_t>& out) {
  std::size_t used = 0;
  std::size_t filled = 0;
  Sizes sizes{};
  while (have - used >= sizeof sizes) {
    std::memcpy(&sizes, requests + used, sizeof sizes);
    if (have - used < sizes.request || sizes.request < sizeof sizes || sizes.response > out.size()) break;
    used += sizes.request;
    if (filled + sizes.response > out.size()) {
      if (!send_all(fd, out.data(), filled)) return -1;
      filled = 0;
    }
    filled += sizes.response;
  }
  if (filled != 0 && !send_all(fd, out.data(), filled)) return -1;
  return static_cast<ssize_t>(used);
}

void serve_connection(int fd) {
  std::vector<std::uint8_t> in(kBufferBytes);
  std::vector<std::uint8_t> out(kBufferBytes);
  std::size_t have = 0;
  for (;;) {
    const ssize_t got = recv(fd, in.data() + have, in.size() / 2 - have, 0);
    if (got <= 0) return;
    have += static_cast<std::size_t>(got);
    const ssize_t used = answer(fd, in.data(), have, out);
    if (used < 0) return;
    have -= static_cast<std::size_t>(used);
    std::memmove(in.data(), in.data() + used, have);
  }
}

int serve(const char* port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(port);
  set_flag(listener, SOL_SOCKET, SO_REUSEADDR);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener, 5) != 0) {
    die("pingpong: listen");
  }
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) die("pingpong: accept");
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    serve_connection(fd);
    close(fd);
  }
}

int run_client(char** arguments) {
  const Sizes sizes{static_cast<std::uint32_t>(std::atoi(arguments[1])),
                    static_cast<std::uint32_t>(std::atoi(arguments[2]))};
  const auto depth = static_cast<std::size_t>(std::atoi(arguments[3]));
  const double seconds = std::atof(arguments[4]);
  if (sizes.request < sizeof sizes || sizes.response == 0 || depth == 0 || depth * sizes.request > kBufferBytes) {
    std::fputs("pingpong: the sizes are out of range\n", stderr);
    return 2;
  }
  std::vector<std::uint8_t> in(kBufferBytes);
  std::vector<std::uint8_t> out(kBufferBytes);
  for (std::size_t i = 0; i < depth; ++i) std::memcpy(out.data() + i * sizes.request, &sizes, sizeof sizes);

  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(arguments[0]);
  set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("pingpong: connect");
  if (!send_all(fd, out.data(), depth * sizes.request)) die("pingpong: send");

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double elapsed = 0;
  std::uint64_t done = 0;
  std::size_t partial = 0;
  while (elapsed < seconds) {
    const ssize_t got = recv(fd, in.data(), in.size(), 0);
    if (got <= 0) die("pingpong: receive");
    partial += static_cast<std::size_t>(got);
    const std::size_t answers = partial / sizes.response;
    partial %= sizes.response;
    done += answers;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    if (answers != 0 && !send_all(fd, out.data(), answers * sizes.request)) die("pingpong: send");
  }
  const double rate = static_cast<double>(done) / elapsed;
  std::printf("{\"iops\": %.0f, \"mean_us\": %.2f, \"requests\": %llu, \"wall_seconds\": %.3f}\n", rate,
              static_cast<double>(depth) / rate * 1e6, static_cast<unsigned long long>(done), elapsed);
  close(fd);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "server") == 0) return serve(argv[2]);
  if (argc == 7 && std::strcmp(argv[1], "client") == 0) return run_client(argv + 2);
  std::fputs("usage: pingpong server PORT\n       pingpong client PORT REQUEST RESPONSE DEPTH SECONDS\n", stderr);
  return 2;
}
