// The target allocates nothing per command: malloc is counted on the target's thread while an initiator on another one
// sends many 4 KiB reads and writes, with and without digests, SIMPLE and ORDERED.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "counting.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "target/server.h"

namespace {

/// Whether this is a thread of the target; asked once a thread while counting.
bool on_worker() {
  thread_local int answer = -1;
  if (answer < 0) {
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    answer = std::strncmp(name, "peerlane-", 9) == 0 ? 1 : 0;
  }
  return answer == 1;
}

}  // namespace

namespace peerlane::target {
namespace {

using allocation::allocations;
using allocation::counting;

constexpr std::uint32_t kBlock = 4096;

/// How the initiator does it.
struct Manner {
  bool digests = false;
  bool ordered = false;  // half of the commands are
};

/// A blocking initiator, as small as can be.
class Initiator {
 public:
  Initiator(const LunAddress& lun, Manner manner) : manner_(manner) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(lun.port);
    inet_pton(AF_INET, lun.host.c_str(), &address.sin_addr);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const int one = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    log_in(lun.target);
  }
  ~Initiator() { close(socket_); }

  /// Keeps eight reads and writes in flight until `total` have ended, none of which may fail.
  void run(std::uint32_t total) {
    constexpr std::uint32_t kDepth = 8;
    for (std::uint32_t i = 0; i < kDepth; ++i) send_command(i);
    for (std::uint32_t done = 0; done < total; ++done) {
      const std::uint32_t tag = receive_status();
      if (done + kDepth < total) send_command(tag);
    }
  }

 private:
  void log_in(const std::string& target) {
    std::string text = "InitiatorName=iqn.2026-11.dev.peerlane:steady";
    const std::string digest = manner_.digests ? "CRC32C" : "None";
    for (const std::string& pair :
         {std::string("SessionType=Normal"), "TargetName=" + target, std::string("AuthMethod=None"),
          std::string("InitialR2T=No"), std::string("ImmediateData=Yes"),
          std::string("MaxRecvDataSegmentLength=262144"), "HeaderDigest=" + digest, "DataDigest=" + digest}) {
      text += '\0';
      text += pair;
    }
    text += '\0';
    iscsi::LoginRequest request;
    request.transit = true;
    request.current_stage = iscsi::Stage::kOperationalNegotiation;
    request.next_stage = iscsi::Stage::kFullFeature;
    request.isid = {0x80, 0, 0, 0, 0, 1};
    request.cmd_sn = cmd_sn_;
    request.data_segment_length = static_cast<std::uint32_t>(text.size());
    send(request, as_bytes(text));
    receive();
    const auto response = iscsi::LoginResponse::decode(header_);
    ASSERT_TRUE(response && response->status == iscsi::LoginStatus::kSuccess && response->transit);
    digest_bytes_ = manner_.digests ? iscsi::kDigestBytes : 0;
  }

  void send_command(std::uint32_t tag) {
    static const std::vector<std::uint8_t> data(kBlock, 0x5a);
    const bool write = cmd_sn_.value % 2 == 0;
    iscsi::ScsiCommand command;
    command.read = !write;
    command.write = write;
    command.initiator_task_tag = tag;
    command.expected_data_transfer_length = kBlock;
    command.cmd_sn = cmd_sn_++;
    command.cdb[0] = write ? 0x2a : 0x28;
    put_be32(command.cdb, 2, cmd_sn_.value * 7919 % 1000 * 8);
    put_be16(command.cdb, 7, kBlock / 512);
    command.data_segment_length = write ? kBlock : 0;
    if (manner_.ordered && cmd_sn_.value % 4 < 2) command.attribute = iscsi::Attribute::kOrdered;
    send(command, write ? ByteView(data) : ByteView());
  }

  /// The next status, of a command that was good or met a unit attention; its task tag.
  std::uint32_t receive_status() {
    receive();
    const bool ends = header_[0] == 0x21 || (header_[0] == 0x25 && (header_[1] & 1) != 0);
    EXPECT_TRUE(ends);
    if (header_[3] != 0) {
      EXPECT_EQ(data_.at(4) & 0x0f, 6) << "only the unit attention after login";
    }
    return get_be32(header_, 16);
  }

