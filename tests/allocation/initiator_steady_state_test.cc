// The initiator allocates nothing per command: malloc is counted on its thread while a Lun keeps 4 KiB reads and writes
// in flight, with and without digests.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "counting.h"
#include "initiator/disk.h"
#include "io/testing.h"
#include "target/server.h"

namespace peerlane::initiator {
namespace {

using allocation::allocations;
using allocation::counting;

thread_local bool counted = false;

constexpr std::size_t kBytes = 4096;
constexpr unsigned kDepth = 32;

struct Load {
  Lun& disk;
  std::uint32_t left = 0;
  io::Gate workers;
};

io::Task<void> work(Load& load, ByteSpan buffer) {
  const io::Gate::Pass pass(load.workers);
  while (load.left != 0) {
    const std::uint64_t offset = std::uint64_t{load.left} * 7919 % 10000 * kBytes;
    Result<void> done;
    if (--load.left % 2 == 0) {
      done = co_await load.disk.read(offset, buffer);
    } else {
      done = co_await load.disk.write(offset, buffer, block::WriteFlags::kNone);
    }
    EXPECT_TRUE(done);
  }
}

io::Task<void> run(Lun& disk, std::uint32_t commands, ByteSpan buffers) {
  Load load{disk, commands, {}};
  for (unsigned i = 0; i < kDepth; ++i) io::spawn(work(load, buffers.subspan(i * kBytes, kBytes)));
  co_await load.workers.drained();
}

io::Task<void> measure(io::Reactor& reactor, std::string url, std::uint32_t commands) {
  auto opening = open_disk(reactor, iscsi::parse_url(url).value_or(iscsi::Url{}), DiskOptions());
  auto disk = co_await std::move(opening);
  EXPECT_TRUE(disk) << (disk ? "" : disk.error().text());
  if (!disk) co_return;
  std::vector<std::uint8_t> buffers(kDepth * kBytes, 0x5a);
  co_await run(**disk, 5'000, buffers);  // pools fill, lists grow to their size
  counted = true;
  allocation::counts_here = [] { return counted; };
  allocations = 0;
  counting = true;
  co_await run(**disk, commands, buffers);
  counting = false;
  auto closed = co_await (*disk)->close();
  EXPECT_TRUE(closed);
}

TEST(InitiatorSteadyState, CommandsAllocateNothing) {
  target::Declaration declaration;
  declaration.portals = {target::PortalDeclaration{"127.0.0.1", 0, 1}};
  target::TargetDeclaration target;
  target.name = "iqn.2026-11.dev.peerlane:steady";
  target::LunDeclaration lun;
  lun.disk = "ram:64M";
  target.luns.push_back(lun);
  declaration.targets.push_back(target);
  auto server = target::Server::start(declaration, {});
  ASSERT_TRUE(server.has_value()) << server.error().text();
  const std::uint16_t port = (*server)->luns().front().port;
  auto reactor = io::Reactor::create();
  ASSERT_TRUE(reactor);
  for (const char* const digests : {"none", "require"}) {
    constexpr std::uint32_t kCommands = 50'000;
    std::string url = "iscsi://127.0.0.1:" + std::to_string(port) + "/" + target.name + "/0?header_digest=" + digests +
                      "&data_digest=" + digests;
    io::testing::run(**reactor, measure(**reactor, std::move(url), kCommands));
    // The watch over a connection runs once a second: a handful, not one per command.
    EXPECT_LT(allocations.load(), 50u) << "in " << kCommands << " commands, digests " << digests;
  }
  EXPECT_TRUE((*server)->stop());
}

}  // namespace
}  // namespace peerlane::initiator
