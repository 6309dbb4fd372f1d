#include "load_session.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nmmintrin.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace iblast {
namespace {

constexpr std::uint32_t kSegmentBytes = 256u << 10;  // MaxRecvDataSegmentLength that we declare
constexpr std::size_t kReceiveBytes = 4u << 20;
constexpr std::size_t kSendVectors = 64;

void put(std::uint8_t* at, std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
}

std::uint32_t get(const std::uint8_t* at, unsigned width) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i) value = value << 8 | at[i];
  return value;
}

std::uint32_t crc32c(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t state = 0xffffffff;
  for (; count >= 8; count -= 8, bytes += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    state = _mm_crc32_u64(state, word);
  }
  auto rest = static_cast<std::uint32_t>(state);
  for (; count != 0; --count) rest = _mm_crc32_u8(rest, *bytes++);
  return ~rest;
}

std::uint64_t nanoseconds() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count());
}

}  // namespace

void die(const char* what) {
  if (errno != 0) {
    std::fprintf(stderr, "iblast: %s: %s\n", what, std::strerror(errno));
  } else {
    std::fprintf(stderr, "iblast: %s\n", what);
  }
  std::exit(1);
}

void protocol_error(const char* what) {
  errno = 0;
  die(what);
}

std::uint64_t random_number() {
  static std::uint64_t state = 88172645463325252ull;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

Session::Session(const Options& options, unsigned id, const std::uint8_t* payload, Totals& totals)
    : options_(options), id_(id), payload_(payload), totals_(totals), received_(kReceiveBytes), queue_(kQueueSlots) {
  connect_and_log_in();
  read_capacity();
  for (std::uint32_t tag = 0; tag < kMaxDepth; ++tag) free_tags_[free_count_++] = tag;
}

Session::~Session() {
  close(fd_);
}

void Session::receive_exactly(std::uint8_t* into, std::size_t count) {
  while (count != 0) {
    const ssize_t got = recv(fd_, into, count, 0);
    if (got <= 0) die("the target closed the connection");
    into += got;
    count -= static_cast<std::size_t>(got);
  }
}

void Session::push_piece(const std::uint8_t* bytes, std::uint32_t size, bool copy) {
  Slot& slot = queue_[filled_slot_++ % kQueueSlots];
  if (filled_slot_ - sent_slot_ > kQueueSlots) protocol_error("the output queue is full");
  slot.size = size;
  slot.bytes = bytes;
  if (copy) {
    std::memcpy(slot.copy.data(), bytes, size);
    slot.bytes = slot.copy.data();
  }
}

/// Queues a PDU whose data are `size` bytes of the payload from `offset` on.
void Session::push(Header& header, std::size_t offset, std::uint32_t size) {
  put(&header[5], size, 3);
  std::array<std::uint8_t, kHeaderBytes + 4> wire{};
  std::ranges::copy(header, wire.begin());
  std::uint32_t wire_size = kHeaderBytes;
  if (header_digest_) {
    const std::uint32_t digest = crc32c(header.data(), header.size());
    std::memcpy(&wire[kHeaderBytes], &digest, sizeof digest);
    wire_size += sizeof digest;
  }
  push_piece(wire.data(), wire_size, true);
  if (size == 0) return;
  push_piece(payload_ + offset, size, false);
  if (data_digest_) {
    const std::uint32_t digest = crc32c(payload_ + offset, size);
    push_piece(reinterpret_cast<const std::uint8_t*>(&digest), sizeof digest, true);
  }
}

void Session::flush() {
  while (has_output()) {
    std::array<iovec, kSendVectors> vectors{};
    std::size_t count = 0;
    for (std::uint32_t slot = sent_slot_; slot != filled_slot_ && count < kSendVectors; ++slot, ++count) {
      const Slot& piece = queue_[slot % kQueueSlots];
      const std::uint32_t skip = slot == sent_slot_ ? sent_in_slot_ : 0;
      vectors[count] = {const_cast<std::uint8_t*>(piece.bytes + skip), piece.size - skip};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) die("send");
    while (sent != 0) {
      const std::uint32_t left = queue_[sent_slot_ % kQueueSlots].size - sent_in_slot_;
      const auto part = static_cast<std::uint32_t>(std::min<ssize_t>(sent, left));
      sent -= part;
      sent_in_slot_ += part;
      if (part != left) break;
      ++sent_slot_;
      sent_in_slot_ = 0;
    }
  }
}

/// Sends all that is queued, waiting for the socket where necessary: for the steps before the measurement.
void Session::send_now() {
  for (flush(); has_output(); flush()) {
    pollfd wait{fd_, POLLOUT, 0};
    poll(&wait, 1, 1000);
  }
}

// --- Login (RFC 7143 §6.3) -------------------------------------------------------------------------------------------

void Session::take_parameters(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    const std::string pair = text.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = pair.substr(0, equals);
    const std::string value = pair.substr(equals + 1);
    const auto number = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 0));
    if (key == "MaxRecvDataSegmentLength") target_segment_ = number;
    if (key == "FirstBurstLength") first_burst_ = number;
    if (key == "ImmediateData") immediate_data_ = value == "Yes";
    if (key == "HeaderDigest") header_digest_ = value == "CRC32C";
    if (key == "DataDigest") data_digest_ = value == "CRC32C";
  }
}