  template <typename P>
  void send(const P& pdu, ByteView data) {
    std::vector<std::uint8_t> bytes(iscsi::kBhsBytes);
    pdu.encode(iscsi::BhsSpan(bytes));
    append_digest(bytes, 0);
    const std::size_t start = bytes.size();
    bytes.insert(bytes.end(), data.begin(), data.end());
    bytes.resize(start + iscsi::padded(data.size()));
    if (!data.empty()) append_digest(bytes, start);
    ASSERT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  void append_digest(std::vector<std::uint8_t>& bytes, std::size_t start) const {
    if (digest_bytes_ == 0) return;
    const std::uint32_t digest = crc32c(ByteView(bytes).subspan(start));
    for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(digest >> shift));
  }

  void receive() {
    receive_into(header_.data(), header_.size());
    skip_digest();
    data_.resize(iscsi::padded(get_be24(header_, 5)));
    if (data_.empty()) return;
    receive_into(data_.data(), data_.size());
    skip_digest();
  }
  void skip_digest() {
    std::array<std::uint8_t, iscsi::kDigestBytes> digest{};
    receive_into(digest.data(), digest_bytes_);
  }
  void receive_into(std::uint8_t* into, std::size_t size) {
    if (size == 0) return;
    ASSERT_EQ(recv(socket_, into, size, MSG_WAITALL), static_cast<ssize_t>(size));
  }

  const Manner manner_;
  std::size_t digest_bytes_ = 0;  // from the full feature phase on
  int socket_ = -1;
  iscsi::CmdSn cmd_sn_{1};
  std::array<std::uint8_t, iscsi::kBhsBytes> header_{};
  std::vector<std::uint8_t> data_;
};

void expect_no_allocation(const std::string& disk, const Manner& manner, block::CacheMode cache) {
  Declaration declaration;
  declaration.portals = {PortalDeclaration{"127.0.0.1", 0, 1}};
  TargetDeclaration target;
  target.name = "iqn.2026-11.dev.peerlane:steady";
  LunDeclaration lun;
  lun.disk = disk;
  lun.filters.cache.mode = cache;
  target.luns.push_back(lun);
  declaration.targets.push_back(target);
  auto server = Server::start(declaration, {});
  ASSERT_TRUE(server.has_value()) << server.error().text();
  {
    Initiator initiator((*server)->luns().front(), manner);
    initiator.run(5'000);  // pools fill, lists grow to their size
    constexpr std::uint32_t kCommands = 50'000;
    allocations = 0;
    allocation::counts_here = on_worker;
    counting = true;
    initiator.run(kCommands);
    counting = false;
    // The watch over a connection runs once a second, and its timer takes a node of a tree: a handful, not one per
    // command.
    EXPECT_LT(allocations.load(), 50u) << "in " << kCommands << " commands";
  }
  EXPECT_TRUE((*server)->stop());
}

class SteadyState : public ::testing::TestWithParam<Manner> {};

TEST_P(SteadyState, CommandsAllocateNothingOnAMemoryDisk) {
  expect_no_allocation("ram:64M", GetParam(), block::CacheMode::kOff);
}

TEST_P(SteadyState, CommandsAllocateNothingOnACachedDisk) {
  for (const block::CacheMode mode : {block::CacheMode::kWriteThrough, block::CacheMode::kWriteBack}) {
    expect_no_allocation("ram:64M", GetParam(), mode);
  }
}

TEST_P(SteadyState, CommandsAllocateNothingOnAFile) {
  char name[] = "/var/tmp/steady_state_test.XXXXXX";
  close(mkstemp(name));
  std::filesystem::resize_file(name, 64u << 20);
  expect_no_allocation(name, GetParam(), block::CacheMode::kOff);
  std::filesystem::remove(name);
}

INSTANTIATE_TEST_SUITE_P(Manners, SteadyState,
                         ::testing::Values(Manner{}, Manner{.digests = true, .ordered = false},
                                           Manner{.digests = false, .ordered = true},
                                           Manner{.digests = true, .ordered = true}),
                         [](const auto& test) {
                           return std::string(test.param.digests ? "WithDigests" : "WithoutDigests") +
                                  (test.param.ordered ? "AndOrdered" : "");
                         });

TEST(SteadyStateTest, TheCounterCounts) {
  allocations = 0;
  allocation::counts_here = on_worker;
  counting = true;
  std::jthread([] {
    pthread_setname_np(pthread_self(), "peerlane-test");
    const auto memory = std::make_unique<std::vector<int>>(100);
    EXPECT_EQ(memory->size(), 100u);
  }).join();
  counting = false;
  EXPECT_GE(allocations, 2u);
}

}  // namespace
}  // namespace peerlane::target
