#include "wire.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc32c.h"

namespace peerlane::storm {
namespace {

constexpr std::size_t kReceiveBytes = 512u << 10;  // holds the longest PDU that we allow
constexpr double kEndSeconds = 30;

int milliseconds(double seconds) {
  return static_cast<int>(seconds * 1000);
}

void append_digest(std::vector<std::uint8_t>& out, ByteView bytes) {
  const std::uint32_t digest = crc32c(bytes);
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(digest >> shift));
}

bool digest_right(const std::uint8_t* at, ByteView bytes) {
  const std::uint32_t digest = crc32c(bytes);
  const std::array<std::uint8_t, 4> right{static_cast<std::uint8_t>(digest), static_cast<std::uint8_t>(digest >> 8),
                                          static_cast<std::uint8_t>(digest >> 16),
                                          static_cast<std::uint8_t>(digest >> 24)};
  return std::memcmp(at, right.data(), right.size()) == 0;
}

}  // namespace

Wire::Wire(const Options& options, std::string initiator, iscsi::Isid isid)
    : options_(options), initiator_(std::move(initiator)), isid_(isid), in_(kReceiveBytes) {}

Wire::~Wire() {
  if (fd_ >= 0) close(fd_);
}

void Wire::connect() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr);
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die(fmt::format("cannot connect: {}", std::strerror(errno)));
  }
}

// --- PDUs ---

void Wire::put_bytes(ByteView bhs, ByteView data) {
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  }
  out_.insert(out_.end(), bhs.begin(), bhs.end());
  if (digests_on_ && agreed_.header_digest) append_digest(out_, bhs);
  const std::size_t start = out_.size();
  out_.insert(out_.end(), data.begin(), data.end());
  out_.resize(start + iscsi::padded(data.size()));
  if (digests_on_ && agreed_.data_digest && !data.empty()) {
    const std::vector<std::uint8_t> padded(out_.begin() + static_cast<std::ptrdiff_t>(start), out_.end());
    append_digest(out_, padded);
  }
}

bool Wire::receive_some() {
  if (begin_ != 0) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == in_.size()) return true;
  const ssize_t got = recv(fd_, in_.data() + end_, in_.size() - end_, MSG_DONTWAIT);
  if (got > 0) end_ += static_cast<std::size_t>(got);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) ended_ = true;
  return !ended_;
}

bool Wire::exchange(int wait) {
  if (ended_) return false;
  const bool sends = unsent() != 0;
  pollfd ready{fd_, static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN), 0};
  poll(&ready, 1, wait);
  if ((ready.revents & POLLOUT) != 0) {
    const ssize_t went = ::send(fd_, out_.data() + sent_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (went > 0) sent_ += static_cast<std::size_t>(went);
  }
  if ((ready.revents & (POLLIN | POLLERR | POLLHUP)) != 0) return receive_some();
  return true;
}

std::optional<Received> Wire::next() {
  if (end_ - begin_ < iscsi::kBhsBytes) return std::nullopt;
  const std::uint8_t* const at = in_.data() + begin_;
  Received pdu;
  std::memcpy(pdu.bhs.data(), at, pdu.bhs.size());
  const std::size_t size = iscsi::BasicHeader(pdu.bhs).data_segment_length();
  const std::size_t header = iscsi::kBhsBytes + (digests_on_ && agreed_.header_digest ? iscsi::kDigestBytes : 0);
  const bool data_digest = digests_on_ && agreed_.data_digest && size != 0;
  const std::size_t total = header + iscsi::padded(size) + (data_digest ? iscsi::kDigestBytes : 0);
  if (total > in_.size()) die("the target sends a PDU that is longer than was agreed");
  if (end_ - begin_ < total) return std::nullopt;
  if (header != iscsi::kBhsBytes && !digest_right(at + iscsi::kBhsBytes, pdu.bhs)) die("a header digest is wrong");
  pdu.data = ByteView(at + header, size);
  if (data_digest && !digest_right(at + header + iscsi::padded(size), ByteView(at + header, iscsi::padded(size)))) {
    die("a data digest is wrong");
  }
  begin_ += total;
  return pdu;
}

void Wire::count_status(iscsi::StatSn stat_sn) {
  if (stat_sn != stat_sn_) die(fmt::format("StatSN is {}, not {}", stat_sn.value, stat_sn_.value));
  ++stat_sn_;
}

// --- Login (RFC 7143 §6.3) ---

