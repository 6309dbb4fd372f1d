// What the loopback itself allows for given sizes of requests and responses: the limit to compare a target with. It
// does what any server must do (receive requests, send answers) and nothing else.
//
//   pingpong server PORT [spin]                   serves connections, one at a time, until it is killed
//   pingpong client PORT REQUEST RESPONSE DEPTH SECONDS
//
// The client sends requests of REQUEST bytes, which ask for RESPONSE bytes each, and keeps DEPTH of them outstanding.
// Both ends block, but for a server that is told to spin; the server answers all requests that one receive brings with
// one send.

#include <algorithm>
#include <cerrno>
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
constexpr std::size_t kReceiveBytes = 256u << 10;

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

/// A connection as the server sees it. Requests are not kept: they are counted and dropped as they come.
class Server {
 public:
  explicit Server(int fd) : fd_(fd) {}

  /// Takes what one receive has brought, and answers the requests that it completes with one send. False: the peer is
  /// gone.
  bool take(const std::uint8_t* bytes, std::size_t count) {
    std::size_t answers = 0;
    while (count != 0) {
      const std::size_t end = have_ < sizeof sizes_ ? sizeof sizes_ : sizes_.request;
      const std::size_t part = std::min(count, end - have_);
      if (have_ < sizeof sizes_) std::memcpy(reinterpret_cast<std::uint8_t*>(&sizes_) + have_, bytes, part);
      have_ += part;
      bytes += part;
      count -= part;
      if (have_ < sizeof sizes_) break;
      if (sizes_.request < sizeof sizes_ || sizes_.response > out_.size()) return false;
      if (have_ < sizes_.request) continue;
      have_ = 0;
      answers += sizes_.response;
      if (answers + sizes_.response <= out_.size()) continue;
      if (!send_all(fd_, out_.data(), answers)) return false;
      answers = 0;
    }
    return answers == 0 || send_all(fd_, out_.data(), answers);
  }

 private:
  int fd_;
  Sizes sizes_{};
  std::size_t have_ = 0;  // bytes of the request that is coming in
  std::vector<std::uint8_t> out_ = std::vector<std::uint8_t>(kBufferBytes);
};

void serve_connection(int fd, bool spin) {
  Server server(fd);
  std::vector<std::uint8_t> in(kReceiveBytes);
  for (;;) {
    const ssize_t got = recv(fd, in.data(), in.size(), spin ? MSG_DONTWAIT : 0);
    if (got < 0 && errno == EAGAIN) continue;
    if (got <= 0 || !server.take(in.data(), static_cast<std::size_t>(got))) return;
  }
}

int serve(const char* port, bool spin) {
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
    serve_connection(fd, spin);
    close(fd);
  }
}

int run_client(char** arguments) {
  const Sizes sizes{static_cast<std::uint32_t>(std::atoi(arguments[1])),
                    static_cast<std::uint32_t>(std::atoi(arguments[2]))};
  const auto depth = static_cast<std::size_t>(std::atoi(arguments[3]));
  const double seconds = std::atof(arguments[4]);
  if (sizes.request < sizeof sizes || sizes.response == 0 || depth == 0 || sizes.response > kBufferBytes) {
    std::fputs("pingpong: the sizes are out of range\n", stderr);
    return 2;
  }
  std::vector<std::uint8_t> in(kBufferBytes);
  std::vector<std::uint8_t> out(depth * sizes.request);
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
  const bool spin = argc == 4 && std::strcmp(argv[3], "spin") == 0;
  if ((argc == 3 || spin) && std::strcmp(argv[1], "server") == 0) return serve(argv[2], spin);
  if (argc == 7 && std::strcmp(argv[1], "client") == 0) return run_client(argv + 2);
  std::fputs("usage: pingpong server PORT [spin]\n       pingpong client PORT REQUEST RESPONSE DEPTH SECONDS\n",
             stderr);
  return 2;
}