/// One Login request and its response; the stage that comes next.
int Session::login_step(int stage, const std::string& keys) {
  Header header{};
  header[0] = 0x43;
  header[1] = static_cast<std::uint8_t>(stage == 0 ? 0x81 : 0x87);
  put(&header[5], keys.size(), 3);
  header[8] = 0x80;
  put(&header[10], 0x7700u + id_, 2);
  put(&header[16], 1, 4);
  put(&header[24], cmd_sn_, 4);
  put(&header[28], exp_stat_sn_, 4);
  push_piece(header.data(), header.size(), true);
  std::string padded = keys;
  padded.resize((padded.size() + 3) / 4 * 4);
  push_piece(reinterpret_cast<const std::uint8_t*>(padded.data()), static_cast<std::uint32_t>(padded.size()), false);
  send_now();

  receive_exactly(header.data(), header.size());
  std::string answer((get(&header[5], 3) + 3) / 4 * 4, '\0');
  receive_exactly(reinterpret_cast<std::uint8_t*>(answer.data()), answer.size());
  if ((header[0] & 0x3f) != 0x23 || header[36] != 0) protocol_error("the target refused the login");
  exp_stat_sn_ = get(&header[24], 4) + 1;
  max_cmd_sn_ = get(&header[32], 4);
  take_parameters(answer);
  return (header[1] & 0x80) != 0 ? header[1] & 3 : stage;
}

void Session::connect_and_log_in() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) protocol_error("not an IPv4 address");
  fd_ = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");

  const auto key = [](const std::string& name, const std::string& value) { return name + "=" + value + '\0'; };
  const std::string names = key("InitiatorName", options_.initiator + "-" + std::to_string(id_)) +
                            key("SessionType", "Normal") + key("TargetName", options_.target) +
                            key("AuthMethod", "None");
  const std::string operational =
      key("HeaderDigest", options_.header_digest ? "CRC32C" : "None") +
      key("DataDigest", options_.data_digest ? "CRC32C" : "None") + key("InitialR2T", "No") +
      key("ImmediateData", "Yes") + key("FirstBurstLength", "262144") + key("MaxBurstLength", "1048576") +
      key("MaxRecvDataSegmentLength", std::to_string(kSegmentBytes)) + key("MaxConnections", "1") +
      key("MaxOutstandingR2T", "1") + key("DefaultTime2Wait", "0") + key("DefaultTime2Retain", "0") +
      key("ErrorRecoveryLevel", "0") + key("DataPDUInOrder", "Yes") + key("DataSequenceInOrder", "Yes");
  int stage = login_step(0, names);
  for (int step = 0; stage != 3 && step < 8; ++step) stage = login_step(stage, step == 0 ? operational : std::string());
  if (stage != 3) protocol_error("the login does not end");
}