bool Wire::log_in(std::mt19937_64& random, iscsi::CmdSn first) {
  connect();
  const auto one_of = [&random](auto... values) {
    const std::array all{values...};
    return all[random() % all.size()];
  };
  const auto yes = [&random](unsigned percent) { return random() % 100 < percent ? "Yes" : "No"; };
  const auto digest = [&random] { return random() % 3 == 0 ? "CRC32C" : "None"; };
  const unsigned first_burst = one_of(512u, 4096u, 65536u, 262144u);
  const std::pair<const char*, std::string> keys[] = {
      {"InitiatorName", initiator_},
      {"TargetName", options_.target},
      {"SessionType", "Normal"},
      {"HeaderDigest", digest()},
      {"DataDigest", digest()},
      {"InitialR2T", yes(30)},
      {"ImmediateData", yes(70)},
      {"FirstBurstLength", std::to_string(first_burst)},
      {"MaxBurstLength", std::to_string(std::max(first_burst, one_of(4096u, 65536u, 1048576u)))},
      {"MaxRecvDataSegmentLength", std::to_string(one_of(4096u, 8192u, 65536u, 262144u))},
      {"MaxOutstandingR2T", std::to_string(one_of(1u, 2u, 8u))},
      {"DefaultTime2Wait", "0"},
      {"DefaultTime2Retain", "0"},
      {"ErrorRecoveryLevel", "0"}};
  std::string text;
  for (const auto& [key, value] : keys) {
    text += fmt::format("{}={}", key, value);
    text += '\0';
  }
  for (bool done = false; !done; text.clear()) {
    if (!login_exchange(text, first, done)) return false;
  }
  digests_on_ = true;
  return true;
}

/// One Login Request and its response. `done`: the full feature phase has begun.
bool Wire::login_exchange(const std::string& text, iscsi::CmdSn first, bool& done) {
  iscsi::LoginRequest request;
  request.transit = true;
  request.current_stage = iscsi::Stage::kOperationalNegotiation;
  request.next_stage = iscsi::Stage::kFullFeature;
  request.isid = isid_;
  request.initiator_task_tag = 1;
  request.cmd_sn = first;
  request.exp_stat_sn = stat_sn_;
  send(request, as_bytes(text));
  const auto deadline = Clock::now() + std::chrono::duration<double>(kEndSeconds * options_.patience);
  std::optional<Received> pdu;
  while (!(pdu = next())) {
    if (Clock::now() > deadline) die("a login is not answered");
    if (!exchange(100) && end_ - begin_ < iscsi::kBhsBytes) return false;
  }
  const auto response = iscsi::LoginResponse::decode(pdu->bhs);
  if (pdu->opcode() != iscsi::Opcode::kLoginResponse || !response) die("a login is answered with something else");
  if (response->status != iscsi::LoginStatus::kSuccess) {
    die(fmt::format("a login is refused with status {:04x}h", static_cast<unsigned>(response->status)));
  }
  stat_sn_ = response->stat_sn + 1;
  max_cmd_sn_ = response->max_cmd_sn;
  take_answer(pdu->data);
  done = response->transit && response->next_stage == iscsi::Stage::kFullFeature;
  return true;
}

void Wire::take_answer(ByteView bytes) {
  std::string_view text = as_text(bytes);
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = pair.substr(0, equals);
    const std::string value(pair.substr(equals + 1));
    const auto number = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 0));
    if (key == "HeaderDigest") agreed_.header_digest = value == "CRC32C";
    if (key == "DataDigest") agreed_.data_digest = value == "CRC32C";
    if (key == "InitialR2T") agreed_.initial_r2t = value == "Yes";
    if (key == "ImmediateData") agreed_.immediate_data = value == "Yes";
    if (key == "FirstBurstLength") agreed_.first_burst = number;
    if (key == "MaxBurstLength") agreed_.max_burst = number;
    if (key == "MaxRecvDataSegmentLength") agreed_.target_segment = number;
  }
}

// --- The end ---

void Wire::drop(bool reset) {
  if (reset) {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close(std::exchange(fd_, -1));
  ended_ = true;
}

bool Wire::ends_soon() {
  std::array<std::uint8_t, 65536> rest{};
  for (;;) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, milliseconds(kEndSeconds * options_.patience)) == 0) return false;
    if (recv(fd_, rest.data(), rest.size(), MSG_DONTWAIT) <= 0) return true;
  }
}

}  // namespace peerlane::storm
