// A connection of the initiator in full feature phase: whatever a target sends, no byte beside a caller's buffer is
// written, and in the end every command has ended.
//
// Input: one byte (1: digests of headers, 2: of data are agreed on), then the bytes that the target sends. A write and
// a read of kBytes each are under way, tags 10000h and 10001h, and a ping of the initiator never comes.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "harness.h"
#include "initiator/connection.h"

namespace {

using namespace peerlane;
using fuzz::require;

constexpr std::size_t kBytes = 4096;
constexpr std::uint8_t kGuard = 0x5a;

/// A stream of bytes that are there; what is sent is taken and forgotten.
class Bytes final : public io::Stream {
 public:
  explicit Bytes(ByteView bytes) : rest_(bytes) {}

  ByteView buffered() const override { return rest_; }
  io::Task<Result<void>> wait_for(std::size_t least) override {
    if (rest_.size() < least) co_return fail(ENODATA);
    co_return Result<void>();
  }
  void consume(std::size_t count) override { rest_ = rest_.subspan(count); }
  io::Task<Result<void>> receive(ByteSpan into) override {
    if (rest_.size() < into.size()) co_return fail(ENODATA);
    std::ranges::copy(rest_.first(into.size()), into.begin());
    consume(into.size());
    co_return Result<void>();
  }
  io::Task<Result<void>> send(std::span<const iovec>) override { co_return Result<void>(); }
  void shutdown() override {}
  io::Task<void> close() override { co_return; }
  const std::string& peer_address() const override { return address_; }
  const std::string& local_address() const override { return address_; }

 private:
  ByteView rest_;
  std::string address_;
};

/// An executor whose time stands still.
class Still final : public io::Executor {
 public:
  io::TimePoint now() const override { return {}; }
  void post(std::function<void()> work) override { work(); }
  void defer(io::Deferred& deferred) override { deferred_.add(deferred); }
  bool here() const override { return true; }
  void run() { deferred_.run(); }

 protected:
  void arm(io::Timer&) override {}
  void disarm(io::Timer&) override {}

 private:
  io::DeferredQueue deferred_;
};

class Host final : public initiator::ConnectionHost {
 public:
  void scsi_event(iscsi::LunField, const scsi::Sense&) override {}
};

io::Task<void> execute(initiator::Connection& connection, const initiator::Request& request, unsigned& over,
                       initiator::Outcome& outcome) {
  outcome = co_await connection.execute(request);
  ++over;
}

io::Task<void> serve(initiator::Connection& connection, bool& ended) {
  co_await connection.serve();
  ended = true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t rules = input.byte();
  Bytes stream(input.rest());
  transport::PduReader reader(stream);
  Still executor;
  Host host;
  initiator::LoginOutcome login;
  login.parameters.header_digest = (rules & 1u) != 0;
  login.parameters.data_digest = (rules & 2u) != 0;
  login.parameters.max_outstanding_r2t = 2;
  login.cmd_sn = iscsi::CmdSn(1);
  login.max_cmd_sn = iscsi::CmdSn(2);
  login.exp_stat_sn = iscsi::StatSn(1);
  initiator::ConnectionOptions options;
  options.depth = 3;
  initiator::Connection connection(host, executor, stream, reader, login, options);

  std::vector<std::uint8_t> memory(3 * kBytes, kGuard);
  const std::vector<std::uint8_t> from(kBytes, 0x42);
  initiator::Request write;
  write.data_out = from;
  initiator::Request read;
  read.data_in = ByteSpan(memory).subspan(kBytes, kBytes);
  const initiator::Request waits;  // the window has no room for it
  unsigned over = 0;
  bool ended = false;
  std::array<initiator::Outcome, 3> outcomes;
  io::spawn(execute(connection, write, over, outcomes[0]));
  io::spawn(execute(connection, read, over, outcomes[1]));
  io::spawn(execute(connection, waits, over, outcomes[2]));
  executor.run();
  io::spawn(serve(connection, ended));
  executor.run();

  require(ended, "a connection ends with its stream");
  require(over == 3, "every command ends");
  const auto is_guard = [](std::uint8_t byte) { return byte == kGuard; };
  require(std::all_of(memory.begin(), memory.begin() + kBytes, is_guard) &&
              std::all_of(memory.begin() + 2 * kBytes, memory.end(), is_guard),
          "nothing beside a buffer is written");
  require(outcomes[1].result.transferred <= kBytes, "no more is transferred than there is room for");
  return 0;
}