void Session::log_out() {
  Header header{};
  header[0] = 0x46;
  header[1] = 0x80;
  put(&header[16], 0x55, 4);
  put(&header[24], cmd_sn_, 4);
  put(&header[28], exp_stat_sn_, 4);
  push(header, 0, 0);
  flush();
  pollfd wait{fd_, POLLIN, 0};
  poll(&wait, 1, 500);
}

// --- Commands --------------------------------------------------------------------------------------------------------

/// READ CAPACITY(10), repeated while unit attentions are in the way.
void Session::read_capacity() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Header header{};
    header[0] = 0x01;
    header[1] = 0x80 | 0x40;
    put(&header[8], options_.lun, 2);
    put(&header[16], 7, 4);
    put(&header[20], 8, 4);
    put(&header[24], cmd_sn_++, 4);
    put(&header[28], exp_stat_sn_, 4);
    header[32] = 0x25;
    push(header, 0, 0);
    send_now();
    for (bool ended = false; !ended;) {
      std::array<std::uint8_t, kHeaderBytes + 4> head{};
      receive_exactly(head.data(), kHeaderBytes + (header_digest_ ? 4 : 0));
      const std::uint32_t size = get(&head[5], 3);
      std::vector<std::uint8_t> data((size + 3) / 4 * 4 + (size != 0 && data_digest_ ? 4 : 0));
      receive_exactly(data.data(), data.size());
      max_cmd_sn_ = get(&head[32], 4);
      const unsigned opcode = head[0] & 0x3f;
      if (opcode == 0x25 && size >= 8) {
        block_count_ = std::uint64_t{get(&data[0], 4)} + 1;
        logical_block_ = get(&data[4], 4);
      }
      ended = opcode == 0x21 || (opcode == 0x25 && (head[1] & 1) != 0);
      if (!ended) continue;
      exp_stat_sn_ = get(&head[24], 4) + 1;
      if (head[3] != 0) block_count_ = 0;  // data that come with CHECK CONDITION mean nothing
    }
    if (block_count_ != 0) return;
  }
  protocol_error("READ CAPACITY failed");
}

std::uint64_t Session::choose_lba() {
  const std::uint64_t places = block_count_ * logical_block_ / options_.block_bytes;
  const std::uint64_t place =
      options_.sequential ? (next_sequential_++ + id_ * places / options_.sessions) % places : random_number() % places;
  return place * (options_.block_bytes / logical_block_);
}

void Session::submit() {
  const std::uint64_t now = nanoseconds();
  while (in_flight_ < options_.depth && static_cast<std::int32_t>(max_cmd_sn_ - cmd_sn_) >= 0) start_command(now);
}

void Session::start_command(std::uint64_t now) {
  const std::uint32_t tag = free_tags_[--free_count_];
  const bool read =
      options_.read_percent == 100 || (options_.read_percent != 0 && random_number() % 100 < options_.read_percent);
  Header header{};
  header[0] = 0x01;
  header[1] = static_cast<std::uint8_t>(0x80 | (read ? 0x40 : 0x20) | 1);
  put(&header[8], options_.lun, 2);
  put(&header[16], tag, 4);
  put(&header[20], options_.block_bytes, 4);
  put(&header[24], cmd_sn_++, 4);
  put(&header[28], exp_stat_sn_, 4);
  header[32] = static_cast<std::uint8_t>(read ? 0x28 : 0x2a);  // READ(10), WRITE(10)
  put(&header[34], choose_lba(), 4);
  put(&header[39], options_.block_bytes / logical_block_, 2);
  std::uint32_t immediate = 0;
  if (!read && immediate_data_) immediate = std::min({options_.block_bytes, first_burst_, target_segment_});
  push(header, 0, immediate);
  started_[tag] = now;
  ++in_flight_;
}

void Session::complete(std::uint32_t tag, unsigned status) {
  if (tag >= kMaxDepth) protocol_error("a response to nothing that was asked");
  if (totals_.counting) {
    if (status != 0) ++totals_.errors;
    totals_.latencies.add(nanoseconds() - started_[tag]);
  }
  free_tags_[free_count_++] = tag;
  --in_flight_;
}

void Session::answer_r2t(const std::uint8_t* r2t) {
  std::uint32_t offset = get(r2t + 40, 4);
  std::uint32_t left = get(r2t + 44, 4);
  for (std::uint32_t data_sn = 0; left != 0; ++data_sn) {
    const std::uint32_t part = std::min(left, target_segment_);
    Header header{};
    header[0] = 0x05;
    header[1] = static_cast<std::uint8_t>(part == left ? 0x80 : 0);
    put(&header[8], options_.lun, 2);
    std::memcpy(&header[16], r2t + 16, 8);  // Initiator Task Tag, Target Transfer Tag
    put(&header[28], exp_stat_sn_, 4);
    put(&header[36], data_sn, 4);
    put(&header[40], offset, 4);
    push(header, offset, part);
    offset += part;
    left -= part;
  }
}

void Session::answer_ping(const std::uint8_t* nop_in) {
  if (get(nop_in + 20, 4) == 0xffffffff) return;
  Header header{};
  header[0] = 0x40;
  header[1] = 0x80;
  std::memcpy(&header[8], nop_in + 8, 8);
  put(&header[16], 0xffffffff, 4);
  std::memcpy(&header[20], nop_in + 20, 4);
  put(&header[24], cmd_sn_, 4);
  put(&header[28], exp_stat_sn_, 4);
  push(header, 0, 0);
}

void Session::handle(const std::uint8_t* header, const std::uint8_t* data, std::uint32_t size) {
  if (options_.verify_digests && data_digest_ && size != 0) {
    std::uint32_t digest = 0;
    std::memcpy(&digest, data + (size + 3) / 4 * 4, sizeof digest);
    if (digest != crc32c(data, (size + 3) / 4 * 4)) protocol_error("a data digest is wrong");
  }
  const std::uint32_t max_cmd_sn = get(header + 32, 4);
  if (static_cast<std::int32_t>(max_cmd_sn - max_cmd_sn_) > 0) max_cmd_sn_ = max_cmd_sn;
  switch (header[0] & 0x3f) {
    case 0x20:
      return answer_ping(header);
    case 0x25:
      if ((header[1] & 1) == 0) return;
      [[fallthrough]];
    case 0x21:
      exp_stat_sn_ = get(header + 24, 4) + 1;
      return complete(get(header + 16, 4), header[3]);
    case 0x31:
      return answer_r2t(header);
    default:
      protocol_error("an unexpected PDU");
  }
}

bool Session::receive() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ != 0 && received_.size() - end_ < kSegmentBytes + 4096) {
    std::memmove(received_.data(), received_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const ssize_t got =
      recv(fd_, received_.data() + end_, std::min(received_.size() - end_, kReceiveBytes / 4), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) die("the target closed the connection");
  end_ += static_cast<std::size_t>(got);
  const std::size_t head = kHeaderBytes + (header_digest_ ? 4 : 0);
  while (end_ - begin_ >= head) {
    const std::uint8_t* const header = received_.data() + begin_;
    const std::uint32_t size = get(header + 5, 3);
    const std::size_t whole = head + (size + 3) / 4 * 4 + (size != 0 && data_digest_ ? 4 : 0);
    if (header[4] != 0 || size > kSegmentBytes) protocol_error("a PDU that was not agreed on");
    if (end_ - begin_ < whole) break;
    if (options_.verify_digests && header_digest_) {
      std::uint32_t digest = 0;
      std::memcpy(&digest, header + kHeaderBytes, sizeof digest);
      if (digest != crc32c(header, kHeaderBytes)) protocol_error("a header digest is wrong");
    }
    handle(header, header + head, size);
    begin_ += whole;
  }
  return true;
}

}  // namespace iblast
